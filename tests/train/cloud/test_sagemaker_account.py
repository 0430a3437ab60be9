"""A training from the command to the fetched model, in an account that exists in memory; and what keeps it from
starting: one clear sentence each, and nothing is created.
"""

import json
import sys

import boto3
import pytest
import yaml
from botocore.stub import Stubber
from cloud_account import BUCKET, REGION, TRUST, archive, expected, is_empty, make_role, run
from sagemaker.core.telemetry import telemetry_logging
from sagemaker.core.utils.utils import SageMakerClient

from synth.errors import InputError, TrainError
from synth.models.weights import digest
from synth.train.cloud import launching
from synth.train.cloud.account import connect
from synth.train.cloud.jobs import CloudJob
from synth.train.cloud.launching import Launch
from synth.train.cloud.sagemaker import train_on_sagemaker
from synth.train.params import Params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MODEL = {"model_index.json": b"{}", "unet/weights.safetensors": b"w"}
RUN = {"run/log.jsonl": b'{"step": 2}\n', "run/params.yaml": b"{}\n", "run/samples/step-2.png": b"p"}
RUN |= {"run/run.json": b'{"params": {}}', "run/result.json": b'{"checkpoint": "step-2.safetensors"}'}
RUN |= {"run/checkpoints/step-2.safetensors": b"c"}


@pytest.fixture
def session(account) -> boto3.Session:
    return boto3.Session(region_name=REGION)


@pytest.fixture
def job(prepared, params) -> CloudJob:
    return CloudJob.plan("unet", prepared, params)


@pytest.fixture
def no_models(monkeypatch):
    """The bundled models stay out of the archive, which makes it small."""
    monkeypatch.setattr(launching, "pack_source", lambda params, file: params.write(file))


def leave_results(job: CloudJob, name: str, session: boto3.Session) -> None:
    """What the container would have left."""
    for kind, files in (("model", MODEL), ("output", RUN)):
        key = f"synth/runs/{job.name}/output/{name}/output/{kind}.tar.gz"
        session.client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive(**files))


def whole(job, session, run, **how):
    """A training whose container is done as soon as it has started, as moto's always is."""

    def say(line: str) -> None:
        if " runs; " in line:
            leave_results(job, line.split()[0], session)
        said.append(line)

    said = []
    return train_on_sagemaker(job, run, say=say, seconds=0, **{"confirm": lambda cost: True} | how), said


def test_a_training_is_started_followed_and_fetched(prepared, job, session, tmp_path):
    out = tmp_path / "deep" / "run"
    done, said = whole(job, session, out)
    assert done
    assert said[0] == f"4 files of data uploaded to s3://{BUCKET}/synth/data"
    assert "Starting: Preparing the instances for training" in said
    files = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert files.pop("params.yaml").decode() == yaml.safe_dump(job.params.as_dict(), sort_keys=False)
    assert json.loads(files.pop("run.json"))["data_folder"] == str(prepared.resolve())
    assert json.loads(files.pop("result.json"))["checkpoint_digest"] == digest(out / "checkpoints/step-2.safetensors")
    assert files == {f"model/{name}": data for name, data in MODEL.items()} | {
        name.removeprefix("run/"): data for name, data in RUN.items() if name.endswith((".jsonl", ".png", "tensors"))
    }
    (made,) = session.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    described = session.client("sagemaker").describe_training_job(TrainingJobName=made["TrainingJobName"])
    wanted = expected(job, made["TrainingJobName"])
    del described["AlgorithmSpecification"]["MetricDefinitions"]  # moto's own
    assert {name: described[name] for name in wanted if name in described} == {
        name: value for name, value in wanted.items() if name in described
    }
    for item in wanted["InputDataConfig"]:
        bucket, _, key = item["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://").partition("/")
        assert session.client("s3").list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"]


def test_data_is_uploaded_once(job, session, tmp_path, no_models):
    with pytest.raises(InputError, match="out: "):
        (tmp_path / "taken").mkdir()
        whole(job, session, tmp_path / "taken")
    assert whole(job, session, tmp_path / "a")[1][0].startswith("4 files")
    key = f"{job.channels[0].prefix}/pictures.npy"
    session.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"half of it")
    assert Launch(job, session, str(tmp_path)).upload() == 1
    assert Launch(job, session, str(tmp_path)).upload() == 0


def test_botocores_own_check_of_the_request(job, session, tmp_path, no_models, monkeypatch):
    launch = Launch(job, session, str(tmp_path))
    name = f"{job.name}-20261121000000"
    monkeypatch.setattr("sagemaker.train.model_trainer._get_unique_name", lambda base: name)
    arn = f"arn:aws:sagemaker:{REGION}:123456789012:training-job/{name}"
    with Stubber(SageMakerClient(session=session).get_client("sagemaker")) as stub:
        stub.add_response("create_training_job", {"TrainingJobArn": arn}, expected(job, name))
        described = {"TrainingJobName": name, "TrainingJobArn": arn, "TrainingJobStatus": "InProgress"}
        rest = {name: value for name, value in expected(job, name).items() if name in ("AlgorithmSpecification",)}
        rest |= {"ModelArtifacts": {"S3ModelArtifacts": ""}, "SecondaryStatus": "Starting", "CreationTime": 0}
        rest |= {"ResourceConfig": expected(job, name)["ResourceConfig"], "StoppingCondition": {}}
        stub.add_response("describe_training_job", described | rest, {"TrainingJobName": name})
        assert launch.start() == name
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("ResourceLimitExceeded", "the account-level service limit is 0", "quota is too small"),
        ("AccessDeniedException", "no iam:PassRole", "ask for that permission"),
        ("ValidationException", "unknown instance type", r"AWS refused CreateTrainingJob \(unknown instance type\)"),
        ("ExpiredTokenException", "", "credentials have expired"),
    ],
)
def test_what_the_service_refuses_is_one_sentence(job, session, tmp_path, no_models, code, message, said):
    launch = Launch(job, session, str(tmp_path))
    with Stubber(SageMakerClient(session=session).get_client("sagemaker")) as stub:
        stub.add_client_error("create_training_job", code, message)
        with pytest.raises(TrainError, match=said) as error:
            launch.start()
    assert "no training was started" in str(error.value) and "\n" not in str(error.value)


def test_no_telemetry(job, session, tmp_path, no_models, monkeypatch):
    sent = []
    monkeypatch.setattr(telemetry_logging, "_send_telemetry_request", lambda *facts: sent.append(facts))
    Launch(job, session, str(tmp_path)).start()
    assert sent == []


def test_a_cost_that_is_not_agreed_to_starts_nothing(job, session, tmp_path, no_models):
    costs = []
    done, said = whole(job, session, tmp_path / "run", confirm=lambda cost: costs.append(cost))
    assert not done and said == []
    assert costs == [
        "2 x ml.g5.xlarge for at most 3 hours cost at most 3.60 US dollars (0.6 an hour each), storage not counted"
    ]
    assert is_empty(session) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(("answer", "asked", "code"), [("n", True, 1), ("", True, 1), (None, False, None)])
def test_the_command_asks(prepared, params, session, tmp_path, no_models, monkeypatch, capsys, answer, asked, code):
    params.but("sagemaker", prices={}).write(tmp_path / "params.yaml")

    def reply(question: str) -> str:
        assert question == "Start it? [y/N] "
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", reply)
    words = ("unet", "--data", prepared, "--params", tmp_path / "params.yaml")
    if asked:
        assert run(*words) == code
        printed = capsys.readouterr().out
        assert "what that costs is unknown" in printed and "Nothing was started." in printed
    else:
        with pytest.raises(InputError, match="--yes"):
            run(*words)
    assert is_empty(session)


def test_a_training_that_still_runs_is_followed_instead_of_paid_for_twice(
    job, session, tmp_path, no_models, monkeypatch
):
    name = Launch(job, session, str(tmp_path)).start()
    leave_results(job, name, session)
    monkeypatch.setattr("synth.train.cloud.sagemaker.known", lambda client, job: (name, "InProgress"))
    done, said = whole(job, session, tmp_path / "run", confirm=None)
    assert done and said[0].startswith(f"{name} runs; ")
    assert len(session.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]) == 1


def test_one_that_was_completed_meanwhile_is_fetched_instead_of_paid_for_twice(job, session, tmp_path, no_models):
    name = Launch(job, session, str(tmp_path)).start()
    leave_results(job, name, session)
    done, said = whole(job, session, tmp_path / "run", confirm=None)
    assert done and said[0].startswith(f"{name} is completed already, and is fetched; another train.seed")
    assert (tmp_path / "run" / "model" / "model_index.json").is_file()
    assert len(session.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]) == 1


def test_no_credentials(job, tmp_path, monkeypatch):
    with pytest.raises(TrainError) as error:
        train_on_sagemaker(job, tmp_path / "run", confirm=None)
    assert str(error.value) == (
        "There are no AWS credentials here: run `aws configure` or `aws sso login`, or set AWS_PROFILE;"
        " nothing was created"
    )


@pytest.mark.parametrize("module", ["boto3", "sagemaker"])
def test_a_missing_package_is_named_by_its_extra(prepared, job, tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "sagemaker.train", raising=False)
    with pytest.raises(TrainError, match=r'pip install "synth\[sagemaker\]"'):
        train_on_sagemaker(job, tmp_path / "run", confirm=None)
    Params().write(tmp_path / "params.yaml")
    with pytest.raises(TrainError, match=r'pip install "synth\[sagemaker\]"'):
        run("unet", "--data", prepared, "--params", tmp_path / "params.yaml", "--dry-run")


def test_a_profile_that_does_not_exist(job, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(TrainError, match="nobody"):
        train_on_sagemaker(job, tmp_path / "run", confirm=None)


@pytest.mark.parametrize(
    ("bucket", "region", "said"),
    [
        ("no-such-bucket", REGION, "create it first (aws s3 mb s3://no-such-bucket); nothing was created"),
        (
            BUCKET,
            "us-east-1",
            f"use one in us-east-1, or sagemaker.region: {REGION}, where it lies; nothing was created",
        ),
    ],
)
def test_a_bucket_that_is_missing_or_elsewhere(prepared, params, session, tmp_path, bucket, region, said):
    job = CloudJob.plan("unet", prepared, params.but("sagemaker", bucket=bucket, region=region))
    with pytest.raises(InputError) as error:
        train_on_sagemaker(job, tmp_path / "run", confirm=None)
    assert error.value.field == "sagemaker.bucket" and str(error.value).endswith(said)
    assert is_empty(session)


def test_a_bucket_of_somebody_else(job, session, monkeypatch):
    client = session.client("s3")
    with Stubber(client) as stub, pytest.raises(InputError, match="use one that your credentials may read"):
        stub.add_client_error("head_bucket", "403", "Forbidden", http_status_code=403)
        real = boto3.Session.client
        monkeypatch.setattr(
            boto3.Session, "client", lambda self, kind, **how: client if kind == "s3" else real(self, kind)
        )
        connect(job.settings)


def test_wrong_roles(prepared, params, session, account, tmp_path, no_models):
    make_role(session, "Lambda", TRUST | {"Principal": {"Service": "lambda.amazonaws.com"}})
    for role, said in (("Nobody", "Nobody"), ("Lambda", "trust policy does not allow 'sagemaker.amazonaws.com'")):
        where = params.but("sagemaker", role=f"arn:aws:iam::123456789012:role/{role}")
        with pytest.raises(InputError) as error:
            train_on_sagemaker(CloudJob.plan("unet", prepared, where), tmp_path / "run", confirm=None)
        assert error.value.field == "sagemaker.role" and said in str(error.value)
        assert str(error.value).endswith("nothing was created") and "\n" not in str(error.value)
    account["denied"].append("cloudwatch:PutMetricData")
    with pytest.raises(InputError, match="cloudwatch:PutMetricData"):
        train_on_sagemaker(CloudJob.plan("unet", prepared, params), tmp_path / "run", confirm=None)
    assert is_empty(session)


def test_a_job_that_left_no_model_leaves_no_folder(job, session, tmp_path, no_models, monkeypatch):
    monkeypatch.setitem(globals(), "MODEL", {})
    with pytest.raises(TrainError, match="left no model in s3://"):
        whole(job, session, tmp_path / "runs" / "mine")
    assert list((tmp_path / "runs").iterdir()) == []


def test_results_that_are_not_there_are_one_sentence(job, session, tmp_path, no_models, monkeypatch):
    monkeypatch.setitem(globals(), "leave_results", lambda *_: None)
    with pytest.raises(TrainError, match=r"output.tar.gz is not there; another train.seed starts another training"):
        whole(job, session, tmp_path / "runs" / "mine")
    assert list((tmp_path / "runs").iterdir()) == []
