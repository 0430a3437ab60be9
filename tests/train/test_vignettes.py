"""The whole chain of stages on a toy size: what comes out loads in the plain libraries."""

import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPModel, CLIPTokenizer, GPT2LMHeadModel, GPT2Tokenizer

from synth.errors import InputError, ModelError
from synth.train.loop import read_log
from synth.train.recipe import Recipe
from synth.train.vignettes import STAGES, Workshop, train_vignettes
from synth.vignettes import recipe as recipes
from synth.vignettes.export import check_sizes

TOY = Recipe(steps=2, batch_size=4, learning_rate=1e-3, validate_every=2, checkpoint_every=1, precision="fp32")


@pytest.fixture(scope="module")
def toy():
    """Every recipe as a toy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "RECIPES", dict.fromkeys(recipes.RECIPES, TOY))
        patch.setattr(recipes, "CAPTIONS_FOR_TOKENIZERS", 400)
        patch.setattr("synth.train.vignettes_samples.PICTURES", 2)
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory, toy) -> Workshop:
    folder = tmp_path_factory.mktemp("workshop")
    shapes = replace(recipes.SHAPES, vae_features=32, unet_widths=(32, 32, 32), gpt2_width=40)
    shop = Workshop(
        folder / "work", shipped=folder / "shipped", shapes=shapes, training_pictures=280, held_out_pictures=64
    )
    for stage in STAGES:
        train_vignettes(stage, shop)
    return shop


def test_every_stage_leaves_a_log_with_its_validation(shop):
    for stage in recipes.RECIPES:
        log = read_log(shop.shipped / "logs" / f"{stage}.jsonl")
        assert any(name.startswith("validation_") for line in log for name in line), stage


def test_the_plain_libraries_load_what_was_exported(shop):
    pipeline = StableDiffusionPipeline.from_pretrained(shop.shipped / "pipeline", local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {torch.float32}
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    generator = torch.Generator().manual_seed(0)
    picture = pipeline("a red cat at night", height=128, width=128, num_inference_steps=2, generator=generator).images[
        0
    ]
    assert picture.size == (128, 128)
    gpt2 = GPT2LMHeadModel.from_pretrained(shop.shipped / "gpt2", local_files_only=True)
    words = GPT2Tokenizer.from_pretrained(shop.shipped / "gpt2", local_files_only=True)
    assert gpt2.dtype == torch.float32
    assert gpt2(**words("a red cat", return_tensors="pt")).logits.shape[-1] == len(words)
    clip = CLIPModel.from_pretrained(shop.shipped / "clip", local_files_only=True)
    text = CLIPTokenizer.from_pretrained(shop.shipped / "clip", local_files_only=True)(["a cat"], return_tensors="pt")
    assert clip.get_text_features(**text).pooler_output.shape == (1, clip.config.projection_dim)


def test_only_safetensors_are_shipped(shop):
    sizes = check_sizes(shop.shipped)
    assert {name.rsplit(".", 1)[-1] for name in sizes} <= {"safetensors", "json", "jsonl", "txt"}


def test_too_large_a_file_is_refused(shop, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"0" * 16_000_001)
    with pytest.raises(ModelError, match="model.safetensors has 16,000,001 bytes"):
        check_sizes(tmp_path)


def test_a_warm_workshop_goes_on_from_what_ships(shop, tmp_path, toy):
    """With nothing but the shipped folder, a stage trains further and only its model is written again."""
    shipped = tmp_path / "shipped"
    shutil.copytree(shop.shipped, shipped)
    before = {path.relative_to(shipped): path.read_bytes() for path in shipped.rglob("*.safetensors")}
    warm = replace(shop, work=tmp_path / "work", shipped=shipped, warm=True)
    train_vignettes("unet", warm)
    train_vignettes("export", warm)
    changed = {path for path, data in before.items() if (shipped / path).read_bytes() != data}
    assert {path.parts[:2] for path in changed} == {("pipeline", "unet"), ("pipeline", "text_encoder")}
    old = StableDiffusionPipeline.from_pretrained(shop.shipped / "pipeline", local_files_only=True).unet
    new = StableDiffusionPipeline.from_pretrained(shipped / "pipeline", local_files_only=True).unet
    largest = max((a - b).abs().max() for a, b in zip(old.parameters(), new.parameters(), strict=True))
    assert 0 < largest < 0.01, "two steps away, not a new start"


def test_latents_of_another_autoencoder_are_not_taken_for_its_own(shop, tmp_path, toy):
    warm = replace(shop, work=tmp_path / "work", warm=True)
    for stage, steps in (("unet", 1), ("vae", 1), ("unet", 2)):
        train_vignettes(stage, warm, steps=steps)
    assert len(list((warm.work / "unet").glob("latents-280-*.npy"))) == 2


def test_a_stage_before_its_turn_says_which_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "CAPTIONS_FOR_TOKENIZERS", 50)
    with pytest.raises(ModelError, match="'vae' has not been trained"):
        train_vignettes("unet", Workshop(tmp_path, training_pictures=4, held_out_pictures=4))


def test_an_unknown_stage_is_refused(tmp_path):
    with pytest.raises(InputError, match="stage: 'vea'"):
        train_vignettes("vea", Workshop(tmp_path))
