"""What a study will take: operations against the published, and seconds, storage and cost from what was measured."""

import json

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from synth.cli import main
from synth.jobs import Job, ModelRef, Settings
from synth.records.estimates import in_words
from synth.records.plans import make_plan
from synth.scale.flops import count_parts, flops
from synth.scale.forecasts import forecast
from synth.studies import study

SMALL = Settings(steps=2, width=64, height=64)


@pytest.fixture(scope="module")
def sd2(tmp_path_factory):
    """The configs of Stable Diffusion 2 in a folder, without weights."""
    folder = tmp_path_factory.mktemp("sd2")
    with torch.device("meta"):
        parts = {
            "unet": UNet2DConditionModel(
                block_out_channels=(320, 640, 1280, 1280), attention_head_dim=(5, 10, 20, 20),
                cross_attention_dim=1024, use_linear_projection=True,
            ),
            "vae": AutoencoderKL(
                block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4,
                down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
            ),
            "text_encoder": CLIPTextModel(CLIPTextConfig(
                hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
            )),
        }  # fmt: skip
    index = {"_class_name": "StableDiffusionPipeline"}
    for name, part in parts.items():
        index[name] = [type(part).__module__.split(".")[0], type(part).__name__]
        part.save_config(folder / name) if name != "text_encoder" else part.config.save_pretrained(folder / name)
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(("size", "teraflop"), [(768, 113.0), (512, 42.7)])
def test_stable_diffusion_2_takes_the_operations_that_are_known(size, teraflop, sd2):
    parts = count_parts(sd2, size, size)
    assert (parts.text + 50 * parts.unet + parts.decode) / 1e12 == pytest.approx(teraflop, rel=0.02)


def test_guidance_doubles_the_unet_and_a_source_is_encoded(tiny_sd):
    def of(**changes):
        settings = SMALL.but(**{name: value for name, value in changes.items() if name != "source"})
        more = {"source": changes["source"]} if "source" in changes else {}
        return flops(Job(phrase="a", prompt="a", seed=0, settings=settings, model=ModelRef(name=str(tiny_sd)), **more))

    parts = count_parts(tiny_sd, 64, 64)
    assert of(guidance_scale=3.0) - of(guidance_scale=1.0) == 2 * parts.unet
    assert of(steps=3) - of(steps=2) == 2 * parts.unet
    assert of(source="0" * 64, strength=1.0) - of() == parts.encode


def test_a_forecast_is_what_was_measured_times_what_is_to_do(tiny_sd, tmp_path):
    how = {"settings": SMALL, "model": str(tiny_sd)}
    made = study(prompts=["a red house"], seeds=4, out=tmp_path, progress=False, device="cpu", **how)
    frame = made.frame()
    found = forecast(make_plan(prompts=["a", "b"], seeds=50, **how), tmp_path, workers=4, price=3.0)
    assert found.pictures == 100 and made.name in found.source
    assert found.seconds == pytest.approx(25 * frame["seconds"].sum())
    assert found.cost == pytest.approx(3 * found.seconds / 3600)
    sizes = sum((made.folder / path).stat().st_size for path in frame["path"])
    assert found.storage == pytest.approx(25 * sizes, rel=0.2)
    slower = make_plan(prompts=["a", "b"], seeds=25, axes=["steps=2,4"], **how)
    assert forecast(slower, tmp_path).operations > found.operations


def test_a_plan_of_a_million_pictures_runs_nothing(tiny_sd, tmp_path, capsys):
    words = ["study", "run", "a house", "--n", "1000", "--seeds", "1000", "--model", str(tiny_sd), "--size", "64"]
    assert main([*words, "--steps", "2", "--device", "cpu", "--plan", "--price", "2", "--workers", "8"]) == 0
    told = capsys.readouterr().out
    assert "1,000,000" in told and "measured now with 16 pictures on cpu" in told
    assert all(name in told for name in ("operations", "device-hours", "on 8 devices", "storage", "cost"))
    assert not (tmp_path / "generated_images").exists()


@pytest.mark.parametrize(("seconds", "words"), [
    (0.4, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7300, "2 hours"), (400_000, "5 days"),
])  # fmt: skip
def test_durations_are_told_in_one_unit(seconds, words):
    assert in_words(seconds) == words
