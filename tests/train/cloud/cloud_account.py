"""The account that the tests of the cloud are made in, and what a request to it looks like."""

import io
import json
import tarfile

import boto3

from synth.cli.parsing import Parser
from synth.cli.train_sagemaker import register_sagemaker
from synth.train.cloud.jobs import CloudJob

REGION, BUCKET = "eu-west-1", "synth-test-bucket"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


def run(*words: object) -> int:
    parser = Parser(prog="synth train")
    register_sagemaker(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["sagemaker", *map(str, words)])
    return arguments.run(arguments)


def channel(name: str, address: str) -> dict:
    where = {"S3DataType": "S3Prefix", "S3Uri": address, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": where}, "InputMode": "File"}


def expected(job: CloudJob, name: str) -> dict:
    """The request for the fixture `params`, all of it."""
    script = "/opt/ml/input/data/sm_drivers/sm_train.sh"
    image = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10.0-gpu-py313"
    home, inputs = f"s3://synth-test-bucket/synth/runs/{job.name}", f"s3://synth-test-bucket/synth/jobs/{name}/input"
    return {
        "TrainingJobName": name,
        "HyperParameters": {},
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", f"chmod +x {script} && {script}"],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/SageMaker",
        "InputDataConfig": [
            channel("train", f"s3://synth-test-bucket/synth/data/{job.channels[0].digest}/"),
            channel("code", f"{inputs}/code/source.tar.gz"),
            channel("sm_drivers", f"{inputs}/sm_drivers"),
        ],
        "OutputDataConfig": {"S3OutputPath": f"{home}/output", "CompressionType": "GZIP"},
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 10_800, "MaxWaitTimeInSeconds": 21_600},
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"{home}/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        "Environment": {"PYTHONUNBUFFERED": "1"},
    }


def make_role(session: boto3.Session, name: str, trust: dict) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)


def is_empty(session: boto3.Session) -> bool:
    """Whether there is no training job in the account, and nothing in any bucket."""
    s3 = session.client("s3")
    keys = [s3.list_objects_v2(Bucket=item["Name"])["KeyCount"] for item in s3.list_buckets()["Buckets"]]
    jobs = session.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    return not any(keys) and not jobs


def archive(**files: bytes) -> bytes:
    """A .tar.gz of files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()
