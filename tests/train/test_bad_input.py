"""What people get wrong: each mistake is one line that names the field, the value and the remedy, and exit code 2."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow_store import new_store
from wrong_things import QUICK, SKETCH, write_wrong_things

from synth.cli import main
from synth.train.checkpoints import checkpoints
from synth.train.data.preparation import prepare
from synth.train.evaluation import evaluate
from synth.train.params import Data, Params, Train
from synth.train.runs import train

SHORT = ["--steps", "2", "--batch-size", "4", "--validate-every", "2", "--checkpoint-every", "1", "--precision", "fp32"]


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_sd, tiny_sdxl, tiny_gpt2):
    return write_wrong_things(tmp_path_factory.mktemp("place"), sd=tiny_sd, sdxl=tiny_sdxl, gpt2=tiny_gpt2)


@pytest.fixture(autouse=True)
def in_place(place, monkeypatch):
    """Without AWS's and MLflow's settings of whoever runs the tests."""
    monkeypatch.chdir(place)
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(place / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(place / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def complaint(words, capsys):
    """The one line on stderr of a command that ends with exit code 2, progress bars apart."""
    assert main([str(word) for word in words]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("synth:", "Traceback"))]
    assert len(said) == 1 and said[0].startswith("synth: ")
    return said[0]


def trained(kind, base, data, out):
    return train(Params(train=Train(kind=kind, base=str(base), **QUICK), evaluate=SKETCH), data, out)


def unet(*more, data="ready", base="sd", out="out"):
    return ["train", "unet", "--data", data, "--base", base, "--out", out, *SHORT, *more]


def other(kind, *more, data="prompts.txt", base="gpt2", out="out"):
    return ["train", kind, "--data", data, "--base", base, "--out", out, *SHORT, *more]


def given(name, kind="unet", base="sd", data="ready"):
    return ["train", kind, "--data", data, "--base", base, "--out", "out", "--params", f"{name}.yaml"]


def prepared(source, *more, out="out"):
    return ["train", "data", "prepare", source, "--out", out, *more]


MISTAKES = [
    # pictures and captions
    (prepared("uncaptioned"), "source: 'uncaptioned' .*none of its 3 pictures has a caption: put a metadata.jsonl"),
    (prepared("single"), "source: 'single' .*at least two captioned pictures are needed"),
    (prepared("nothing"), "source: 'nothing' .*give a folder with pictures"),
    (prepared("nowhere"), "source: 'nowhere' .*give a folder that exists"),
    (prepared("file"), "source: 'file' .*give the folder that it is in"),
    (prepared("wide"), "source: 'wide' .*left out: 1 too large"),
    (prepared("claiming"), "source: 'claiming' .*left out: 1 too large"),
    (prepared("corrupt"), "source: 'corrupt' .*left out: 3 unreadable"),
    (prepared("missing"), "source: 'missing' .*names 1 picture that is not there, first 'b.png'"),
    (prepared("wordless"), "caption: 'auto' .*name the column of metadata.csv with the captions: words"),
    (prepared("nameless"), "metadata.csv' .*give metadata.csv a column file_name .it has file, text"),
    (prepared("outside"), "file_name: '../a.png' .*must name a picture inside"),
    (prepared("unquoted"), "line 2 of metadata.csv has more cells than the first: put texts in quotes"),
    (prepared("flowers"), "imagelabels.mat names 1 picture that is not there, first 'jpg/image_00002.jpg'"),
    (prepared("flowers_cut"), "download imagelabels.mat again: its list 'labels' is unreadable"),
    (prepared("good", "--layout", "flowers"), "source: 'good' .*flowers needs a folder with jpg/ and imagelabels.mat"),
    (prepared("good", "--captions-from", "x"), "captions_from: 'x' .*leave it out: it belongs to flowers"),
    (prepared("good", "--size", "100"), "data.size: 100 .*use a multiple of 8, such as 96 or 104"),
    (prepared("good", "--validation", "0.9"), "data.validation: 0.9 .*use a number from 0.01 to 0.5"),
    (prepared("good", "--crop", "stretch"), "data.crop: 'stretch' .*did you mean 'centre'"),
    (prepared("good", "--limit", "1"), "limit: 1 .*at least two"),
    (prepared("nobody/nothing-here"), "source: 'nobody/nothing-here' .*a data set that the hub has"),
    (prepared("good", out="file"), "out: 'file' .*this is a file"),
    (prepared("good", out="good"), "out: 'good' .*choose a new or empty folder"),
    (prepared("good", out="ready"), "out: 'ready' .*it was prepared otherwise .source was 'vignettes' and is 'good'"),
    # params.yaml
    (given("typo"), "field of train: 'step' .*did you mean 'steps'"),
    (given("section"), "section: 'trian' .*did you mean 'train'"),
    (given("type"), "train.steps: '5' .*give a whole number"),
    (given("tag"), "params: 'tag.yaml' .*put its YAML right: 'x' in line 1 is no timestamp"),
    (given("list"), r"params: \['a', 'b'\] .*each as `name: value`"),
    (given("number"), "params: 42 .*each as `name: value`"),
    (given("broken"), "params: 'broken.yaml' .*put its YAML right"),
    (given("twice"), "params: 'twice.yaml' .*'steps' stands twice, again in line 1"),
    (given("deep"), "params: 'deep.yaml' .*put its YAML right"),
    (given("nothing"), "train: None .*give fields"),
    (given("nan"), "train.learning_rate: nan .*use a number from 0 to 10"),
    (given("betas"), r"train.betas: \(0.9,\) .*give two numbers"),
    (given("large_betas"), "train.betas: 1.0 .*use a number from 0 to"),
    (given("prolonged"), "train.prolonged: -5 .*use a whole number"),
    (given("alpha"), "train.lora_alpha: 8.0 .*give the adapter a lora_rank"),
    (given("snr", kind="gpt2"), "train.snr_gamma: 5.0 .*a gpt2 predicts no noise"),
    (given("prices"), "sagemaker.prices.ml.g5.xlarge: 'cheap' .*use a number"),
    (given("binary"), "params: 'binary.yaml' .*it is no UTF-8 text"),
    (given("folder"), "params: 'folder.yaml' .*Is a directory"),
    (given("absent"), "params: 'absent.yaml' .*No such file"),
    (given("shape_alone"), "train.shape: .*add scratch: true"),
    (given("unknown_shape"), "train.shape: 'layers' .*did you mean 'layers_per_block'"),
    (given("wrong_shape"), "train.shape: .*give one that makes a network"),
    (given("odd_shape"), r"train.shape: .*num_channels \(30\) must be divisible"),
    (given("other_latents"), "train.shape: .*fits the other parts .*expected input"),
    (given("few_words", kind="clip", base="vignettes"), "train.shape: .*index out of range"),
    # options
    (unet("--steps", "-5"), "train.steps: -5 .*from 1 to 10,000,000"),
    (unet("--steps", "many"), "steps: 'many' .*give a whole number"),
    (unet("--lora-rank", "10000"), "train.lora_rank: 10000 .*from 0 to 512"),
    (unet("--lora-rank", "4", "--scratch"), "train.lora_rank: 4 .*an adapter needs trained weights"),
    (unet("--learning-rate", "abc"), "learning_rate: 'abc' .*give a number"),
    (unet("--precision", "fp8"), "train.precision: 'fp8' .*did you mean 'fp32'"),
    (unet("--accumulate", "3"), "train.accumulate: 3 .*divides batch_size"),
    (other("clip", "--accumulate", "2", base="vignettes", data="ready"), "train.accumulate: 2 .*use 1: each picture"),
    (unet("--caption-dropout", "1.5"), "train.caption_dropout: 1.5 .*from 0 to 1"),
    (unet("--prediction", "x0"), "train.prediction: 'x0' .*did you mean"),
    (unet("--learn-rate", "1"), "has no option --learn-rate; did you mean --learning-rate"),
    (unet("--device", "cuda:7"), "device: 'cuda:7' .*this machine has"),
    (unet("--kind", "vae"), "has no option --kind"),
    (other("vae", "--lora-rank", "4", base="sd", data="ready"), "has no option --lora-rank"),
    (other("gpt2", "--text-encoder", "1"), "has no option --text-encoder"),
    (unet("--text-encoder", "1", base="sdxl"), "train.text_encoder: 1.0 .*SDXL's two encoders stay as they are"),
    (unet("--prediction", "epsilon", base="vignettes"), "train.prediction: 'epsilon' .*use v_prediction: the base's"),
    (["train", "unet", "--out", "out"], "data: None .*give --data"),
    (["train", "unet", "--data", "ready"], "--out; see `synth train unet --help`"),
    (["train", "unett"], "command: 'unett' .*did you mean 'unet'"),
    # what it starts from
    (unet(base="vignete"), "train.base: 'vignete' .*did you mean 'vignettes'"),
    (unet(base="gpt2-medium"), "train.base: 'gpt2-medium' .*it is no renderer"),
    (unet(base="/nowhere/model"), "There is no model /nowhere/model; check the path"),
    (unet(base="nobody/nothing-here"), "nobody/nothing-here is not in the cache .*give a local folder"),
    (unet(base="./gpt2"), "is no text-to-image model"),
    (unet(base="cut.safetensors"), "cut.safetensors is cut off"),
    (unet(base="gpt2_run/checkpoints/step-00000002.safetensors"), "a checkpoint of 'gpt2', which makes no pictures"),
    (unet(base="ready"), "ready is not a model folder"),
    (other("gpt2", base="sd"), "sd is a pipeline that renders and no expander"),
    (other("clip", base="sd", data="ready"), "sd is a pipeline that renders and no clip"),
    (other("gpt2", base="unet_run/checkpoints/step-00000002.safetensors"), "'unet', which makes no prompts"),
    # what it learns from
    (unet(data="uncaptioned"), "source: 'uncaptioned' .*has a caption"),
    (unet(data="nowhere"), "source: 'nowhere' .*give a folder that exists"),
    (other("gpt2", data="empty.txt"), "data: 'empty.txt' .*at least two different texts"),
    (other("gpt2", data="one.txt"), "data: 'one.txt' .*at least two different texts"),
    (other("gpt2", data="columns.csv"), "caption: 'auto' .*name the column of columns.csv .*id, body"),
    (other("gpt2", data="commas.csv"), "line 2 of commas.csv has more cells than the first: put texts in quotes"),
    (other("gpt2", data="broken.parquet"), "data: 'broken.parquet' .*give a file that can be read"),
    (other("gpt2", data="letter.pdf"), "data: 'letter.pdf' .*ends in .txt, .csv, .parquet"),
    (other("gpt2", data="good"), "data: 'good' .*give a prepared set, or a file"),
    # where it goes
    (unet(out="file"), "out: 'file' .*it is a file: give a folder"),
    (unet(out="file/run"), "out: 'file/run' .*file is a file: give a folder"),
    (unet(out="good"), "out: 'good' .*this one has other files in it, such as 000"),
    (unet(out="ready"), "out: 'ready' .*this one has other files in it, such as facts.json"),
    (unet("--learning-rate", "0.5", out="unet_run"), "out: 'unet_run' .*other train.learning_rate.* add --replace"),
    (other("vae", base="sd", data="ready", out="unet_run"), "out: 'unet_run' .*with other train.kind"),
    (unet(out="damaged"), "out: 'damaged' .*its run.json is damaged"),
    (unet(out="other_shape"), "step-00000002.safetensors is of another model .it has no unet/"),
    # afterwards
    (["train", "evaluate", "nowhere"], "nowhere holds no finished training"),
    (["train", "evaluate", "unfinished"], "unfinished holds no finished training"),
    (["train", "evaluate", "unet_run", "--data", "good"], "data: 'good' .*`synth train data prepare` has finished"),
    (["train", "evaluate", "unet_run", "--params", "clip.yaml"], "nobody/nothing-here is not in the cache"),
    (["train", "promote", "unet_run"], "unet_run has not been measured; run `synth train evaluate unet_run` first"),
    (["train", "best", "--uri", "http://127.0.0.1:9"], "track.uri: 'http://127.0.0.1:9' .*check that MLflow runs"),
    (["train", "best", "--uri", "nonsense://x"], "track.uri: 'nonsense://x' .*check that MLflow runs there"),
    (["expand", "a cat", "--expander", "sd"], "sd is a pipeline that renders and no expander"),
    (["expand", "a cat", "--expander", "cut.safetensors"], "cut.safetensors is cut off"),
    # on AWS
    (["train", "sagemaker", "unet", "--data", "ready", "--params", "role.yaml"], "sagemaker.role: '' .*give the ARN"),
    (["train", "sagemaker", "unet", "--data", "good", "--params", "cloud.yaml"], "data: 'good' .*has finished"),
    (["train", "sagemaker", "unett", "--data", "ready", "--params", "cloud.yaml"], "invalid choice: 'unett'"),
    (["train", "sagemaker", "unet", "--data", "ready", "--params", "cloud.yaml", "--yes"], "There are no AWS cred"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "told"), MISTAKES, ids=[told[:40] for _, told in MISTAKES])
def test_a_mistake_is_one_line(words, told, capsys):
    said = complaint(words, capsys)
    assert re.search(told, said), said
    assert not (Path("out") / "checkpoints").exists(), "it was known before the first step"
    shutil.rmtree("out", ignore_errors=True)


def test_after_a_mistake_the_right_command_works_in_the_same_folder(tmp_path, capsys):
    out = str(tmp_path / "run")
    for wrong in (unet(data="corrupt", out=out), unet(base="vignete", out=out), unet("--precision", "fp8", out=out)):
        complaint(wrong, capsys)
    assert main(unet(out=out)) == 0
    assert complaint([*unet(out=out), "--learning-rate", "0.5"], capsys)
    assert main([*unet(base="sd", out=out), "--learning-rate", "0.5", "--replace"]) == 0


def test_how_often_it_is_looked_at_may_change(tmp_path):
    out = str(tmp_path / "run")
    assert main(unet(out=out)) == 0
    assert main([*unet(out=out), "--keep-last", "5", "--accumulate", "2"]) == 0


def test_an_autoencoder_in_parts_is_another_training(tmp_path, capsys):
    """Its noise is measured by the latents that are computed at once."""
    words = other("vae", base="sd", data="ready", out=str(tmp_path / "run"))
    assert main(words) == 0
    assert "a training with other train.accumulate" in complaint([*words, "--accumulate", "2"], capsys)


def test_replace_takes_the_pictures_as_they_are_now(tmp_path, capsys):
    out, good = tmp_path / "run", tmp_path / "good"
    shutil.copytree("good", good)
    words = unet(data=str(good), out=str(out))
    assert main([*words, "--params", "small.yaml"]) == 0
    next(good.glob("*.txt")).write_text("quite another caption")
    assert "files in" in complaint([*words, "--params", "small.yaml"], capsys)
    assert main([*unet(data=str(out / "data"), out=str(out))]) == 0, "with the pictures as they were it goes on"
    assert main([*words, "--params", "small.yaml", "--replace"]) == 0
    assert "quite another caption" in (out / "data" / "records.jsonl").read_text()


def test_replace_deletes_nothing_before_all_is_checked(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(unet(out=str(out))) == 0
    complaint([*unet(out=str(out), data="corrupt"), "--replace"], capsys)
    complaint([*unet(out=str(out), base="sdxl"), "--text-encoder", "1", "--replace"], capsys)
    assert (out / "model" / "README.md").is_file() and (out / "run.json").is_file()


@pytest.mark.parametrize("seed", [2**32, 2**63 - 1])
def test_any_seed_can_be_used(seed, tmp_path):
    assert main([*unet(out=str(tmp_path / "run")), "--seed", str(seed)]) == 0


def test_a_cut_checkpoint_is_named_and_without_it_the_training_goes_on(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(unet(out=str(out))) == 0
    last = checkpoints(out / "checkpoints")[-1]
    last.write_bytes(last.read_bytes()[:5000])
    assert f"{last} cannot be read" in complaint(unet(out=str(out)), capsys)
    last.unlink()
    assert main(unet(out=str(out))) == 0


def test_a_checkpoint_among_the_older_ones_that_is_cut_is_named_at_once(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(unet(out=str(out))) == 0
    first = checkpoints(out / "checkpoints")[0]
    first.write_bytes(first.read_bytes()[:5000])
    assert f"{first} cannot be read" in complaint(unet(out=str(out)), capsys)


def test_data_that_changed_since_are_not_measured_on(tmp_path, capsys):
    data = prepare(Data(source="vignettes", size=64, limit=12), tmp_path / "data", progress=False).folder
    run = trained("vae", "sd", data, tmp_path / "run")
    shutil.rmtree(data)
    prepare(Data(source="vignettes", size=64, limit=12, validation=0.5), data, progress=False)
    assert "they have changed since they were trained on" in complaint(["train", "evaluate", run.folder], capsys)


def test_texts_are_held_out_for_the_evaluation_as_they_were_for_the_training(tmp_path):
    params = Params(data=Data(validation=0.5), train=Train(kind="gpt2", base="gpt2", **QUICK))
    run = train(params, "prompts.txt", tmp_path / "run")
    assert evaluate(run.folder).measured("loss").figure.value > 0


def test_a_figure_that_was_not_measured_cannot_decide(tmp_path, capsys):
    run = trained("vae", "sd", "ready", tmp_path / "run")
    evaluate(run.folder)
    words = ["train", "promote", run.folder, "--uri", new_store(tmp_path).uri, "--params", "metric.yaml"]
    assert "track.metric: 'beauty' cannot be used; use one that was measured: mse, psnr" in complaint(words, capsys)


def test_the_card_keeps_secrets(tmp_path):
    params = Params(train=Train(kind="vae", base="sd", **QUICK)).but(
        "sagemaker", role="arn:aws:iam::123456789012:role/R"
    )
    card = (train(params, "ready", tmp_path / "run").model / "README.md").read_text()
    assert "123456789012" not in card and "size: 64" in card


def test_pictures_of_another_size_are_made_the_clips(tmp_path):
    run = trained("clip", "vignettes", "ready", tmp_path / "run")
    assert json.loads((run.model / "config.json").read_text())["vision_config"]["image_size"] == 128
    assert np.isfinite(run.figures["retrieval"])
