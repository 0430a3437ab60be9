"""A training that was fetched is as good as one made here: it can be measured, promoted and rendered."""

import json
import shutil
import tarfile
from pathlib import Path

import boto3
import pytest
from cloud_account import BUCKET, REGION
from mlflow_store import new_store

from synth.models.weights import training_facts
from synth.presets import locate, resolve
from synth.train.cloud.entry import deliver
from synth.train.cloud.jobs import CloudJob
from synth.train.cloud.results import fetch
from synth.train.data.preparation import prepare
from synth.train.evaluation import evaluate
from synth.train.params import Data
from synth.train.promotion import promote
from synth.train.runs import Run, train

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
QUICK = {"steps": 2, "batch_size": 4, "validate_every": 1, "checkpoint_every": 1, "precision": "fp32"}


@pytest.fixture
def job(params, tiny_sd, tmp_path) -> CloudJob:
    """A training of the UNet of a model in a folder of this machine."""
    base = shutil.copytree(tiny_sd, tmp_path / "here" / "base")
    data = prepare(Data(source="vignettes", size=64, limit=24), tmp_path / "here" / "data", progress=False).folder
    how = params.but("train", base=str(base), **QUICK).but("evaluate", pictures=0, steps=1)
    return CloudJob.plan("unet", data, how)


def trained_there(job: CloudJob, root: Path) -> Run:
    """What the container does: the same training, on copies that lie elsewhere and are gone afterwards."""
    data, base = (root / name for name in ("train", "base"))
    for channel in job.channels:
        for name, path in channel.files.items():
            (root / channel.name / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / channel.name / name)
    run = train(job.packed.but("train", base=str(base)), data, root / "checkpoints" / "run")
    deliver(run.folder, root / "model", root / "output")
    return run


def collected(root: Path, job: CloudJob, client) -> dict:
    """What the service does with it, and how it describes the job."""
    home = f"synth/runs/{job.name}/output/{job.name}/output"
    for name in ("model", "output"):
        with tarfile.open(root / f"{name}.tar.gz", "w:gz") as tar:
            tar.add(root / name, arcname=".")
        client.upload_file(str(root / f"{name}.tar.gz"), BUCKET, f"{home}/{name}.tar.gz")
    return {
        "TrainingJobName": job.name,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/synth/runs/{job.name}/output"},
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://{BUCKET}/{home}/model.tar.gz"},
    }


def test_what_was_trained_there_is_measured_promoted_and_rendered_here(job, account, tmp_path):
    there, client = tmp_path / "there", boto3.Session(region_name=REGION).client("s3")
    made = trained_there(job, there)
    assert len(list((there / "checkpoints" / "run" / "checkpoints").iterdir())) == 2
    description = collected(there, job, client)
    shutil.rmtree(there)
    run = tmp_path / "fetched"
    fetch(client, description, job, run)
    [checkpoint] = (run / "checkpoints").iterdir()
    assert checkpoint.name == made.best.name == json.loads((run / "result.json").read_text())["checkpoint"]
    assert str(there) not in "".join((run / name).read_text() for name in ("params.yaml", "run.json"))
    found = evaluate(run)
    assert found.measured("loss").figure.value > 0 and found.before
    assert promote(run, new_store(tmp_path)).promoted
    assert locate(resolve(str(checkpoint), "renderer"), "renderer") == checkpoint
    assert training_facts(checkpoint)["start"]["base"]["name"] == job.params.train.base
    again = train(job.params, job.data, run)
    assert again.figures == made.figures, "and it is known to be done"
