"""A fetched run is in MLflow as if it had been trained here, and the whole command ends there."""

import json

import boto3
import pytest
from cloud_account import BUCKET, REGION, archive, run
from mlflow_store import new_store

from synth.train.cloud import launching
from synth.train.cloud.recording import record
from synth.train.connection import connect
from synth.train.params import Params

LOG = [
    {"step": 20, "loss": 0.9, "rate": 0.1},
    {"step": 20, "validation_loss": 0.8},
    {"step": 40, "loss": 0.7, "rate": 0.0},
    {"step": 40, "validation_loss": 0.6},
]
LEFT = {
    "run/log.jsonl": "".join(json.dumps(line) + "\n" for line in LOG).encode(),
    "run/run.json": json.dumps({"kind": "unet", "data": "d" * 64, "base": "b" * 64, "params": {}}).encode(),
    "run/result.json": json.dumps({"checkpoint": "step-00000040.safetensors"}).encode(),
    "run/checkpoints/step-00000040.safetensors": b"c",
    "run/samples/step-00000040.png": b"png",
}
MODEL = {"config.json": b"{}", "model.safetensors": b"w", "README.md": b"a card"}


@pytest.fixture
def tracked(params, tmp_path) -> Params:
    track = new_store(tmp_path, model="clouded")
    return params.but("track", uri=track.uri, experiment=track.experiment, model=track.model)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_command_trains_fetches_and_registers(prepared, tracked, account, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(launching, "pack_source", lambda params, file: params.write(file))
    start = launching.Launch.start

    def start_and_leave_results(launch) -> str:
        name = start(launch)
        for kind, files in (("model", MODEL), ("output", LEFT)):
            key = f"synth/runs/{launch.job.name}/output/{name}/output/{kind}.tar.gz"
            boto3.Session(region_name=REGION).client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive(**files))
        return name

    monkeypatch.setattr(launching.Launch, "start", start_and_leave_results)
    tracked.write(tmp_path / "params.yaml")
    out = tmp_path / "mine"
    assert run("unet", "--data", prepared, "--params", tmp_path / "params.yaml", "--out", out, "--yes") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("2 x ml.g5.xlarge for at most 3 hours cost at most 3.60 US dollars")
    assert printed[-2:] == [
        f"The model is in {out / 'model'}",
        "MLflow has it as clouded version 1, validation_loss 0.6 (0.6 to 0.6)",
    ]
    client = connect(tracked.track)
    version = client.get_model_version("clouded", "1")
    made = client.get_run(version.run_id)
    assert made.info.status == "FINISHED" and made.data.params["train.kind"] == "unet"
    history = [(point.step, point.value) for point in client.get_metric_history(version.run_id, "loss")]
    assert history == [(20, 0.9), (40, 0.7)]
    assert [item.path for item in client.list_artifacts(version.run_id, "samples")] == ["samples/step-00000040.png"]


def test_without_tracking_nothing_is_recorded(params, tmp_path):
    assert record(tmp_path, params) is None
    assert list(tmp_path.iterdir()) == []
