"""`dvc repro` on the repository's own dvc.yaml: the whole chain, and then only what a change concerns."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.api import exp_show

from synth.errors import InputError, ModelError
from synth.train import figures
from synth.train.evaluation import evaluate
from synth.train.fine_tuning import FineTuning
from synth.train.history import History
from synth.train.loop import read_log
from synth.train.params import Params
from synth.train.runs import train

ROOT = Path(__file__).parents[2]
STAGES = ("data", "train", "evaluate", "promote", "champion")
TINY = {
    "data": {"limit": 16, "validation": 0.3},
    "train": {"steps": 2, "batch_size": 2, "validate_every": 2},
    "evaluate": {"pictures": 2, "steps": 2, "noises": 1},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what DVC reads, with a training of two steps."""
    folder = copied(tmp_path_factory.mktemp("project"))
    with (folder / ".dvc" / "config").open("a") as config:
        config.write("    no_scm = true\n")
    return folder


@pytest.fixture(scope="module")
def experiments(tiny_sd, tmp_path_factory):
    """A repository in which two learning rates were tried on a tiny model."""
    folder = copied(tmp_path_factory.mktemp("experiments"))
    change(folder, "data", size=64)
    change(folder, "train", base=str(tiny_sd), precision="fp32")
    change(folder, "evaluate", pictures=0)
    change(folder, "track", uri="off")
    shutil.copyfile(ROOT / ".gitignore", folder / ".gitignore")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "a training"]):
        ran(["git", *words], folder)
    for rate in (1e-6, 1e-2):
        ran([sys.executable, "-m", "dvc", "exp", "run", "evaluate", "-S", f"train.learning_rate={rate}"], folder)
    return folder


def copied(folder: Path) -> Path:
    """What DVC reads, with a training of two steps."""
    (folder / ".dvc").mkdir()
    shutil.copyfile(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    assert "analytics = false" in (folder / ".dvc" / "config").read_text()
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    for section, values in TINY.items():
        change(folder, section, **values)
    return folder


def change(folder: Path, section: str, **values) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def reproduce(folder: Path) -> set[str]:
    """The stages that `dvc repro` ran."""
    said = ran([sys.executable, "-m", "dvc", "repro"], folder)
    return {stage for stage in STAGES if f"Running stage '{stage}'" in said}


def ran(command: list[str], folder: Path) -> str:
    """What a command said that must go well."""
    environment = os.environ | surroundings(folder)
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def surroundings(folder: Path) -> dict[str, str]:
    somebody = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    places = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    return places | somebody | {"DVC_SITE_CACHE_DIR": str(folder.parent / "site"), "DVC_NO_ANALYTICS": "1"}


def test_a_change_runs_what_depends_on_it_and_nothing_after_a_model_that_is_no_better(project):
    assert reproduce(project) == set(STAGES)
    assert (project / "training" / "champion" / "README.md").exists()
    assert reproduce(project) == set()
    change(project, "evaluate", steps=3)
    assert reproduce(project) == {"evaluate", "promote"}, "the model is the champion already"
    change(project, "train", learning_rate=0.0)
    assert reproduce(project) == {"train", "evaluate", "promote"}, "a training that learned nothing is no better"


def test_what_dvc_tried_is_compared_as_the_notebook_does(experiments, monkeypatch):
    monkeypatch.chdir(experiments)
    for name, value in surroundings(experiments).items():
        monkeypatch.setenv(name, value)
    tried = FineTuning(runs="dvc").others
    rates = {float(History.read(folder).params["learning_rate"]): folder for folder in tried}
    assert set(rates) == {1e-6, 1e-2}
    axes = figures.comparison(tried).axes[0]
    named = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(named) == ["learning_rate 0.01", "learning_rate 1e-06"]
    losses = {folder: float(History.read(folder).best["loss"]) for folder in tried}
    assert named[0] == f"learning_rate {next(rate for rate in rates if rates[rate] == min(losses, key=losses.get))}"
    shown = {row["train.learning_rate"]: row["loss"] for row in exp_show() if row["Experiment"]}
    assert set(shown) == {1e-6, 1e-2} and len(set(shown.values())) == 2, "`dvc exp show` has what was measured"


def test_a_checkout_of_another_experiment_is_neither_measured_nor_gone_on_with(experiments):
    """The checkpoints of the second training lie beside the result of the first."""
    first = next(row["rev"] for row in exp_show(str(experiments)) if row["train.learning_rate"] == 1e-6)
    ran(["git", "checkout", "-q", first, "--", "dvc.lock", "params.yaml"], experiments)
    ran([sys.executable, "-m", "dvc", "checkout", "-q", "train"], experiments)
    run = experiments / "training" / "run"
    with pytest.raises(ModelError, match="has parts of several trainings, as a checkout leaves them"):
        evaluate(run)
    data = str(experiments / "training" / "data")
    with pytest.raises(InputError, match="it holds a training with other checkpoints"):
        train(Params.read(run / "params.yaml"), data, run)
    before = (run / "log.jsonl").read_text()
    again = train(Params.read(run / "params.yaml"), data, run, replace_other=True)
    assert [line["loss"] for line in read_log(run / "log.jsonl") if "loss" in line] == [
        json.loads(line)["loss"] for line in before.splitlines() if '"loss"' in line
    ]
    assert again.figures == json.loads((run / "result.json").read_bytes())["figures"]


def test_the_params_of_the_repository_are_right_and_typos_are_not():
    params = Params.read(ROOT / "params.yaml")
    assert params.train.kind == "unet" and params.track.uri.startswith("sqlite")
    data = yaml.safe_load((ROOT / "params.yaml").read_text())
    data["train"]["lora_rnak"] = 8
    with pytest.raises(InputError, match="field of train: 'lora_rnak' cannot be used; did you mean 'lora_rank'"):
        Params.from_dict(data)
    data["train"] = {"steps": "60"}
    with pytest.raises(InputError, match="train.steps: '60' cannot be used; give a whole number"):
        Params.from_dict(data)
