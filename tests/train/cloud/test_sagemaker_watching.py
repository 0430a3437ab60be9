"""What a training's states, log lines and ends become, against botocore's Stubber; and what may be unpacked."""

import contextlib
import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from cloud_account import archive
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import TrainError
from synth.train.cloud.results import unpack
from synth.train.cloud.watching import LOGS, check_end, known, watch

JOB, CHECKPOINTS = "synth-unet-0123456789ab-20261121000000", "s3://pictures/checkpoints"
ARN = f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{JOB}"
BEGAN = datetime(2026, 11, 21, tzinfo=UTC)


def described(status: str, secondary: str, *states: tuple[str, str], **more: object) -> dict:
    """DescribeTrainingJob's answer."""
    return {
        "TrainingJobName": JOB,
        "TrainingJobArn": ARN,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://pictures/model.tar.gz"},
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": {"VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 10_800},
        "CreationTime": BEGAN,
        "SecondaryStatusTransitions": [
            {"Status": name, "StartTime": BEGAN.replace(minute=place), "StatusMessage": text}
            for place, (name, text) in enumerate(states)
        ],
    } | more


@pytest.fixture
def clients(monkeypatch):
    """SageMaker's and the log's client, each with its Stubber."""
    session = boto3.Session("none", "none", region_name="eu-west-1")
    found = []
    for kind in ("sagemaker", "logs"):
        client = session.client(kind)
        stub = Stubber(client)
        stub.activate()
        found.append((client, stub))
    yield found
    for _, stub in found:
        stub.assert_no_pending_responses()


def no_streams(stub: Stubber) -> None:
    stub.add_client_error("describe_log_streams", "ResourceNotFoundException")


def streams(stub: Stubber, *names: str) -> None:
    found = {"logStreams": [{"logStreamName": f"{JOB}/{name}"} for name in names]}
    stub.add_response("describe_log_streams", found, {"logGroupName": LOGS, "logStreamNamePrefix": f"{JOB}/"})


def events(stub: Stubber, name: str, token: str | None, following: str, *lines: str) -> None:
    where = {"logGroupName": LOGS, "logStreamName": f"{JOB}/{name}", "startFromHead": True}
    page = {"events": [{"message": line} for line in lines], "nextForwardToken": following}
    stub.add_response("get_log_events", page, where | ({"nextToken": token} if token else {}))


def test_states_and_lines_are_said_once_each_over_an_interruption(clients):
    (sagemaker, jobs), (logs, log) = clients
    first = [("Starting", "Preparing the instances"), ("Training", "Training in progress")]
    lost = [*first, ("Interrupted", "Managed spot instances were taken away"), ("Starting", "Preparing the instances")]
    ended = [*lost, ("Training", "Training in progress"), ("Completed", "")]
    for answer in (
        described("InProgress", "Starting", *first[:1]),
        described("InProgress", "Training", *first),
        described("InProgress", "Starting", *lost),
        described("Completed", "Completed", *ended),
    ):
        jobs.add_response("describe_training_job", answer, {"TrainingJobName": JOB})
    host = "algo-1-1795219200"
    no_streams(log)
    streams(log, host)
    events(log, host, None, "f/1", "step 20, loss 0.9\n", "10%\r20%\r30%")
    events(log, host, "f/1", "f/1")
    streams(log, host)
    events(log, host, "f/1", "f/1")
    streams(log, host)
    events(log, host, "f/1", "f/2", "step 40, loss 0.8")
    events(log, host, "f/2", "f/2")
    said = []
    description = watch(JOB, sagemaker, logs, say=said.append, seconds=0)
    check_end(description, CHECKPOINTS)
    assert said == [
        "Starting: Preparing the instances",
        "Training: Training in progress",
        "step 20, loss 0.9",
        "30%",
        "Interrupted: Managed spot instances were taken away",
        "Starting: Preparing the instances",
        "Training: Training in progress",
        "Completed",
        "step 40, loss 0.8",
    ]


def test_lines_of_several_machines_say_which(clients):
    (sagemaker, jobs), (logs, log) = clients
    jobs.add_response("describe_training_job", described("Completed", "Completed"))
    streams(log, "algo-1-1795219200", "algo-12-1795219201")
    for host in ("algo-1-1795219200", "algo-12-1795219201"):
        events(log, host, None, "f/1", f"hello from {host}")
        events(log, host, "f/1", "f/1")
    said = []
    watch(JOB, sagemaker, logs, say=said.append, seconds=0)
    assert said == ["algo-1  hello from algo-1-1795219200", "algo-12  hello from algo-12-1795219201"]


def test_ctrl_c_leaves_it_running_and_says_how_to_end_it(clients, monkeypatch):
    (sagemaker, jobs), (logs, log) = clients
    jobs.add_response("describe_training_job", described("InProgress", "Training"))
    no_streams(log)

    def press(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synth.train.cloud.watching.time.sleep", press)
    with pytest.raises(KeyboardInterrupt, match=f"goes on at AWS.*stop-training-job --training-job-name {JOB}"):
        watch(JOB, sagemaker, logs, say=lambda line: None)


def test_credentials_that_expire_meanwhile_stop_no_training(clients):
    (sagemaker, jobs), (logs, _) = clients
    jobs.add_client_error("describe_training_job", "ExpiredTokenException")
    with pytest.raises(TrainError, match="expired.*the training goes on; the same command follows it again"):
        watch(JOB, sagemaker, logs, say=lambda line: None)


ENDS = [
    (
        "Failed",
        "Failed",
        {"FailureReason": "AlgorithmError: synth: the loss is nan at step 7\n"},
        r"is nan at step 7\); put",
    ),
    ("Failed", "Failed", {}, r"failed \(no reason given\)"),
    ("Stopped", "Stopped", {}, "was stopped by somebody"),
    ("Stopped", "MaxRuntimeExceeded", {}, r"was not done in sagemaker\.hours \(3\); raise that"),
    ("Failed", "MaxWaitTimeExceeded", {}, r"waited too long for spare capacity; try .* sagemaker\.spot: false"),
    ("Stopped", "MaxWaitTimeExceeded", {}, "waited too long for spare capacity"),
    ("Stopped", "Interrupted", {}, "lost its spot instances"),
    ("Failed", "Interrupted", {}, "lost its spot instances"),
    ("Stopped", "SomethingNew", {}, "was stopped"),
]


@pytest.mark.parametrize(("status", "secondary", "more", "said"), ENDS)
def test_an_end_without_a_model_is_one_sentence_with_a_remedy(status, secondary, more, said):
    with pytest.raises(TrainError, match=said) as error:
        check_end(described(status, secondary, **more), CHECKPOINTS)
    text = str(error.value)
    assert text.startswith(JOB) and "\n" not in text
    assert "run the same command again: it goes on from the last checkpoint" in text and CHECKPOINTS in text


def listed(stub: Stubber, status: str, *names: str) -> None:
    asked = {"NameContains": "synth-unet-0123456789ab", "StatusEquals": status}
    found = [
        {"TrainingJobName": name, "TrainingJobArn": ARN, "CreationTime": BEGAN, "TrainingJobStatus": status}
        for name in names
    ]
    newest_first = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    stub.add_response("list_training_jobs", {"TrainingJobSummaries": found}, asked | newest_first)


def test_a_training_that_runs_or_was_completed_is_found(clients):
    (sagemaker, jobs), _ = clients
    listed(jobs, "InProgress", JOB)
    assert known(sagemaker, "synth-unet-0123456789ab") == (JOB, "InProgress")
    listed(jobs, "InProgress")
    listed(jobs, "Completed", JOB, "an older one")
    assert known(sagemaker, "synth-unet-0123456789ab") == (JOB, "Completed")
    listed(jobs, "InProgress")
    listed(jobs, "Completed")
    assert known(sagemaker, "synth-unet-0123456789ab") is None, "one that failed or was stopped is gone on with"


def odd_archive(path: Path, name: str, kind: bytes, link: str = "") -> None:
    with tarfile.open(path, "w:gz") as tar:
        good, odd = tarfile.TarInfo("good.txt"), tarfile.TarInfo(name)
        good.size, odd.type, odd.linkname = 4, kind, link
        tar.addfile(good, io.BytesIO(b"good"))
        tar.addfile(odd)


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside.txt", tarfile.REGTYPE, ""),
        ("model/../../outside.txt", tarfile.REGTYPE, ""),
        ("/tmp/outside.txt", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.SYMTYPE, "good.txt"),
        ("link", tarfile.LNKTYPE, "good.txt"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_an_archive_with_more_than_files_beneath_itself_is_refused(tmp_path, name, kind, link):
    odd_archive(tmp_path / "odd.tar.gz", name, kind, link)
    with pytest.raises(TrainError, match=r"odd\.tar\.gz holds .*nothing was unpacked"):
        unpack(tmp_path / "odd.tar.gz", tmp_path / "into")
    assert [path.name for path in tmp_path.iterdir()] == ["odd.tar.gz"]


def test_a_broken_archive_is_no_traceback(tmp_path):
    whole = archive(**{"weights.safetensors": bytes(range(256)) * 200})
    for data in (b"", b"no archive at all", whole[: len(whole) // 2], whole[:20]):
        (tmp_path / "broken.tar.gz").write_bytes(data)
        with pytest.raises(TrainError, match=r"broken\.tar\.gz cannot be unpacked .*run the same command again"):
            unpack(tmp_path / "broken.tar.gz", tmp_path / "into")


@given(st.binary(max_size=400))
def test_any_bytes_are_unpacked_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    (folder / "any.tar.gz").write_bytes(data)
    with contextlib.suppress(TrainError):
        unpack(folder / "any.tar.gz", folder / "into")


def test_folders_and_names_with_dots_are_kept(tmp_path):
    (tmp_path / "good.tar.gz").write_bytes(archive(**{"./model_index.json": b"{}", "./unet/a..b.json": b"1"}))
    unpack(tmp_path / "good.tar.gz", tmp_path / "into")
    assert (tmp_path / "into" / "unet" / "a..b.json").read_bytes() == b"1"
