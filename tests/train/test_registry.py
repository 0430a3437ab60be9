"""The champion is the best model that was registered, and what is fetched is what was registered."""

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow_store import new_store

from synth.errors import InputError, ModelError
from synth.measure.intervals import Figure
from synth.models.weights import digest
from synth.train.connection import connect
from synth.train.measured import Measured
from synth.train.params import Params, Track
from synth.train.registry import best, promote, register
from synth.train.tracking import Tracker, model_place


@pytest.fixture
def track(tmp_path) -> Track:
    return new_store(tmp_path, model="tiny")


def trained(folder: Path, weights: str) -> tuple[Path, Path]:
    """A run folder and its model, which is what a registry needs of it: files."""
    model = folder / weights / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_text(weights)
    (model / "README.md").write_text("a card")
    return model.parent, model


def loss(value: float, half_width: float = 0.01, **terms: str) -> Measured:
    return of("loss", value, half_width, **terms)


def of(name: str, value: float, half_width: float, **terms: str) -> Measured:
    return Measured(Figure(name, value, value - half_width, value + half_width), terms)


def enter(track: Track, tmp_path: Path, weights: str, measured: Measured):
    """Register and promote."""
    return promote(register(*trained(tmp_path, weights), measured, track), track)


def test_the_champion_changes_only_for_a_better_model(track, tmp_path):
    first = enter(track, tmp_path, "first", loss(0.5))
    assert (first.promoted, first.reason, first.beaten) == (True, "it is the first", None)
    noisy = enter(track, tmp_path, "noisy", loss(0.487))
    assert not noisy.promoted
    assert noisy.champion == first.champion
    assert noisy.reason == (
        "loss 0.487 (0.477 to 0.497) is better than loss 0.5 (0.49 to 0.51) by 0.013, "
        "not more than the noise of 0.01414"
    )
    better = enter(track, tmp_path, "better", loss(0.48))
    assert (better.promoted, better.beaten) == (True, first.champion)
    assert better.champion.number == 3
    worse = enter(track, tmp_path, "worse", loss(0.6))
    assert not worse.promoted
    assert "is worse than" in worse.reason
    again = promote(better.champion, track)
    assert (again.promoted, again.reason) == (False, "it is the champion already")


def test_higher_is_better_where_it_is_said(track, tmp_path):
    track = replace(track, metric="clip_score", better="higher")
    enter(track, tmp_path, "first", of("clip_score", 20.0, 1.0))
    assert not enter(track, tmp_path, "lower", of("clip_score", 10.0, 1.0)).promoted
    assert enter(track, tmp_path, "higher", of("clip_score", 30.0, 1.0)).promoted


def test_the_best_is_fetched_whole_and_says_what_it_beat(track, tmp_path):
    first = enter(track, tmp_path, "first", loss(0.5)).champion
    assert best(track, tmp_path / "fetched-first")[1:] == (first, None)
    enter(track, tmp_path, "second", loss(0.4))
    folder, champion, beaten = best(track, tmp_path / "deep/out")
    assert (folder, champion.figure, beaten) == (tmp_path / "deep/out", loss(0.4).figure, first)
    assert digest(folder) == champion.digest == digest(tmp_path / "second/model")
    assert (folder / "README.md").read_text() == "a card"
    assert [path.name for path in folder.parent.iterdir()] == ["out"], "nothing is left beside it"
    assert best(track, tmp_path / "deep/out")[1] == champion, "what is there already is kept"


def test_files_that_changed_are_refused(track, tmp_path):
    champion = enter(track, tmp_path, "first", loss(0.5)).champion
    (stored,) = (tmp_path / "mlartifacts").rglob(f"{model_place(champion.digest)}/model.safetensors")
    stored.write_text("other weights")
    with pytest.raises(ModelError, match="tiny version 1, loss 0.5 .* are not those that were registered"):
        best(track, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_left_alone(track, tmp_path):
    enter(track, tmp_path, "first", loss(0.5))
    for occupied in (trained(tmp_path, "other")[1], tmp_path / "file"):
        if not occupied.exists():
            occupied.touch()
        with pytest.raises(InputError, match="choose a folder that does not exist yet"):
            best(track, occupied)


def test_a_deleted_loser_is_forgotten(track, tmp_path):
    enter(track, tmp_path, "first", loss(0.5))
    enter(track, tmp_path, "second", loss(0.4))
    connect(track).delete_model_version("tiny", "1")
    assert best(track, tmp_path / "out")[2] is None


def test_the_same_files_of_a_run_stay_one_version(track, tmp_path):
    run, model = trained(tmp_path, "one")
    first, second = register(run, model, loss(np.float64(0.5)), track), register(run, model, loss(0.3), track)
    assert (first.number, second.number, second.figure) == (1, 1, loss(0.3).figure)
    (model / "model.safetensors").write_text("trained further")
    third = register(run, model, loss(0.2), track)
    assert (third.number, third.run) == (2, first.run)
    promote(first, track)
    assert best(track, tmp_path / "out")[1].digest == first.digest, "the earlier files are still there"


def test_a_model_belongs_to_the_run_that_trained_it(track, tmp_path):
    run, model = trained(tmp_path, "one")
    tracker = Tracker.start(Params(track=track), "one", run, digests={})
    tracker.model(model)
    tracker.finish()
    version = register(run, model, loss(0.5), track)
    assert version.run == tracker.run
    assert connect(track).get_run(version.run).info.status == "FINISHED"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_not_registered(track, tmp_path, value):
    with pytest.raises(ModelError, match="cannot be compared, and is not registered: loss"):
        register(*trained(tmp_path, "one"), Measured(Figure("loss", value, 0.0, 1.0)), track)


def test_a_training_without_a_model_is_told(track, tmp_path):
    with pytest.raises(ModelError, match="There is no model in .*; let the training end first"):
        register(tmp_path, tmp_path / "model", loss(0.5), track)


def test_figures_of_different_metrics_are_not_compared(track, tmp_path):
    enter(track, tmp_path, "first", loss(0.5))
    with pytest.raises(InputError, match="track.metric: 'kid' cannot be used; use loss, by which the champion was"):
        enter(track, tmp_path, "second", of("kid", 0.1, 0.1))


def test_figures_of_other_data_are_not_compared_until_the_champion_is_measured_on_them(track, tmp_path):
    first = enter(track, tmp_path, "first", loss(0.5, data="hard", noises="4")).champion
    easier = loss(0.1, data="easy", noises="4")
    with pytest.raises(InputError, match="'tiny' cannot be used; its champion was measured with other data: evaluate"):
        enter(track, tmp_path, "second", easier)
    assert best(track, tmp_path / "out")[1] == first
    enter(track, tmp_path, "first", loss(0.05, data="easy", noises="4"))
    assert "is worse than" in enter(track, tmp_path, "second", easier).reason


def test_the_values_of_each_picture_are_there_to_be_compared(track, tmp_path):
    hard = np.linspace(0.1, 0.9, 30)
    figures = [Figure("loss", mean, mean - 0.1, mean + 0.1) for mean in (0.5, 0.49)]
    enter(track, tmp_path, "first", Measured(figures[0], {}, hard.tolist()))
    better = [value - (0.009, 0.011)[number % 2] for number, value in enumerate(hard)]
    outcome = enter(track, tmp_path, "second", Measured(figures[1], {}, better))
    assert outcome.promoted and "by 0.01, more than the noise of 0.0003" in outcome.reason


def test_a_model_that_the_training_stored_is_not_stored_again(track, tmp_path, monkeypatch):
    run, model = trained(tmp_path, "one")
    Tracker.start(Params(track=track), "one", run, digests={}).model(model)
    sent = []
    monkeypatch.setattr(type(connect(track)), "log_artifacts", lambda self, run, folder, place: sent.append(place))
    register(run, model, loss(0.5), track)
    assert not sent
    (model / "model.safetensors").write_text("another")
    register(run, model, loss(0.5), track)
    assert len(sent) == 1


def test_to_ask_for_a_champion_makes_no_database(tmp_path):
    with pytest.raises(ModelError, match="synth-unet has no champion"):
        best(Track(uri=f"sqlite:///{tmp_path}/none.db").of("unet"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_registry_without_champion_is_told(track, tmp_path):
    for _ in range(2):
        with pytest.raises(ModelError, match="tiny has no champion in MLflow yet; promote a trained model first"):
            best(track, tmp_path / "out")
        register(*trained(tmp_path, "one"), loss(0.5), track)


def test_a_champion_of_somebody_else_is_told(track, tmp_path):
    client = connect(track)
    client.create_registered_model("tiny")
    client.create_model_version("tiny", str(tmp_path))
    client.set_registered_model_alias("tiny", "champion", "1")
    with pytest.raises(ModelError, match="Version 1 of tiny has no figure and digest, so Synth did not register it"):
        best(track, tmp_path / "out")


def test_off_and_unreachable_are_told(track, tmp_path):
    with pytest.raises(InputError, match="track.uri: 'off' cannot be used; say where MLflow keeps models"):
        best(Track(), tmp_path / "out")
    began = time.monotonic()
    with pytest.raises(InputError, match="track.uri: 'http://127.0.0.1:9' cannot be used; check that MLflow runs"):
        register(*trained(tmp_path, "one"), loss(0.5), replace(track, uri="http://me:hunter2@127.0.0.1:9"))
    assert time.monotonic() - began < 15


@pytest.fixture
def server(tmp_path):
    """An MLflow server on this machine, with its files in tmp_path/server: its address and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = tmp_path / "server"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--artifacts-destination", str(home / "artifacts")],
        cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    try:
        yield wait_for(f"http://127.0.0.1:{port}", process), process
    finally:
        stop(process)


def wait_for(address: str, process: subprocess.Popen, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2).close()
            return address
        except OSError:
            time.sleep(0.2)
    return pytest.fail("mlflow server did not start")


def stop(process: subprocess.Popen) -> None:
    """End the server and the processes it started, which share its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_all_of_it_works_with_a_server_that_goes_away(server, track, tmp_path, capsys):
    address, process = server
    track = replace(track, uri=address.replace("://", "://me:hunter2@"))
    run, model = trained(tmp_path, "one")
    tracker = Tracker.start(Params(track=track), "one", run, digests={"data": "sha256:da7a"})
    tracker.metrics({"loss": 0.5}, step=1)
    tracker.model(model)
    tracker.finish()
    first = promote(register(run, model, loss(0.5), track), track).champion
    second = enter(track, tmp_path, "two", loss(0.4))
    folder, champion, beaten = best(track, tmp_path / "out")
    assert (digest(folder), champion, beaten) == (second.champion.digest, second.champion, first)
    kept = connect(track).get_run(tracker.run)
    assert (kept.data.params["track.uri"], kept.data.metrics) == (address, {"loss": 0.5})
    files = [file for file in (tmp_path / "server").rglob("*") if file.is_file()] + [run / "tracking.json"]
    assert not any(b"hunter2" in file.read_bytes() for file in files)

    assert capsys.readouterr() == ("", "")
    stop(process)
    tracker.metrics({"loss": 0.4}, step=2)
    tracker.finish()
    assert len(capsys.readouterr().err.splitlines()) == 1
