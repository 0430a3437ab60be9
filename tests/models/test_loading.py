"""Pipelines from folders, single files and LoRAs."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from original_format import save_original
from safetensors.torch import load_file, save_file

from synth.errors import ModelError
from synth.jobs import Job, ModelRef, Settings
from synth.models.loading import check_model, load, unload
from synth.presets import resolve
from synth.rendering import render

LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"


def picture(model: ModelRef) -> np.ndarray:
    settings = Settings(width=64, height=64, steps=2)
    (result,) = render([Job(phrase="a cat", prompt="a cat", seed=0, settings=settings, model=model)])
    assert result.status == "done", result.error
    return np.asarray(result.image, dtype=int)


@pytest.fixture
def lora(tmp_path):
    """A LoRA of rank 2 on one layer of the UNet, and the change that it stands for."""
    generator = torch.Generator().manual_seed(0)
    down, up = torch.randn(2, 32, generator=generator), torch.randn(64, 2, generator=generator)
    file = tmp_path / "style.safetensors"
    save_file({f"unet.{LAYER}.lora_A.weight": down, f"unet.{LAYER}.lora_B.weight": up}, file)
    return file, up @ down


def test_the_last_pipeline_is_kept_until_another_is_asked_for(tiny_sd, tiny_sdxl):
    model = resolve(str(tiny_sd), "renderer")
    pipeline = load(model, "cpu", "float32")
    assert load(model, "cpu", "float32") is pipeline
    assert type(load(resolve(str(tiny_sdxl), "renderer"), "cpu", "float32")) is StableDiffusionXLPipeline
    assert load(model, "cpu", "float32") is not pipeline
    kept = load(model, "cpu", "float32")
    unload()
    assert load(model, "cpu", "float32") is not kept


def test_a_pipeline_comes_without_safety_checker_in_the_dtype_asked_for(tiny_sd, capfd):
    pipeline = load(resolve(str(tiny_sd), "renderer"), "cpu", "bfloat16")
    assert pipeline.safety_checker is None
    assert pipeline.unet.dtype == pipeline.vae.dtype == torch.bfloat16
    assert capfd.readouterr() == ("", "")


def test_what_a_cpu_computes_more_slowly_in_bfloat16_stays_in_float32(tiny_sdxl):
    pipeline = load(resolve(str(tiny_sdxl), "renderer"), "cpu", "bfloat16")
    assert pipeline.text_encoder.dtype == pipeline.text_encoder_2.dtype == torch.float32
    for part in (pipeline.unet, pipeline.vae):
        norms = [module for module in part.modules() if isinstance(module, torch.nn.GroupNorm)]
        assert norms and {norm.weight.dtype for norm in norms} == {torch.float32}
    normal = norms[0](torch.ones(1, norms[0].num_channels, 2, 2, dtype=torch.bfloat16))
    assert normal.dtype == torch.bfloat16


def test_loras_are_laid_on_top_with_their_weights(tiny_sd, lora, tmp_path):
    file, change = lora
    folder = shutil.copytree(tiny_sd, tmp_path / "merged")
    weights = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    weights[f"{LAYER}.weight"] += 0.5 * change
    save_file(weights, folder / "unet/diffusion_pytorch_model.safetensors")
    plain = picture(resolve(str(tiny_sd), "renderer"))
    styled = picture(resolve(str(tiny_sd), "renderer", loras=((str(file), 0.5),)))
    assert np.abs(styled - picture(resolve(str(folder), "renderer"))).max() <= 1
    assert np.abs(styled - plain).max() > 3


def test_a_lora_that_changed_is_refused(tiny_sd, lora):
    model = resolve(str(tiny_sd), "renderer", loras=((str(lora[0]), 1.0),))
    save_file({f"unet.{LAYER}.lora_A.weight": torch.zeros(2, 32)}, lora[0])
    with pytest.raises(ModelError, match="LoRA .* has changed"):
        check_model(model)


@pytest.fixture
def single_file(tiny_sd, tiny_sdxl, tmp_path):
    """One model twice: as a folder, and as a file in the original format, with its configs in the folder beside it."""
    vae = StableDiffusionXLPipeline.from_pretrained(tiny_sdxl).vae
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, vae=vae, safety_checker=None)
    pipeline.save_pretrained(tmp_path / "folder")
    shutil.copytree(tmp_path / "folder", tmp_path / "single", ignore=shutil.ignore_patterns("*.safetensors"))
    return tmp_path / "folder", save_original(pipeline, tmp_path / "single.safetensors")


def test_a_single_file_is_the_model_that_its_folder_is(single_file):
    folder, file = single_file
    assert np.abs(picture(resolve(str(file), "renderer")) - picture(resolve(str(folder), "renderer"))).max() <= 1


def test_a_single_file_of_unknown_kind_is_refused_with_the_remedy(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "mystery.safetensors")
    with pytest.raises(ModelError, match="no SD 2 or SDXL checkpoint.*save_pretrained"):
        check_model(resolve(str(tmp_path / "mystery.safetensors"), "renderer"))


@pytest.mark.parametrize(
    "name",
    ["StableVideoDiffusionPipeline", "StableDiffusionInpaintPipeline", "DDPMPipeline", "UNet2DModel", "MyPipeline", 7],
)
def test_a_pipeline_that_makes_no_pictures_from_text_is_refused(tiny_sd, tmp_path, name):
    folder = shutil.copytree(tiny_sd, tmp_path / "model")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": name}))
    with pytest.raises(ModelError, match=f"is a {name}, which"):
        check_model(ModelRef(name=str(folder)))
    with pytest.raises(ModelError, match="no text-to-image model"):
        check_model(ModelRef(name=str(tiny_sd / "text_encoder")))


def test_weights_that_do_not_fit_their_config_are_a_model_error(tiny_sd, tmp_path):
    folder = shutil.copytree(tiny_sd, tmp_path / "model")
    config = json.loads((folder / "unet/config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps(config | {"block_out_channels": [64, 64]}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(ModelRef(name=str(folder)), "cpu", "float32")
