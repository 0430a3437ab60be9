"""What is computed from a prepared set is computed once, whoever needs it at the same time, and not kept for ever."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline

from synth.train import conditions, latents
from synth.train.conditions import CachedText
from synth.train.data.preparation import prepare
from synth.train.data.prepared import PreparedSet
from synth.train.latents import cached_latents
from synth.train.learners import cache_folder
from synth.train.params import Data

CAPTIONS = [f"a cat number {number}" for number in range(5)]


@pytest.fixture(scope="module")
def pipeline(tiny_sd):
    return StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)


def counted(monkeypatch, module, name):
    """A list that grows by a word at each call of a function."""
    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *words, **how: (calls.append(name), real(*words, **how))[1])
    return calls


def at_once(work):
    """What two threads get that do the same at the same time."""
    start = Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda _: (start.wait(), work())[1], range(2)))


def test_latents_are_encoded_once(pipeline, tmp_path, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
    calls, file = counted(monkeypatch, latents, "encode_into"), tmp_path / "cache" / "latents.npy"
    one, other = at_once(lambda: cached_latents(pipeline.vae, pictures, file))
    assert len(calls) == 1 and np.array_equal(one, other)
    assert one.shape[0] == 20 and np.abs(one).max() > 0


def test_captions_are_encoded_once(pipeline, tmp_path, monkeypatch):
    calls = counted(monkeypatch, conditions.CachedText, "_encode")
    one, other = at_once(lambda: CachedText(pipeline, CAPTIONS, tmp_path / "captions", size=64))
    assert len(calls) == 1 and np.array_equal(one.states, other.states)
    assert len(one.states) == 1 + len(CAPTIONS) and np.abs(one.states[-1]).max() > 0


def test_what_was_kept_of_other_pictures_is_removed(tmp_path):
    data = prepare(Data(source="vignettes", size=64, limit=4), tmp_path / "data", progress=False)
    home = tmp_path / "data.cache"
    old, mine = home / ("0" * 12), home / "my notes"
    for folder in (old, mine):
        folder.mkdir(parents=True)
    own = cache_folder(data)
    own.mkdir()
    assert cache_folder(PreparedSet.open(data.folder)) == own
    assert own.is_dir() and mine.is_dir() and not old.exists()
