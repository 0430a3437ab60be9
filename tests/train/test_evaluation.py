"""Trained models are measured on what was held out, and the better one becomes the champion."""

import math
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from mlflow_store import new_store

from synth.cli import main
from synth.errors import InputError, ModelError
from synth.measure.intervals import Figure
from synth.models.loading import load
from synth.models.weights import digest, read_json
from synth.presets import resolve
from synth.train.arrays import psnr, to_tensor
from synth.train.connection import connect
from synth.train.data.preparation import prepare
from synth.train.data.prepared import PreparedSet
from synth.train.evaluation import Evaluation, _surprise, evaluate
from synth.train.gpt2 import Gpt2Task, whole
from synth.train.language_learner import load_gpt2
from synth.train.measured import check_comparable
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.promotion import promote
from synth.train.renderer_figures import denoising_figures
from synth.train.runs import train
from synth.train.texts import Texts

QUICK = {"steps": 2, "batch_size": 4, "validate_every": 2, "precision": "fp32"}
LOOK = Evaluate(pictures=5, steps=2, noises=2)
RATES = (("first", 0.0), ("other", 0.5))


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
    assert "| loss |" in found.table() and f"KID by the features of {found.clip}" in found.table()
    assert found.clip.startswith("vignettes-clip sha256:") and found.terms["kid"]["clip"] == found.clip
    assert found.model == digest(run.model) and set(found.terms) == set(values(found.figures))
    assert read_json(run.folder / "metrics.json") == values(found.figures)
    for name, each in found.values.items():
        assert np.mean(each) == pytest.approx(values(found.figures)[name])


def test_the_loss_is_the_error_of_v_on_held_out_latents(tiny_sd, data):
    """Against the definition, written out for one picture at a time with diffusers' own noise schedule."""
    found = denoising_figures(str(tiny_sd), data, LOOK)
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
    assert values(found.figures)["loss"] == pytest.approx(np.mean(errors), rel=2e-3)  # latents and states are in fp16
    assert found.values["loss"] == pytest.approx(np.reshape(errors, (-1, LOOK.noises)).mean(1), rel=2e-2)
    parts = [part for part in found.by_timestep["loss"] if part]
    assert len(found.by_timestep["none"]) == 10 and parts
    assert all(part.low < part.value < part.high or part.high == math.inf for part in parts)
    assert found.units["prediction"] == "v_prediction"


def test_a_unet_that_cannot_hear_does_not_listen(tiny_sd, data, tmp_path):
    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd, local_files_only=True)
    for name, parameter in pipeline.unet.named_parameters():
        if "attn2.to_v" in name:
            parameter.data.zero_()
    pipeline.save_pretrained(tmp_path / "deaf")
    figures = denoising_figures(str(tmp_path / "deaf"), data, LOOK).figures
    assert values(figures)["listens"] == pytest.approx(0, abs=1e-7)
    assert abs(values(denoising_figures(str(tiny_sd), data, LOOK).figures)["listens"]) > 1e-5


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
    assert values(found.figures)["loss"] == pytest.approx(run.figures["loss"], rel=1e-5), "as the log has it: by tokens"


def test_the_noise_of_a_loss_by_tokens_is_that_of_the_ratio(tiny_gpt2, tmp_path):
    """Against resampling texts and their tokens together."""
    texts = [" ".join(["cat", "dog", "house", "tree"][: 1 + number % 4] * (1 + number % 7)) for number in range(40)]
    held_out = Texts(("a",), tuple(f"{text} {number}" for number, text in enumerate(texts)), "here")
    each, _ = _surprise(str(tiny_gpt2), held_out, "cpu")
    gpt2, tokenizer = load_gpt2(str(tiny_gpt2))
    costs, tokens = Gpt2Task(gpt2, tokenizer, str, begin=whole, held_out=held_out.validation).text_costs()
    chosen = np.random.default_rng(0).integers(0, 40, (4000, 40))
    drawn = (costs * tokens)[chosen].sum(1) / tokens[chosen].sum(1)
    assert each.mean() == pytest.approx((costs * tokens).sum() / tokens.sum())
    assert Figure.of_mean("loss", each).half_width == pytest.approx(
        np.ptp(np.quantile(drawn, [0.025, 0.975])) / 2, rel=0.1
    )


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
    assert first.terms["loss"]["data"] != second.terms["loss"]["data"]
    with pytest.raises(InputError, match="with other data, noises"):
        check_comparable(evaluate(run.folder).measured("loss"), second.measured("loss"), "tiny")


def test_losses_of_noise_and_of_v_are_in_different_units(tiny_sd, data, tmp_path):
    look = Evaluate(pictures=0, noises=1)
    found = [
        evaluate(run_of("unet", tiny_sd, data.folder, tmp_path / name, prediction=name).folder, how=look)
        for name in ("epsilon", "v_prediction")
    ]
    with pytest.raises(InputError, match="measured with other prediction: evaluate"):
        check_comparable(*(one.measured("loss") for one in found), "tiny")


def test_parts_of_several_trainings_are_neither_measured_nor_promoted(tiny_sd, data, tmp_path):
    runs = [run_of("unet", tiny_sd, data.folder, tmp_path / name, learning_rate=rate) for name, rate in RATES]
    look = Evaluate(pictures=0, noises=1)
    evaluate(runs[0].folder, how=look)
    shutil.copytree(runs[1].model, runs[0].model, dirs_exist_ok=True)
    with pytest.raises(ModelError, match="holds another model than was measured"):
        promote(runs[0].folder, new_store(tmp_path))
    with pytest.raises(ModelError, match="has parts of several trainings"):
        evaluate(runs[0].folder, how=look)
    shutil.copy(runs[0].best, runs[1].best)
    with pytest.raises(ModelError, match="has parts of several trainings"):
        evaluate(runs[1].folder, how=look)
    runs[1].best.unlink()
    with pytest.raises(ModelError, match="has lost step-00000002.safetensors"):
        evaluate(runs[1].folder, how=look)


def test_mlflow_has_what_was_measured_and_all_of_a_training_that_it_did_not_follow(tiny_sd, data, tmp_path):
    run = run_of("unet", tiny_sd, data.folder, tmp_path / "run")
    evaluate(run.folder, how=Evaluate(pictures=0, noises=1))
    track = new_store(tmp_path)
    champion = promote(run.folder, track).champion
    client = connect(track)
    stored = client.get_run(champion.run)
    assert (champion.model, stored.info.status, stored.data.params["train.steps"]) == ("synth-unet", "FINISHED", "2")
    assert stored.data.metrics["validation_loss"] == pytest.approx(run.figures["loss"])
    assert (stored.data.tags["machine.precision"], stored.data.tags["machine.processes"]) == ("fp32", "1")
    Params.read(run.folder / "params.yaml").but("track", uri=track.uri).write(run.folder / "params.yaml")
    found = evaluate(run.folder)
    stored = client.get_run(champion.run)
    assert stored.data.metrics["evaluation_kid_high"] == pytest.approx(found.measured("kid").figure.high)
    assert stored.info.status == "FINISHED"
    assert {"evaluation", "evaluation.json"} <= {item.path for item in client.list_artifacts(champion.run)}


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
    for name, rate in RATES:
        run_of("unet", tiny_sd, data.folder, tmp_path / name, learning_rate=rate, steps=3, warmup=0)
        assert main(["train", "evaluate", name]) == 0
        assert main(["train", "promote", name, "--uri", uri, "--champion", str(note)]) == 0
        assert read_json(note)["version"] == 1
    written = note.stat().st_mtime_ns
    evaluate(tmp_path / "first", how=Evaluate(pictures=0, noises=3))
    assert main(["train", "promote", "first", "--uri", uri, "--champion", str(note)]) == 0
    assert note.stat().st_mtime_ns == written, "the champion is who it was, however it is measured"
    said = capsys.readouterr().out
    assert "Promoted: it is the first" in said and "Not promoted: loss" in said
    assert main(["train", "best", "--uri", uri, "--out", "champion"]) == 0
    assert PreparedSet.open(data.folder) and (tmp_path / "champion" / "unet").is_dir()
