"""Names of models: what they mean, what pins them."""

import re
import shutil
import subprocess
import sys

import pytest

from synth import presets
from synth.errors import InputError, ModelError
from synth.jobs import ModelRef, Settings
from synth.models.weights import digest
from synth.presets import PRESETS, SPEEDS, advised, is_present, locate, resolve


def test_the_presets_that_were_promised_are_there():
    kinds = {kind: {name for name, p in PRESETS.items() if p.kind == kind} for kind in ("renderer", "expander", "clip")}
    assert kinds["renderer"] == {"vignettes", "sd2", "sd2-base", "sd2.1", "sd2.1-base", "sdxl"}
    assert kinds["expander"] == {
        *("vignettes-gpt2", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2", "magicprompt"),
        "prompt-extend",
    }
    assert kinds["clip"] == {"vignettes-clip"}


def test_every_preset_is_described_and_pinned_only_by_whole_commits():
    for name, preset in PRESETS.items():
        assert preset.name == name and preset.licence and preset.about
        assert preset.revision is None or re.fullmatch("[0-9a-f]{40}", preset.revision)
        assert (preset.kind == "renderer") == (preset.settings is not None)
        if preset.settings:
            assert preset.size == preset.settings.width == preset.settings.height


def test_native_sizes_are_advised():
    assert [advised(name).width for name in ("sd2", "sd2-base", "sd2.1", "sd2.1-base", "sdxl")] == [
        768,
        512,
        768,
        512,
        1024,
    ]
    assert advised("vignettes", "exact") == Settings()


def test_a_speed_changes_how_a_picture_is_drawn_and_nothing_of_what_it_shows():
    exact, quality, fast = (advised("vignettes", speed) for speed in SPEEDS)
    assert advised("vignettes") == quality
    assert len({exact, quality, fast}) == 3
    shown = ("negative_prompt", "width", "height", "postprocess", "strength")
    for name in shown:
        assert len({getattr(settings, name) for settings in (exact, quality, fast)}) == 1
    assert fast.steps < quality.steps < exact.steps
    for settings in (quality, fast):
        assert settings.guidance_interval and settings.precision == "half"


def test_models_that_nobody_measured_have_one_speed(tiny_sd):
    for name in ("sd2", "sdxl", str(tiny_sd)):
        assert len({advised(name, speed) for speed in SPEEDS}) == 1


def test_an_unknown_speed_is_one_clear_error():
    with pytest.raises(InputError, match="^speed: 'quik' cannot be used; did you mean 'quality'"):
        advised("vignettes", "quik")


def test_the_size_of_a_local_folder_is_read_from_it(tiny_sd):
    assert (advised(str(tiny_sd)).width, advised(str(tiny_sd)).height) == (64, 64)


def test_a_folder_is_pinned_by_its_digest(tiny_sd, monkeypatch):
    monkeypatch.chdir(tiny_sd.parent)
    model = resolve(f"./{tiny_sd.name}", "renderer")
    assert model == ModelRef(name=str(tiny_sd.resolve()), digest=digest(tiny_sd))
    assert locate(model, "renderer") == tiny_sd.resolve()


def test_weights_that_changed_are_not_used_in_silence(tiny_sd, tmp_path):
    folder = shutil.copytree(tiny_sd, tmp_path / "model")
    model = resolve(str(folder), "renderer")
    (folder / "scheduler/scheduler_config.json").write_text("{}")
    with pytest.raises(ModelError, match="have changed since"):
        locate(model, "renderer")


def test_a_bundled_preset_is_its_folder(tiny_sd, tmp_path, monkeypatch):
    monkeypatch.setattr(presets, "BUNDLED", tmp_path)
    assert not is_present(PRESETS["vignettes"])
    with pytest.raises(ModelError, match="missing from this installation"):
        resolve("vignettes", "renderer")
    shutil.copytree(tiny_sd, tmp_path / "pipeline")
    assert is_present(PRESETS["vignettes"])
    assert resolve("vignettes", "renderer") == ModelRef(name="vignettes", digest=digest(tiny_sd))


@pytest.mark.parametrize("name", ["sdlx", "", "a red lighthouse", "\0", "sd2/", 7, None])
def test_an_unknown_name_is_refused_with_the_nearest(name):
    with pytest.raises(InputError, match="did you mean"):
        resolve(name, "renderer")


def test_the_nearest_name_is_a_good_guess():
    with pytest.raises(InputError, match="did you mean 'sdxl'"):
        resolve("sdlx", "renderer")


def test_a_preset_of_another_kind_is_refused():
    with pytest.raises(InputError, match="it is no renderer; one of: vignettes"):
        resolve("gpt2", "renderer")


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "~/nothing", "model.safetensors"])
def test_a_path_that_is_not_there_is_not_taken_for_a_hub_id(name):
    with pytest.raises(ModelError, match="There is no model"):
        resolve(name, "renderer")


def test_a_pickle_file_is_no_model(tmp_path):
    (tmp_path / "model.ckpt").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="no model that Synth loads"):
        resolve(str(tmp_path / "model.ckpt"), "renderer")


def test_a_lora_is_pinned_by_its_digest(tiny_sd):
    file = tiny_sd / "vae/diffusion_pytorch_model.safetensors"
    model = resolve(str(tiny_sd), "renderer", loras=((str(file), 0.5),))
    assert model.loras == ((f"{file}#{digest(file)}", 0.5),)
    with pytest.raises(InputError, match="loras"):
        resolve(str(tiny_sd), "renderer", loras=(("no such lora", 1.0),))


def test_presets_load_no_heavy_library():
    code = (
        "import sys, synth.presets as p\n"
        "try: p.resolve('vignetes', 'renderer')\nexcept Exception: pass\n"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'pandas', 'huggingface_hub') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
