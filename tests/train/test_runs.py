"""Whole trainings on tiny models: what comes out loads without Synth, kills cost nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pyarrow
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from pyarrow import parquet
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, CLIPModel

from synth.cli import main
from synth.errors import InputError, ModelError, StudyError
from synth.expansion import expand
from synth.jobs import Job, Settings
from synth.models.languages import read_network
from synth.models.weights import digest
from synth.presets import advised, resolve
from synth.records.files import claimed
from synth.rendering import render
from synth.train.checkpoints import checkpoints
from synth.train.data.preparation import prepare
from synth.train.loop import read_log
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.runs import train

QUICK = {"steps": 4, "batch_size": 4, "validate_every": 2, "checkpoint_every": 1, "precision": "fp32"}
DRAWN = Evaluate(steps=2, guidance_scale=2.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two dozen vignettes of 64 pixels."""
    out = tmp_path_factory.mktemp("data") / "prepared"
    return prepare(Data(source="vignettes", size=64, limit=24), out, progress=False).folder


def params(base, **changes):
    return Params(train=Train(**QUICK | {"base": str(base)} | changes), evaluate=DRAWN)


def pixels(model, **lora):
    """The pixels that a model draws, at once and for sure the same."""
    job = Job(
        phrase="a red cat", prompt="a red cat", seed=1, settings=Settings(steps=3, width=64, height=64),
        model=resolve(str(model), "renderer", **lora),
    )  # fmt: skip
    return np.asarray(next(iter(render([job], strict=True))).image).astype(int)


def averages(run):
    found = load_file(checkpoints(run / "checkpoints")[-1])
    return {name: tensor for name, tensor in found.items() if name.startswith("average/")}


def losses(run):
    return [line["loss"] for line in read_log(run / "log.jsonl") if "loss" in line]


def test_a_trained_unet_is_a_plain_pipeline_and_its_checkpoints_render(tiny_sd, data, tmp_path):
    before = digest(tiny_sd)
    run = train(params(tiny_sd, learning_rate=1e-2, keep_last=4), data, tmp_path / "run")
    plain = StableDiffusionPipeline.from_pretrained(run.model, local_files_only=True)
    assert plain.unet.config.block_out_channels == [32, 64]
    assert np.array_equal(pixels(run.model), pixels(run.best))
    assert not np.array_equal(pixels(run.model), pixels(tiny_sd))
    assert len({pixels(path).tobytes() for path in checkpoints(run.folder / "checkpoints")}) == 4
    assert advised(str(run.best)) == advised(str(tiny_sd))
    assert len(list((run.folder / "samples").glob("*.png"))) == 2
    assert digest(tiny_sd) == before


def test_a_lora_is_small_and_draws_what_its_checkpoint_draws(tiny_sd, data, tmp_path):
    how = params(tiny_sd, lora_rank=2, lora_alpha=6.0, text_encoder=1.0, learning_rate=1e-2)
    run = train(how, data, tmp_path / "run")
    lora = run.model / "pytorch_lora_weights.safetensors"
    names = load_file(lora).keys()
    assert {name.split(".")[0] for name in names} == {"unet", "text_encoder"} and all("lora" in name for name in names)
    drawn = pixels(tiny_sd, loras=((str(lora), 1.0),))
    assert abs(drawn - pixels(run.best)).max() <= 1
    assert abs(drawn - pixels(tiny_sd)).max() > 3


def test_sdxl_learns_by_adapters_with_both_encoders_cached(tiny_sdxl, data, tmp_path):
    run = train(params(tiny_sdxl, lora_rank=2, learning_rate=3e-2), data, tmp_path / "run")
    pipeline = StableDiffusionXLPipeline.from_pretrained(tiny_sdxl, local_files_only=True)
    pipeline.load_lora_weights(run.model, local_files_only=True)
    assert pipeline.get_active_adapters()
    assert abs(pixels(run.best) - pixels(tiny_sdxl)).max() > 3
    with pytest.raises(InputError, match="text_encoder: 1.0 cannot be used; use 0: SDXL's two encoders"):
        train(params(tiny_sdxl, text_encoder=1.0), data, tmp_path / "other")


def test_the_prediction_type_and_the_shape_can_be_changed(tiny_sd, data, tmp_path):
    run = train(params(tiny_sd, prediction="epsilon", snr_gamma=5.0), data, tmp_path / "epsilon")
    plain = StableDiffusionPipeline.from_pretrained(run.model, local_files_only=True)
    assert plain.scheduler.config.prediction_type == "epsilon"
    run = train(params(tiny_sd, scratch=True, shape={"layers_per_block": 2}), data, tmp_path / "shape")
    assert StableDiffusionPipeline.from_pretrained(run.model, local_files_only=True).unet.config.layers_per_block == 2
    assert np.array_equal(pixels(run.model), pixels(run.best))
    with pytest.raises(InputError, match="did you mean 'layers_per_block'"):
        train(params(tiny_sd, scratch=True, shape={"layer_per_block": 2}), data, tmp_path / "typo")


def test_an_autoencoder_and_a_clip_learn(tiny_sd, data, tmp_path):
    run = train(params(tiny_sd, kind="vae"), data, tmp_path / "vae")
    assert {"psnr", "psnr_worst"} == run.figures.keys()
    assert not np.array_equal(pixels(run.best), pixels(tiny_sd))
    large = prepare(Data(source="vignettes", size=128, limit=8), tmp_path / "large", progress=False).folder
    run = train(params("vignettes", kind="clip"), large, tmp_path / "clip")
    assert CLIPModel.from_pretrained(run.model, local_files_only=True).config.projection_dim == 128
    assert train(params("vignettes", kind="clip"), data, tmp_path / "small").figures


@pytest.mark.parametrize("rank", [0, 2])
def test_gpt2_learns_a_list_of_prompts(rank, tiny_gpt2, tmp_path):
    texts = [f"a {thing} made of {stuff}" for thing in ("house", "boat", "horse") for stuff in ("glass", "salt", "ice")]
    (tmp_path / "prompts.txt").write_text("\n".join(texts))
    parquet.write_table(pyarrow.table({"id": range(9), "prompt": texts}), tmp_path / "prompts.parquet")
    (tmp_path / "prompts.csv").write_text("id,prompt\n" + "".join(f"{i},{text}\n" for i, text in enumerate(texts)))
    how = params(tiny_gpt2, kind="gpt2", lora_rank=rank, learning_rate=3e-2, steps=60, warmup=5, ema=0.9)
    runs = [train(how, tmp_path / f"prompts.{end}", tmp_path / end) for end in ("txt", "csv", "parquet")]
    assert len({tuple(run.figures.items()) for run in runs}) == 1, "the same texts, however they are stored"
    assert losses(runs[0].folder)[-1] < losses(runs[0].folder)[0] / 2
    model = AutoModelForCausalLM.from_pretrained(runs[0].model, local_files_only=True)
    words = AutoTokenizer.from_pretrained(runs[0].model, local_files_only=True)
    assert model(**words("a horse", return_tensors="pt")).logits.shape[-1] == len(words)
    ids, networks = torch.arange(5)[None], [read_network(path) for path in (runs[0].model, runs[0].best)]
    assert torch.equal(*(network(ids).logits for network in networks)), "a checkpoint writes as its model does"
    assert len(expand("a horse", 2, model=str(runs[0].best)).prompts) == 2
    further = replace(how, train=replace(how.train, base=str(runs[0].best), lora_rank=0, steps=2))
    gone_on = train(further, tmp_path / "prompts.txt", tmp_path / "further")
    assert gone_on.figures["loss"] < runs[0].figures["loss"] + 0.5, "and can be trained further"
    assert (runs[0].model / "adapter" / "adapter_config.json").exists() == bool(rank)


def test_a_killed_training_ends_with_the_same_weights(tiny_sd, data, tmp_path):
    """kill -9 the real command twice; what it leaves ends where an uninterrupted one ends."""
    changes = ["--steps", "12", "--batch-size", "4", "--validate-every", "6", "--checkpoint-every", "1"]
    changes += ["--precision", "fp32", "--text-encoder", "1"]
    command = ["train", "unet", "--data", str(data), "--base", str(tiny_sd), *changes]
    assert main([*command, "--out", str(tmp_path / "whole")]) == 0
    killed, kills = tmp_path / "killed", 0
    while kills < 2:
        seen = len(list((killed / "checkpoints").glob("*"))) and checkpoints(killed / "checkpoints")[-1].name
        words = [sys.executable, "-m", "synth", *command, "--out", str(killed)]
        process = subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"})  # sums in the order of this one's
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            found = checkpoints(killed / "checkpoints")
            if found and found[-1].name != seen and found[-1].name < "step-00000011":
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert main([*command, "--out", str(killed)]) == 0
    whole, broken = averages(tmp_path / "whole"), averages(killed)
    assert whole.keys() == broken.keys() and all(torch.equal(whole[name], broken[name]) for name in whole)
    assert [line["step"] for line in read_log(killed / "log.jsonl") if "loss" in line] == list(range(1, 13))


def test_another_training_is_not_overwritten(tiny_sd, data, tmp_path):
    train(params(tiny_sd, steps=1), data, tmp_path / "run")
    with pytest.raises(InputError, match="it holds a training with other train.learning_rate: train in another folder"):
        train(params(tiny_sd, steps=1, learning_rate=1e-3), data, tmp_path / "run")
    other = prepare(Data(source="vignettes", size=64, limit=12), tmp_path / "other", progress=False).folder
    with pytest.raises(InputError, match="with other data"):
        train(params(tiny_sd, steps=1), other, tmp_path / "run")
    again = train(params(tiny_sd, steps=1), data, tmp_path / "run")
    assert again.figures and again.best.name == "step-00000001.safetensors"


def test_a_folder_in_which_a_training_runs_is_refused(tiny_sd, data, tmp_path):
    with (
        claimed(tmp_path / "run"),
        pytest.raises(StudyError, match="run is in use by another process; wait for that one to finish"),
    ):
        train(params(tiny_sd, steps=1), data, tmp_path / "run")
    assert not (tmp_path / "run" / "run.json").exists()
    assert train(params(tiny_sd, steps=1), data, tmp_path / "run").figures


def test_a_checkpoint_that_makes_no_pictures_is_refused(tiny_gpt2, tmp_path):
    (tmp_path / "prompts.txt").write_text("a horse\na boat\n")
    run = train(params(tiny_gpt2, kind="gpt2", steps=1), tmp_path / "prompts.txt", tmp_path / "run")
    with pytest.raises(ModelError, match="is a checkpoint of 'gpt2', which makes no pictures"):
        pixels(run.best)


@pytest.mark.parametrize("kind", ["unet", "vae"])
def test_pictures_of_a_checkpoint_are_made_again(kind, tiny_sd, data, tmp_path, capsys):
    run = train(params(tiny_sd, kind=kind, learning_rate=1e-2), data, tmp_path / "run")
    how = ["--model", str(run.best), "--steps", "2", "--size", "64", "--seeds", "1", "--out", "studies", "--name", kind]
    assert main(["render", "--prompt", "a red cat", *how]) == 0
    [picture] = (tmp_path / "studies" / kind / "images").glob("*.png")
    assert main(["verify", str(picture)]) == 0
    assert f"equal; its model is a training's checkpoint, over {tiny_sd}" in capsys.readouterr().out


def test_the_card_says_how_the_model_was_made(tiny_sd, data, tmp_path):
    run = train(params(tiny_sd, lora_rank=2), data, tmp_path / "run")
    card = (run.model / "README.md").read_text()
    facts = json.loads((run.folder / "run.json").read_text())
    for text in ("library_name: diffusers", facts["data"], facts["base"], "lora_rank: 2", "| loss |", "load_lora"):
        assert text in card
    as_prepared = Data(source="vignettes", size=64, limit=24)
    assert Params.read(run.folder / "params.yaml") == replace(params(tiny_sd, lora_rank=2), data=as_prepared)


def test_pictures_that_are_not_prepared_are_prepared_first(tiny_sd, tmp_path, capsys):
    assert main(["vignettes", "dataset", "scenes", "--count", "6", "--size", "64"]) == 0
    (tmp_path / "params.yaml").write_text("data: {size: 64}\nevaluate: {steps: 2}\ntrain: {steps: 2, batch_size: 2}\n")
    command = ["train", "unet", "--data", "scenes", "--out", "run", "--params", "params.yaml", "--base", str(tiny_sd)]
    assert main(command) == 0
    assert "is the best (loss" in capsys.readouterr().out
    assert (tmp_path / "run" / "data" / "facts.json").exists()
