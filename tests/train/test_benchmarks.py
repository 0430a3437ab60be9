"""What tests/bench measures is what it says: equal samples for both trainings, operations counted right."""

from pathlib import Path

import pytest
import torch

from synth.train.conditions import NO_CAPTION
from synth.train.data.preparation import prepare
from synth.train.learners import unet_learner
from synth.train.params import Data, Params, Train
from synth.train.processes import Processes

TINY = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": (32, 64), "layers_per_block": 1, "norm_num_groups": 8,
    "attention_head_dim": (1, 2), "cross_attention_dim": 32, "use_linear_projection": True,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))


def test_the_recipe_learns_from_the_samples_that_synth_draws(tiny_sd, tmp_path):
    from diffusers_recipe import noise_of, samples_of

    data = prepare(Data(source="vignettes", size=64, limit=12), tmp_path / "data", progress=False)
    train = Train(base=str(tiny_sd), steps=3, batch_size=4, caption_dropout=0.5)
    task = unet_learner(Params(train=train), data, Processes("cpu")).task
    samples = samples_of(data, train)
    assert len(samples) == 12 and any(caption == NO_CAPTION for _, caption in samples)
    for step in range(3):
        drawn, part = task.draw(step, train), samples[4 * step : 4 * step + 4]
        noise, timesteps = noise_of(step, train, drawn["noise"].shape, 1000)
        assert torch.equal(noise, drawn["noise"]) and torch.equal(timesteps, drawn["timesteps"])
        for place, (index, caption) in enumerate(part):
            assert torch.equal(drawn["latents"][place], torch.as_tensor(task.latents[index]))
            assert torch.equal(drawn["states"][place], task.conditions.draw([caption])["states"][0])


def test_utilisation_counts_a_step_of_the_loop():
    from utilisation import flops_of_a_sample, utilisation

    assert flops_of_a_sample(TINY, 16) == pytest.approx(4 * flops_of_a_sample(TINY, 8), rel=0.2)
    found = utilisation(TINY, side=8, batch_size=2, steps=3, device="cpu", compile=False)
    assert found["tflops"] == pytest.approx(found["samples_per_second"] * found["tflop_per_sample"])
    assert found["utilisation"] == pytest.approx(found["tflops"] / found["peak_tflops"])
    assert 0 < found["utilisation"] < 1
