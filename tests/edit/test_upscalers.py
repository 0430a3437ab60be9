"""Upscalers: the public architectures, by the same code as the bundled one."""

import json
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from local_hub import COMMIT, serving
from transformers import Swin2SRForImageSuperResolution

from synth.edit.upscalers import check_upscaler, load_upscaler
from synth.errors import InputError, ModelError
from synth.presets import PRESETS, resolve


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_swin2sr_does_what_plain_transformers_does(tiny_swin):
    pixels = picture(24, 40)
    model = Swin2SRForImageSuperResolution.from_pretrained(tiny_swin).eval()
    with torch.no_grad():
        tensor = torch.from_numpy(pixels / 255).float().permute(2, 0, 1)[None]
        plain = model(tensor).reconstruction[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    made = load_upscaler(resolve(str(tiny_swin), "upscaler"), "cpu")(pixels)
    assert made.shape == (48, 80, 3)
    assert np.abs(made - plain).max() <= 0.501


@pytest.mark.parametrize(("name", "scale"), [("tiny_swin", 2), ("tiny_swin_x4", 4), ("tiny_diffusion_upscaler", 4)])
def test_each_kind_enlarges_any_size_the_same_each_time(request, name, scale):
    model = resolve(str(request.getfixturevalue(name)), "upscaler")
    assert check_upscaler(model)[1] == scale
    pixels = picture(19, 26)
    upscaler = load_upscaler(model, "cpu")
    first, again = upscaler(pixels), upscaler(pixels)
    assert first.shape == (19 * scale, 26 * scale, 3)
    assert np.array_equal(first, again)
    assert first.std() > 1


def test_tiles_of_stable_diffusion_s_upscaler_share_one_field_of_noise(tiny_diffusion_upscaler):
    """A tile is told the noise that the picture has there: to begin with, and upon the picture."""
    upscaler, seen = load_upscaler(resolve(str(tiny_diffusion_upscaler), "upscaler"), "cpu"), {}
    plain = upscaler.pipeline.unet.forward

    def watch(sample, *arguments, **how):
        seen.setdefault(len(seen), sample[0])
        return plain(sample, *arguments, **how)

    upscaler.pipeline.unet.forward = watch
    try:
        upscaler(np.full((16, 200, 3), 90, np.uint8))
    finally:
        upscaler.pipeline.unet.forward = plain
    steps = len(seen) // 2
    first, second = seen[0], seen[steps]
    assert first.shape[0] == 7 and first[4:].std() > 0.01
    assert torch.equal(first[..., 72:], second[..., :56]), "200 px are tiles from 0 and from 72"


@pytest.mark.parametrize("name", ["tiny_swin", "tiny_diffusion_upscaler"])
def test_upscalers_of_the_hub_are_found_whatever_kind_they_are(request, name, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving({"me/large": request.getfixturevalue(name)}) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        model = resolve("me/large", "upscaler")
        assert model.revision == COMMIT
        assert load_upscaler(model, "cpu")(picture(8, 8)).shape[2] == 3


@pytest.mark.parametrize("name", ["tiny_gpt2", "tiny_sd"])
def test_another_kind_of_model_is_refused(request, name):
    with pytest.raises(ModelError, match="is no upscaler that Synth knows"):
        check_upscaler(resolve(str(request.getfixturevalue(name)), "upscaler"))


def test_a_swin2sr_that_removes_artefacts_instead_is_refused(tiny_swin, tmp_path):
    folder = shutil.copytree(tiny_swin, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"upsampler": "pixelshuffle_aux"}))
    with pytest.raises(ModelError, match="is no upscaler"):
        check_upscaler(resolve(str(folder), "upscaler"))


def test_an_unknown_name_tells_the_known_ones():
    with pytest.raises(
        InputError, match=r"model: 'swin' cannot be used; did you mean 'swin2sr-x2'\? One of: vignettes-up"
    ):
        resolve("swin", "upscaler")
    with pytest.raises(InputError, match="it is no upscaler; one of: vignettes-upscaler, swin2sr-x2"):
        resolve("sd2", "upscaler")


def test_presets_are_openly_licensed_and_pin_nothing_unknown():
    found = [preset for preset in PRESETS.values() if preset.kind == "upscaler"]
    assert [preset.name for preset in found] == ["vignettes-upscaler", "swin2sr-x2", "swin2sr-x4", "sd-x4-upscaler"]
    assert {preset.licence for preset in found} == {"Apache-2.0", "CreativeML Open RAIL++-M"}
    assert {preset.revision for preset in found} == {None}
