"""Trained models are measured on what was held out, and the better one becomes the champion."""

import math

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from mlflow_store import new_store

from synth.cli import main
from synth.errors import InputError, ModelError
from synth.models.loading import load
from synth.models.weights import read_json
from synth.presets import resolve
from synth.train.arrays import psnr, to_tensor
from synth.train.data.preparation import prepare
from synth.train.data.prepared import PreparedSet
from synth.train.evaluation import Evaluation, evaluate
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.promotion import promote
from synth.train.renderer_figures import denoising_figures
from synth.train.runs import train

QUICK = {"steps": 2, "batch_size": 4, "validate_every": 2, "precision": "fp32"}
LOOK = Evaluate(pictures=5, steps=2, noises=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "prepared"
    return prepare(Data(source="vignettes", size=64, limit=24, validation=0.4), out, progress=False)


def run_of(kind, base, data, out, **changes):
    how = Params(train=Train(**QUICK | {"kind": kind, "base": str(base)} | changes), evaluate=LOOK)
    return train(how, data, out)


def values(figures):
    return {figure.name: figure.value for figure in figures}


def test_a_training_that_learned_nothing_is_as_good_as_its_base(tiny_sd, data, tmp_path):
    run = run_of("unet", tiny_sd, data.folder, tmp_path / "run", learning_rate=0.0)
    found = evaluate(run.folder)
    assert values(found.figures) == pytest.approx(values(found.before))
    assert {"loss", "none", "listens", "clip_score", "kid"} <= values(found.figures).keys()
    assert all(figure.low <= figure.value <= figure.high for figure in found.figures)
    assert (run.folder / "evaluation" / "after.png").exists()
    assert Evaluation.read(run.folder) == found
    assert "| loss |" in found.table()


def test_the_loss_is_the_error_of_v_on_held_out_latents(tiny_sd, data):
    """Against the definition, written out for one picture at a time with diffusers' own noise schedule."""
    figures, by_timestep = denoising_figures(str(tiny_sd), data, LOOK)
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    places, generator, errors = data.indices("validation"), torch.Generator().manual_seed(LOOK.seed), []
    for number, place in enumerate(places):
        shift = number * 0.6180339887498949 % 1
        for noise_number in range(LOOK.noises):
            step = torch.tensor([int((noise_number + shift) / LOOK.noises % 1 * 1000)])
            with torch.no_grad():
                latents = pipeline.vae.encode(to_tensor(data.pictures[place : place + 1])).latents.half().float()
                latents = latents * pipeline.vae.config.scaling_factor
                noise = torch.randn(latents.shape, generator=generator)
                noisy = pipeline.scheduler.add_noise(latents, noise, step)
                target = pipeline.scheduler.get_velocity(latents, noise, step)
                states = pipeline.encode_prompt(data.records[place].captions[0], "cpu", 1, False)[0]
                made = pipeline.unet(noisy, step, encoder_hidden_states=states).sample
            errors.append((made - target).pow(2).mean().item())
    assert values(figures)["loss"] == pytest.approx(np.mean(errors), rel=2e-3)  # latents and states are kept in fp16
    assert len(by_timestep["loss"]) == len(by_timestep["none"]) <= 10


def test_a_unet_that_cannot_hear_does_not_listen(tiny_sd, data, tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    for name, parameter in pipeline.unet.named_parameters():
        if "attn2.to_v" in name:
            parameter.data.zero_()
    pipeline.save_pretrained(tmp_path / "deaf")
    figures, _ = denoising_figures(str(tmp_path / "deaf"), data, LOOK)
    assert values(figures)["listens"] == pytest.approx(0, abs=1e-7)
    assert abs(values(denoising_figures(str(tiny_sd), data, LOOK)[0])["listens"]) > 1e-5


def test_an_autoencoder_is_measured_by_its_reconstructions(tiny_sd, data, tmp_path):
    run = run_of("vae", tiny_sd, data.folder, tmp_path / "run")
    found = evaluate(run.folder)
    vae = load(resolve(str(run.model), "renderer"), "cpu", "float32").vae
    real = to_tensor(data.pictures[data.indices("validation")])
    with torch.no_grad():
        ratios = psnr(vae.decode(vae.encode(real).latents).sample, real)
    assert values(found.figures)["psnr"] == pytest.approx(ratios.mean().item(), rel=1e-4)
    assert values(found.figures)["mse"] == pytest.approx((10 ** (-ratios / 10)).mean().item(), rel=1e-3)
    assert (run.folder / "evaluation" / "worst.png").exists()


def test_gpt2_is_measured_by_its_surprise(tiny_gpt2, tmp_path):
    (tmp_path / "prompts.txt").write_text("\n".join(f"a {word} made of glass" for word in ("house", "boat", "cat")))
    run = run_of("gpt2", tiny_gpt2, tmp_path / "prompts.txt", tmp_path / "run", steps=40, learning_rate=3e-2, warmup=2)
    found = evaluate(run.folder)
    assert values(found.figures)["perplexity"] == pytest.approx(math.exp(values(found.figures)["loss"]))
    assert values(found.figures)["loss"] < values(found.before)["loss"] - 1


def test_clip_is_measured_by_what_it_finds(tmp_path):
    large = prepare(Data(source="vignettes", limit=12, validation=0.4), tmp_path / "data", progress=False)
    run = run_of("clip", "vignettes", large.folder, tmp_path / "run", learning_rate=0.0)
    found = evaluate(run.folder)
    assert found.figures == found.before and 0.5 <= values(found.figures)["retrieval"] <= 1


def test_other_data_and_other_ways_to_measure(tiny_sd, data, tmp_path):
    run = run_of("unet", tiny_sd, data.folder, tmp_path / "run")
    other = prepare(Data(source="vignettes", size=64, limit=9, seed=500), tmp_path / "other", progress=False)
    first = evaluate(run.folder, how=Evaluate(pictures=0, noises=1))
    second = evaluate(run.folder, data=other.folder, how=Evaluate(pictures=0, noises=1))
    assert values(first.figures).keys() == {"loss", "none", "listens"}
    assert values(first.figures) != values(second.figures)


def test_what_is_not_finished_or_not_measured_is_told(tiny_sd, data, tmp_path):
    with pytest.raises(ModelError, match="holds no finished training"):
        evaluate(tmp_path)
    run = run_of("unet", tiny_sd, data.folder, tmp_path / "run")
    with pytest.raises(ModelError, match="has not been measured; run `synth train evaluate"):
        promote(run.folder, new_store(tmp_path))
    evaluate(run.folder, how=Evaluate(pictures=0, noises=1))
    with pytest.raises(InputError, match="track.metric: 'kid' cannot be used; use one that was measured: loss, none"):
        promote(run.folder, new_store(tmp_path, metric="kid"))


def test_the_champions_file_changes_with_the_champion_only(tiny_sd, data, tmp_path, capsys):
    uri, note = new_store(tmp_path).uri, tmp_path / "champion.json"
    for name, rate in (("first", 0.0), ("worse", 0.5)):
        run_of("unet", tiny_sd, data.folder, tmp_path / name, learning_rate=rate, steps=3, warmup=0)
        assert main(["train", "evaluate", name]) == 0
        assert main(["train", "promote", name, "--uri", uri, "--champion", str(note)]) == 0
        assert read_json(note)["version"] == 1
    said = capsys.readouterr().out
    assert "Promoted: it is the first" in said and "Not promoted: loss" in said
    assert main(["train", "best", "--uri", uri, "--out", "champion"]) == 0
    assert PreparedSet.open(data.folder) and (tmp_path / "champion" / "unet").is_dir()
