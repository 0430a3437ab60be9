"""`dvc repro` on the repository's own dvc.yaml: the whole chain, and then only what a change concerns."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from synth.errors import InputError
from synth.train.params import Params

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
    folder = tmp_path_factory.mktemp("project")
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    (folder / ".dvc").mkdir()
    config = (ROOT / ".dvc" / "config").read_text()
    assert "analytics = false" in config
    (folder / ".dvc" / "config").write_text(config + "    no_scm = true\n")
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    for section, values in TINY.items():
        change(folder, section, **values)
    return folder


def change(folder: Path, section: str, **values) -> None:
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def reproduce(folder: Path) -> set[str]:
    """The stages that `dvc repro` ran."""
    places = {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    places |= {"DVC_SITE_CACHE_DIR": str(folder / "site"), "DVC_NO_ANALYTICS": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=folder, env=os.environ | places, capture_output=True, text=True,
        timeout=240,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {stage for stage in STAGES if f"Running stage '{stage}'" in ended.stdout}


def test_a_change_runs_what_depends_on_it_and_nothing_after_a_model_that_is_no_better(project):
    assert reproduce(project) == set(STAGES)
    assert (project / "training" / "champion" / "README.md").exists()
    assert reproduce(project) == set()
    change(project, "evaluate", steps=3)
    assert reproduce(project) == {"evaluate", "promote"}, "the model is the champion already"
    change(project, "train", learning_rate=1e-5)
    assert reproduce(project) == {"train", "evaluate", "promote"}, "two steps made it no better"


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
