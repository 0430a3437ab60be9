"""The whole way on one machine: what was uploaded becomes a container's /opt/ml, the SDK's own start script runs as the
container's first process, a spot interruption comes, the job starts again, and what it leaves is what a training here
leaves. The container is a few namespaces of Linux, which takes root.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from cloud_account import REGION

from synth.train.cloud.jobs import CloudJob
from synth.train.cloud.launching import Launch
from synth.train.cloud.results import fetch
from synth.train.loop import read_log
from synth.train.runs import train

NEW = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
STEPS = 100
WORDS = ("red", "blue", "old", "small", "tall")
TEXTS = [f"a {word} {thing}" for word in WORDS for thing in ("tulip", "barn", "boat", "tower")]


def possible() -> bool:
    try:
        return subprocess.run([*NEW, "true"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


pytestmark = [
    pytest.mark.skipif(not possible() or sys.prefix.startswith("/opt"), reason="needs root, and a Python outside /opt"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def job(params, tmp_path, tiny_gpt2) -> CloudJob:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    train = {"base": str(tiny_gpt2), "steps": STEPS, "batch_size": 4, "checkpoint_every": 10, "validate_every": 20}
    return CloudJob.plan("gpt2", tmp_path / "texts.txt", params.but("train", **train).but("sagemaker", instances=1))


def downloaded(request: dict, session: boto3.Session, root: Path) -> Path:
    """/opt/ml as the service lays it out for this request, under `root`."""
    for channel in request["InputDataConfig"]:
        bucket, _, prefix = channel["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://").partition("/")
        for item in session.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
            name = item["Key"].removeprefix(prefix).strip("/") or Path(prefix).name
            path = root / "input" / "data" / channel["ChannelName"] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            session.client("s3").download_file(bucket, item["Key"], str(path))
    for name in ("input/config", "model", "output/data", "checkpoints"):
        (root / name).mkdir(parents=True)
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    config = {
        "resourceconfig": hosts | {"current_instance_type": request["ResourceConfig"]["InstanceType"]},
        "inputdataconfig": {item["ChannelName"]: {} for item in request["InputDataConfig"]},
        "hyperparameters": request["HyperParameters"],
    }
    for name, value in config.items():
        (root / "input" / "config" / f"{name}.json").write_text(json.dumps(value))
    return root


def launched(job: CloudJob, session: boto3.Session, folder: Path) -> tuple[dict, Path]:
    """The request of a job that was started, and the /opt/ml of its container."""
    launch = Launch(job, session, str(folder))
    launch.upload()
    request = session.client("sagemaker").describe_training_job(TrainingJobName=launch.start())
    request |= {"HyperParameters": {}, "Environment": {"PYTHONUNBUFFERED": "1"}}  # which moto forgets
    return request, downloaded(request, session, folder / "ml")


def container(root: Path, request: dict, log: Path) -> subprocess.Popen:
    """Start the request's entrypoint as the first process of a container whose /opt/ml is `root`."""
    how = request["AlgorithmSpecification"]
    mounts = 'mount -t tmpfs none /opt && mkdir /opt/ml && mount --bind "$1" /opt/ml && shift && exec "$@"'
    words = [*NEW, "sh", "-c", mounts, "sh", str(root), *how["ContainerEntrypoint"], *how["ContainerArguments"]]
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = os.environ | request["Environment"] | {"PATH": paths, "TRAINING_JOB_NAME": request["TrainingJobName"]}
    env.pop("PYTHONPATH", None)  # the code is what was uploaded
    with log.open("wb") as file:
        return subprocess.Popen(words, env=env | {"OMP_NUM_THREADS": "1"}, stdout=file, stderr=subprocess.STDOUT)


def first_process(container: subprocess.Popen) -> int:
    children = Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
    return int(children[0])


def wait_for(condition, container: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert container.poll() is None and time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.05)


def collect(root: Path, description: dict, session: boto3.Session) -> None:
    """What the service does when a container is done: its model and its output go to the bucket as archives."""
    home = f"{description['OutputDataConfig']['S3OutputPath']}/{description['TrainingJobName']}/output"
    bucket, _, prefix = home.removeprefix("s3://").partition("/")
    for folder, name in ((root / "model", "model"), (root / "output" / "data", "output")):
        made = shutil.make_archive(str(root / name), "gztar", folder)
        session.client("s3").upload_file(made, bucket, f"{prefix}/{name}.tar.gz")


def test_a_container_is_interrupted_started_again_and_leaves_what_a_training_here_leaves(job, account, tmp_path):
    session, log = boto3.Session(region_name=REGION), tmp_path / "container.log"
    request, root = launched(job, session, tmp_path)
    steps = root / "checkpoints" / "run" / "checkpoints"

    host = container(root, request, log)
    wait_for(lambda: list(steps.glob("step-*.safetensors")), host, log)
    os.kill(first_process(host), signal.SIGTERM)
    assert host.wait(60) != 0, log.read_text()[-3000:]
    saved = [int(path.stem.split("-")[1]) for path in sorted(steps.glob("step-*.safetensors"))]
    assert 10 < saved[-1] < STEPS, "SIGTERM should save a checkpoint between those that the training saves anyway"
    assert not (root / "output" / "failure").exists() and not list((root / "model").iterdir())

    for folder in ("input/sm_training.env", "output"):  # the next machine is a new one, but for the checkpoints
        path = root / folder
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "output" / "data").mkdir(parents=True)
    assert container(root, request, log).wait(300) == 0, log.read_text()[-3000:]
    assert f"{saved[-1]}/{STEPS}" in log.read_text()  # it went on from there

    collect(root, request, session)
    fetch(session.client("s3"), request, job, tmp_path / "fetched")
    here = train(job.params, tmp_path / "texts.txt", tmp_path / "here")
    fetched = tmp_path / "fetched" / "model" / "model.safetensors"
    assert fetched.read_bytes() == (here.model / "model.safetensors").read_bytes()
    assert [line for line in read_log(tmp_path / "fetched" / "log.jsonl") if "validation_loss" in line] == [
        line for line in read_log(tmp_path / "here" / "log.jsonl") if "validation_loss" in line
    ]


def test_a_failure_in_the_container_is_the_reason_that_the_service_shows(job, account, tmp_path):
    log = tmp_path / "container.log"
    request, root = launched(job, boto3.Session(region_name=REGION), tmp_path)
    (root / "input" / "data" / "base" / "config.json").write_text("{}")
    assert container(root, request, log).wait(300) != 0
    reason = (root / "output" / "failure").read_text()
    assert reason.startswith("synth: ") and "\n" not in reason and "/opt/ml/input/data/base" in reason
