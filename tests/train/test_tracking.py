"""Trainings are in MLflow, whole enough to be repeated; and no trouble with MLflow is trouble for the training."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow_store import new_store

from synth.errors import InputError
from synth.train import connection, tracking
from synth.train.connection import connect, without_secrets
from synth.train.params import Params, Track
from synth.train.tracking import Tracker, flattened, model_place

DIGESTS = {"data": "sha256:da7a", "base": "sha256:ba5e"}
NOBODY = "http://me:secret@127.0.0.1:9"


@pytest.fixture
def params(tmp_path) -> Params:
    return Params(track=new_store(tmp_path))


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "run"


def start(params: Params, folder: Path) -> Tracker:
    return Tracker.start(params, "flowers", folder, digests=DIGESTS, machine={"precision": "bf16"})


def stored(params: Params, tracker: Tracker):
    return connect(params.track).get_run(tracker.run)


def test_a_run_has_all_that_repeating_it_needs(params, folder, tmp_path):
    params = params.but("train", steps=7, scratch=True, shape={"layers_per_block": 1})
    tracker = start(params, folder)
    tracker.metrics({"loss": 0.5, "rate": 1e-4}, step=1)
    tracker.metrics({"loss": 0.25, "validation_loss": float("nan")}, step=2)
    (folder / "samples").mkdir(parents=True)
    (folder / "samples/step-2.png").write_bytes(b"picture")
    tracker.artifact(folder / "samples/step-2.png", "samples")
    tracker.finish()

    client, run = connect(params.track), stored(params, tracker)
    assert (run.info.run_name, run.info.status) == ("flowers", "FINISHED")
    assert run.data.params == flattened(params)
    assert run.data.params["train.shape.layers_per_block"] == "1"
    assert run.data.params["train.betas"] == "[0.9, 0.99]"
    assert {"digest.data", "digest.base", "version.torch", "version.synth", "version.python"} <= run.data.tags.keys()
    assert run.data.tags["machine.precision"] == "bf16"
    assert re.fullmatch("([0-9a-f]{40}(-dirty)?)?", run.data.tags["code.revision"])
    assert [(point.step, point.value) for point in client.get_metric_history(tracker.run, "loss")] == [
        (1, 0.5),
        (2, 0.25),
    ]
    assert Params.read(client.download_artifacts(tracker.run, "params.yaml", str(tmp_path))) == params
    assert Path(client.download_artifacts(tracker.run, "samples/step-2.png", str(tmp_path))).read_bytes() == b"picture"
    assert (tmp_path / "mlartifacts").is_dir(), "artefacts lie beside the database"


def test_a_model_is_stored_under_its_digest(params, folder, tiny_gpt2):
    tracker = start(params, folder)
    tracker.model(tiny_gpt2)
    names = [
        file.path for file in connect(params.track).list_artifacts(tracker.run, model_place(tracking.digest(tiny_gpt2)))
    ]
    assert any(name.endswith("model.safetensors") for name in names)


def test_a_resumed_training_goes_on_in_its_run(params, folder):
    first = start(params, folder)
    first.metrics({"loss": 0.5}, step=1)
    first.finish("KILLED")
    second = start(params.but("train", steps=900), folder)
    assert second.run == first.run
    run = stored(params, second)
    assert run.info.status == "RUNNING"
    assert run.data.params["train.steps"] == "500", "MLflow lets no parameter change"
    assert run.data.tags["changed.train.steps"] == "900"
    second.metrics({"loss": 0.4}, step=2)
    second.finish()
    assert [point.step for point in connect(params.track).get_metric_history(first.run, "loss")] == [1, 2]


@pytest.mark.parametrize("spoil", [
    lambda client, run, note: client.delete_run(run),
    lambda client, run, note: note.write_text('{"uri": "http://elsewhere", "run": "1"}'),
    lambda client, run, note: note.write_text(note.read_text().replace(run, "0" * 32)),
    lambda client, run, note: note.write_text("{"),
    lambda client, run, note: note.write_text("[]"),
])  # fmt: skip
def test_a_run_that_is_not_there_is_begun_anew(params, folder, spoil):
    first = start(params, folder)
    spoil(connect(params.track), first.run, folder / "tracking.json")
    second = start(params, folder)
    assert second.run not in (None, first.run)


def test_another_training_in_the_same_folder_is_another_run(params, folder):
    folder.mkdir()
    runs = []
    for data, every in (("one", 1), ("one", 2), ("two", 2)):
        (folder / "run.json").write_text(json.dumps({"data": data, "base": "b", "params": {"validate_every": every}}))
        runs.append(start(params, folder).run)
    assert runs[0] == runs[1] != runs[2]


def test_off_does_nothing(folder, monkeypatch):
    monkeypatch.setattr(tracking, "connect", lambda track: pytest.fail("it talked to MLflow"))
    tracker = start(Params(), folder)
    tracker.metrics({"loss": 0.5}, step=1)
    tracker.artifact(folder / "nothing.png")
    tracker.finish()
    assert not folder.exists()


def test_an_unreachable_server_costs_one_line_and_no_time(folder, capsys):
    params = Params(track=Track(uri=NOBODY))
    began = time.monotonic()
    tracker = start(params, folder)
    assert time.monotonic() - began < 15
    began = time.monotonic()
    for step in range(1000):
        tracker.metrics({"loss": 0.5}, step)
    assert time.monotonic() - began < 1
    tracker.finish("FAILED")
    (line,) = capsys.readouterr().err.splitlines()
    assert "the training goes on" in line
    assert "'http://127.0.0.1:9'" in line
    assert "secret" not in line


def test_a_server_that_never_answers_is_not_waited_for(folder, capsys, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        start(Params(track=Track(uri=f"http://127.0.0.1:{server.getsockname()[1]}")), folder).finish()
        assert time.monotonic() - began < 10
    assert "no answer in 1 seconds" in capsys.readouterr().err


@pytest.mark.parametrize("uri", ["htp://typo", "sqlite:///file/mlflow.db", "postgresql://me:secret@127.0.0.1:9/x"])
def test_a_uri_that_cannot_work_is_told_in_one_line(folder, capsys, uri, monkeypatch):
    monkeypatch.setattr(connection, "CONNECT", 1)
    Path("file").touch()
    start(Params(track=Track(uri=uri)), folder).finish()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("MLflow cannot be reached; the training goes on")
    assert "secret" not in line


def test_what_waited_is_sent_when_mlflow_is_back(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tracking, "PAUSE", 0.0)
    (tmp_path / "later").touch()  # a file where the database's folder is to be
    params = Params(track=Track(uri=f"sqlite:///{tmp_path}/later/mlflow.db"))
    tracker = start(params, folder)
    tracker.metrics({"loss": 0.5}, step=1)
    assert tracker.run is None
    (tmp_path / "later").unlink()
    (tmp_path / "later").mkdir()
    new_store(tmp_path / "later")
    tracker.metrics({"loss": 0.4}, step=2)
    assert stored(params, tracker).data.params == flattened(params)
    assert [point.step for point in connect(params.track).get_metric_history(tracker.run, "loss")] == [1, 2]
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_mlflow_does_not_take_is_left_out_and_told_once(params, folder, capsys):
    tracker = start(params, folder)
    tracker.artifact(folder / "nothing.png")
    tracker.metrics({"bad#name": 1.0}, step=1)
    tracker.metrics({"loss": 0.5}, step=1)
    tracker.finish()
    assert stored(params, tracker).data.metrics == {"loss": 0.5}
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLflow did not take something" in line


def test_the_environment_is_put_back(params, folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "90")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with connection.talking(params.track):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "90", "the user's own patience is kept"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "90"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_without_mlflow_the_extra_is_named_before_the_training(params, folder, monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "synth\[track\]", or use off'):
        start(params, folder)
    start(Params(), folder)


def test_mlflow_is_loaded_only_when_it_is_talked_to_and_tells_nobody(tmp_path):
    program = """if True:
        import sys
        from pathlib import Path
        from synth.train.params import Params, Track
        from synth.train import registry, tracking
        assert not {"mlflow", "pandas"} & sys.modules.keys()
        tracker = tracking.Tracker.start(Params(track=Track(uri="sqlite:///mlflow.db")), "x", Path(), digests={})
        tracker.finish()
        from mlflow.telemetry.utils import is_telemetry_disabled
        assert is_telemetry_disabled() and tracker.run
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@given(st.from_regex(r"[A-Za-z0-9:@/+!]{1,20}", fullmatch=True), st.sampled_from(["http", "postgresql+psycopg2"]))
def test_no_part_of_a_password_is_shown(password, scheme):
    text = without_secrets(f"cannot open {scheme}://user:{password}hunter2@host:80/path?token=hunter2, so stop")
    assert "hunter2" not in text
    assert text == f"cannot open {scheme}://host:80/path so stop"


@pytest.mark.parametrize(
    "uri", ["sqlite:///mlflow.db", "sqlite:////home/me@work/mlflow.db", "http://host:5000", "mlruns"]
)
def test_a_uri_without_secrets_stays(uri):
    assert without_secrets(uri) == uri
