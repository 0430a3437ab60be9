"""The judge reads pictures of any size, saves as safetensors, and learns."""

import numpy as np
import pytest
import torch
from PIL import Image

from synth.errors import ModelError
from synth.train.judge import JudgeTask
from synth.train.loop import Trainer
from synth.train.recipe import Recipe
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.dataset import render_set
from synth.vignettes.judge import Judge, as_input


def test_it_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    judge = Judge().eval()
    judge.save(tmp_path / "model.safetensors", {"least": 0.5})
    again = Judge.load(tmp_path / "model.safetensors")
    picture = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        assert all(torch.equal(judge(picture)[name], again(picture)[name]) for name in ATTRIBUTES)


def test_pictures_of_any_size_are_brought_to_one():
    picture = Image.fromarray(np.full((256, 256, 3), (0, 255, 51), np.uint8))
    batch = as_input([picture, picture.resize((64, 64))])
    assert batch.shape == (2, 3, 128, 128)
    assert torch.allclose(batch[:, :, 5, 5], torch.tensor([-1.0, 1.0, -0.6]), atol=0.01)


def test_it_reads_every_attribute():
    readings = Judge().eval().read([Image.new("RGB", (128, 128))] * 3, batch_size=2)
    assert len(readings) == 3
    assert all(reading[name] in values for reading in readings for name, values in ATTRIBUTES.items())


def test_it_learns(tmp_path):
    pictures = render_set(tmp_path, "train", 64)
    recipe = Recipe(steps=80, batch_size=32, learning_rate=3e-3, warmup=5, ema=0.5, validate_every=80, precision="fp32")
    figures = Trainer(JudgeTask(Judge(), pictures, pictures), recipe, tmp_path / "judge").run()
    assert figures["style"] > 0.6
    assert figures["time"] > 0.4


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="model.safetensors"):
        Judge.load(tmp_path / "model.safetensors")
