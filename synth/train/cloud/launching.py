"""A CloudJob becomes a training job of SageMaker, by SDK 3's ModelTrainer.

The container runs `python3 -m synth.train.cloud.entry`, which starts torchrun itself. The SDK could do that too
(sagemaker.train.distributed.Torchrun), but its driver runs beneath a shell that, as the container's first process,
ignores SIGTERM: a training would never hear that its spot instance is taken away. `exec` replaces that shell.
"""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synth.errors import InputError, TrainError
from synth.train.cloud.account import NOTHING, explained, offline
from synth.train.cloud.entry import CHECKPOINTS
from synth.train.cloud.jobs import Channel, CloudJob
from synth.train.cloud.packing import pack_source
from synth.train.params import SageMaker

if TYPE_CHECKING:
    import boto3
    from sagemaker.train import ModelTrainer

PYTORCH = "2.10.0"  # of AWS's images the newest; Synth needs 2.6 and Python 3.11
MONTH = 28 * 24 * 3600  # SageMaker's longest job, in seconds


class Launch:
    """A job that is ready to start: its code is packed and its role is checked, but nothing is created.

    folder: for the code, until `start`. InputError for a role or image that cannot be used; TrainError where AWS
    cannot be asked.
    """

    def __init__(self, job: CloudJob, session: "boto3.Session", folder: str) -> None:
        self.job, self.session = job, session
        archive = Path(folder) / "source.tar.gz"
        pack_source(job.packed, archive)
        self.trainer = _trainer(job, session, archive)

    def upload(self) -> int:
        """Copy to the bucket what is not there yet; how many files that were."""
        s3 = self.session.client("s3")
        with explained("no training was started"):
            return sum(_upload(s3, self.job.settings.bucket, channel) for channel in self.job.channels)

    def start(self) -> str:
        """Start the training; the name that SageMaker knows it by."""
        with explained("no training was started, and what was uploaded is there for the next attempt"):
            self.trainer.train(wait=False, logs=False)
        return self.trainer._latest_training_job.training_job_name


def request(job: CloudJob) -> dict[str, Any]:
    """The CreateTrainingJob request of a job, made without credentials, network or any trace in an account."""
    requests: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory(prefix="synth-") as folder:
        Launch(job, offline(job.settings, requests.__setitem__), folder).start()
    return requests["CreateTrainingJob"]


def _trainer(job: CloudJob, session: "boto3.Session", archive: Path) -> "ModelTrainer":
    from sagemaker.core.helper.iam_role_resolver import RoleValidationError
    from sagemaker.core.shapes import CheckpointConfig, OutputDataConfig
    from sagemaker.core.training.configs import InputData, SourceCode
    from sagemaker.train import ModelTrainer

    logging.getLogger("sagemaker").setLevel(logging.ERROR)  # the command says what it does itself
    source = SourceCode(
        source_dir=str(archive),
        requirements="requirements.txt",
        command="exec python3 -m synth.train.cloud.entry",
        args=[job.kind, *([job.texts] if job.texts else [])],
    )
    inputs = [
        InputData(channel_name=channel.name, data_source=f"s3://{job.settings.bucket}/{channel.prefix}/")
        for channel in job.channels
    ]
    try:
        with explained(NOTHING):
            return ModelTrainer(
                sagemaker_session=_sdk_session(session, job.settings.bucket),
                role=job.settings.role,
                base_job_name=job.name,
                input_s3_key_prefix="synth/jobs",
                training_image=job.settings.image or _image(job.settings, session.region_name),
                source_code=source,
                compute=_compute(job.settings),
                stopping_condition=_limits(job.settings),
                input_data_config=inputs,
                output_data_config=OutputDataConfig(s3_output_path=f"{job.home}/output", compression_type="GZIP"),
                checkpoint_config=CheckpointConfig(s3_uri=job.checkpoints, local_path=CHECKPOINTS.as_posix()),
                environment={"PYTHONUNBUFFERED": "1"},
            )
    except RoleValidationError as error:
        remedy = f"use one that exists and that sagemaker.amazonaws.com may assume ({_gist(error)}); {NOTHING}"
        raise InputError("sagemaker.role", job.settings.role, remedy) from error


def _sdk_session(session: "boto3.Session", bucket: str) -> Any:
    """The SDK's session, which keeps to our bucket, creates none, and tells AWS nothing about how it is used."""
    from sagemaker.core.helper.session_helper import Session

    class OneBucket(Session):
        def default_bucket(self) -> str:
            return bucket

    made = OneBucket(boto_session=session)
    made.sagemaker_config.setdefault("SchemaVersion", "1.0")
    modules = made.sagemaker_config.setdefault("SageMaker", {}).setdefault("PythonSDK", {}).setdefault("Modules", {})
    modules["TelemetryOptOut"] = True
    return made


def _compute(settings: SageMaker) -> Any:
    from sagemaker.core.training.configs import Compute

    return Compute(
        instance_type=settings.instance_type,
        instance_count=settings.instances,
        volume_size_in_gb=settings.volume,
        enable_managed_spot_training=settings.spot,
    )


def _limits(settings: SageMaker) -> Any:
    """How long it may run and, on spot instances, wait for spare capacity: as long again."""
    from sagemaker.core.training.configs import StoppingCondition

    seconds = round(settings.hours * 3600)
    wait = {"max_wait_time_in_seconds": min(2 * seconds, MONTH)} if settings.spot else {}
    return StoppingCondition(max_runtime_in_seconds=seconds, **wait)


def _image(settings: SageMaker, region: str) -> str:
    from sagemaker.core import image_uris

    how = {"version": PYTORCH, "instance_type": settings.instance_type, "image_scope": "training"}
    try:
        uri = image_uris.retrieve("pytorch", region=region, **how)
    except ValueError:
        uri = ""
    if "/pytorch-training:" not in uri:
        remedy = f"name a container with PyTorch: AWS has none for {settings.instance_type} in {region}"
        raise InputError("sagemaker.image", settings.image, remedy)
    return uri


def _upload(s3: Any, bucket: str, channel: Channel) -> int:
    """Upload the files of a channel that are not there in their size; the address says what their content is."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{channel.prefix}/")
    there = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}
    keys = {f"{channel.prefix}/{name}": path for name, path in channel.files.items()}
    missing = {key: path for key, path in keys.items() if there.get(key) != path.stat().st_size}
    for key, path in missing.items():
        try:
            s3.upload_file(str(path), bucket, key)
        except OSError as error:
            raise TrainError(f"{path} cannot be read ({error.strerror}); no training was started") from error
    return len(missing)


def _gist(error: Exception) -> str:
    """The first sentences of an error of the SDK's, which goes on for a page."""
    return " ".join(str(error).split("\n\n")[0].split("Required permissions")[0].split()).rstrip(". ")
