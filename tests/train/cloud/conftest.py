"""An AWS account that exists in memory only, and something to train on."""

import hashlib
import json
import socket
from dataclasses import asdict
from pathlib import Path

import boto3
import numpy as np
import pytest
from botocore.client import BaseClient
from cloud_account import BUCKET, REGION, ROLE, TRUST, make_role
from moto import mock_aws

from synth.train.data.prepared import FACTS, LEFT_OUT, PICTURES, RECORDS, Record, write_lines
from synth.train.params import Data, Params


@pytest.fixture(autouse=True)
def no_account_of_anyones(monkeypatch, tmp_path):
    """No test sees, let alone uses, what AWS configuration this machine may have."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / f"no-{name.lower()}"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def no_network(monkeypatch):
    """Whoever opens a connection fails."""

    def refuse(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A prepared set of six pictures."""
    folder = tmp_path_factory.mktemp("prepared")
    pictures = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    np.save(folder / PICTURES, pictures)
    splits = ("train",) * 4 + ("validation",) * 2
    records = [
        Record(f"{place}.png", hashlib.sha256(picture).hexdigest(), split, (f"a field of {place} tulips",), 64, 64, {})
        for place, (picture, split) in enumerate(zip(pictures, splits, strict=True))
    ]
    digest = write_lines(folder / RECORDS, [record.as_dict() for record in records])
    (folder / LEFT_OUT).write_text("")
    facts = {"params": asdict(Data(size=64)), "count": 6, "validation": 2, "left_out": 0, "digest": digest}
    (folder / FACTS).write_text(json.dumps(facts))
    return folder


@pytest.fixture
def params() -> Params:
    """Parameters whose section sagemaker is complete."""
    prices = {"ml.g5.xlarge": 1.5}
    where = {"role": ROLE, "bucket": BUCKET, "region": REGION}
    return Params().but("sagemaker", **where, instances=2, hours=3.0, prices=prices, spot_share=0.4)


@pytest.fixture
def account(monkeypatch):
    """Credentials, a bucket and a role; `account["denied"]` lists what the role may not do."""
    facts = {"denied": []}
    real = BaseClient._make_api_call

    def call(client, operation, request):  # what moto has not
        if operation != "SimulatePrincipalPolicy":
            return real(client, operation, request)
        real(client, "GetRole", {"RoleName": request["PolicySourceArn"].split("/")[-1]})
        verdicts = {True: "explicitDeny", False: "allowed"}
        results = [(name, verdicts[name in facts["denied"]]) for name in request["ActionNames"]]
        return {"EvaluationResults": [{"EvalActionName": name, "EvalDecision": verdict} for name, verdict in results]}

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with mock_aws():
        session = boto3.Session(region_name=REGION)
        session.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        make_role(session, "SageMaker", TRUST)
        yield facts
