"""Models that several threads load at the same moment all have their weights."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from synth.measure.clip import Clip
from synth.models import languages
from synth.models.loading import load as load_renderer
from synth.models.loading import unload
from synth.presets import locate, resolve
from synth.vignettes.judge import Judge


def test_threads_that_load_at_once_get_whole_models():
    renderer, writer = resolve("vignettes", "renderer"), locate(resolve("vignettes-gpt2", "expander"), "expander")
    ways = (
        lambda: load_renderer(renderer, "cpu", "float32").unet,
        lambda: languages.read_network(writer),
        lambda: Clip.load().model,
        Judge.load,
    )
    for _ in range(3):
        unload("cpu")
        together = Barrier(len(ways))

        def load(way, together=together) -> torch.nn.Module:
            together.wait()
            return way()

        with ThreadPoolExecutor(len(ways)) as pool:
            for model in pool.map(load, ways):
                assert not any(parameter.is_meta for parameter in model.parameters())
