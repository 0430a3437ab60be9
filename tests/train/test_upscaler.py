"""The upscaler's training: pairs that belong together, a start that is bilinear interpolation, and learning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from synth.train.loop import Trainer
from synth.train.recipe import Recipe
from synth.train.upscaler import UpscalerTask, bicubic, decoded, drawn, make_upscaler
from synth.train.vae import make_vae
from synth.vignettes.dataset import picture_seed, scene_at
from synth.vignettes.world import draw

RECIPE = Recipe(steps=60, batch_size=4, learning_rate=3e-3, warmup=5, validate_every=60, precision="fp32", ema=0.9)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Four scenes at 64 and 128 pixels."""
    folder = tmp_path_factory.mktemp("scenes")
    return drawn(folder, "train", 4, 64), drawn(folder, "train", 4, 128)


@pytest.fixture
def task(pair):
    torch.manual_seed(0)
    return UpscalerTask(make_upscaler(8, (2,), 1), [pair], {"drawn": pair})


def test_scenes_are_drawn_once_each_at_its_size(tmp_path):
    first = drawn(tmp_path, "held-out", 2, 64)
    assert np.array_equal(first[1], np.asarray(draw(scene_at("held-out", 1), picture_seed("held-out", 1), 64)))
    file = tmp_path / "held-out-2-at-64.npy"
    before = file.stat().st_mtime_ns
    drawn(tmp_path, "held-out", 2, 64)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.stat().st_mtime_ns == before


def test_crops_show_the_same_place_at_both_sizes(pair):
    large = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3)).astype(np.uint8)
    large = large // 8 * 8  # so that means of four are exact enough
    small = np.stack([np.asarray(Image.fromarray(picture).reduce(2)) for picture in large])
    batch = UpscalerTask(make_upscaler(8, (2,), 1), [(small, large)], {}).draw(3, RECIPE)
    assert batch["small"].shape == (4, 32, 32, 3)
    for one, other in zip(batch["small"], batch["large"], strict=True):
        assert np.array_equal(one, np.asarray(Image.fromarray(other).reduce(2)))


def test_a_step_s_batch_depends_on_seed_and_step_alone(task):
    again, other = task.draw(7, RECIPE), task.draw(8, RECIPE)
    assert np.array_equal(task.draw(7, RECIPE)["small"], again["small"])
    assert not np.array_equal(other["small"], again["small"])
    assert not np.array_equal(task.draw(7, replace(RECIPE, seed=1))["small"], again["small"])


def test_it_begins_as_bilinear_interpolation(pair):
    torch.manual_seed(0)
    small, _ = pair
    with torch.no_grad():
        made = UpscalerTask(make_upscaler(48, (2, 2), 1), [pair], {}).enlarge(small).astype(int)
    plain = np.stack([np.asarray(Image.fromarray(picture).resize((128, 128), Image.BILINEAR)) for picture in small])
    assert np.abs(made - plain)[:, 4:-4, 4:-4].max() <= 1, "level of 255"


def test_it_learns(task, tmp_path):
    with torch.no_grad():
        before = task.validate()
    after = Trainer(task, RECIPE, tmp_path).run()
    assert after["drawn"] > before["drawn"] + 0.2, "dB"
    assert after["gain_drawn"] == pytest.approx(after["drawn"] - task.bicubic["drawn"], abs=1e-3)
    assert (tmp_path / "samples" / "step-00000060.png").is_file()


def test_bicubic_is_pillow_s(pair):
    small, _ = pair
    made = bicubic(small)
    assert made.shape == (4, 128, 128, 3)
    assert np.array_equal(made[2], np.asarray(Image.fromarray(small[2]).resize((128, 128), Image.BICUBIC)))


def test_decoded_pictures_are_kept(pair, tmp_path):
    torch.manual_seed(0)
    vae = make_vae(16, 4).eval()
    made = decoded(vae, pair[0], tmp_path / "made" / "a.npy")
    assert made.shape == pair[0].shape
    assert np.array_equal(decoded(None, pair[0], tmp_path / "made" / "a.npy"), made)
