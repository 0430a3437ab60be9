"""Trainings in MLflow: parameters, metrics, pictures and models, so that every run can be compared and repeated.

Tracking never stops or slows a training that MLflow does not answer: what was to be sent waits, and is tried again
after a minute, then two, four and so on, and a last time at the end. log.jsonl has all figures anyway.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from tqdm import tqdm

from synth import __version__
from synth.errors import InputError
from synth.models.weights import digest
from synth.train.connection import OFF, TRANSFER, check_installed, connect, open_run, talking, without_secrets
from synth.train.params import Params, Track

if TYPE_CHECKING:
    from mlflow import MlflowClient

Call = Callable[["MlflowClient", str], None]
Status = Literal["FINISHED", "FAILED", "KILLED"]
PAUSE = 60.0  # seconds
LIBRARIES = ("torch", "diffusers", "transformers", "peft", "accelerate", "numpy", "mlflow")
TOGETHER = 100  # parameters that MLflow takes in one request


class Tracker:
    """One training's run in MLflow. `start` makes one; where `track.uri` is off, it does nothing."""

    def __init__(self, track: Track, name: str, run_folder: Path) -> None:
        self.track, self.name, self.folder = track, name, Path(run_folder)
        self.run: str | None = None
        self._client: MlflowClient | None = None
        self._waiting: deque[Call] = deque()
        self._pause, self._next_try, self._warned = PAUSE, 0.0, False

    @classmethod
    def start(
        cls,
        params: Params,
        name: str,
        run_folder: Path,
        *,
        digests: Mapping[str, str],
        machine: Mapping[str, str] | None = None,
    ) -> Self:
        """Begin a run called `name`, or go on with the one in the run folder's tracking.json.

        digests: what pins what the training is made of, such as {"data": ..., "base": ...}. machine: what computes it:
        the device, how many processes, the precision that "auto" came to. With these, all parameters (params.yaml is
        an artefact too), the code's revision and the libraries' versions, the run can be repeated. InputError only if
        MLflow is not installed.
        """
        check_installed(params.track)
        tracker = cls(params.track, name, run_folder)
        shown = params.but("track", uri=without_secrets(params.track.uri))
        tags = {f"digest.{name}": value for name, value in digests.items()}
        tags |= {f"machine.{name}": value for name, value in (machine or {}).items()}
        tracker._send(partial(_describe, params=shown, tags=tags))
        return tracker

    def metrics(self, figures: Mapping[str, float], step: int) -> None:
        """Log figures of a step. A resumed training may log a step again, which then has two points."""
        self._send(partial(_log_metrics, figures=dict(figures), step=step, milliseconds=int(time.time() * 1000)))

    def artifact(self, path: Path, folder: str = "") -> None:
        """Store a file, or what is in a folder, in the run's artefact folder `folder`."""
        self._send(partial(self._upload, path=Path(path), folder=folder))

    def model(self, folder: Path) -> None:
        """Store a model's files where the registry looks for them."""
        self.artifact(folder, model_place(digest(folder)))

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run; what still waits is tried a last time."""
        self._next_try = 0.0
        self._send(lambda client, run: client.set_terminated(run, status))

    def _upload(self, client: "MlflowClient", run: str, path: Path, folder: str) -> None:
        with talking(self.track, TRANSFER):
            store = client.log_artifacts if path.is_dir() else client.log_artifact
            store(run, str(path), folder or None)

    def _send(self, call: Call) -> None:
        """Queue a call, and make all that wait, unless MLflow did not answer lately."""
        if self.track.uri == OFF:
            return
        self._waiting.append(call)
        if time.monotonic() < self._next_try:
            return
        try:
            self._connect()
            while self._waiting:
                self._make(self._waiting[0])
                self._waiting.popleft()
            self._pause = PAUSE
        except Exception as error:  # a training of days is worth more than its log
            self._next_try, self._pause = time.monotonic() + self._pause, 2 * self._pause
            self._warn(f"MLflow cannot be reached; the training goes on and log.jsonl has its figures. {error}")

    def _connect(self) -> None:
        if self.run is not None:
            return
        self._client = connect(self.track)
        with talking(self.track):
            self.run = open_run(self._client, self.track, self.folder, self.name)

    def _make(self, call: Call) -> None:
        """Make a call. One that fails although MLflow answers is given up, or all behind it would wait for ever."""
        try:
            with talking(self.track):
                call(self._client, self.run)
        except InputError as error:
            with talking(self.track):
                self._client.get_run(self.run)
            self._warn(f"MLflow did not take something; the training goes on. {error}")

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            tqdm.write(text.splitlines()[0], file=sys.stderr)


def model_place(pinned: str) -> str:
    """Where a run's artefacts have the files of the model with that digest."""
    return f"model/{pinned.removeprefix('sha256:')[:16]}"


def flattened(params: Params) -> dict[str, str]:
    """All parameters as texts, named section.field; lists are JSON."""
    return dict(_leaves(params.as_dict(), ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _describe(client: "MlflowClient", run: str, params: Params, tags: dict[str, str]) -> None:
    """What repeating the run needs. A parameter that a resumed run changed is a tag, since MLflow lets none change."""
    from mlflow.entities import Param, RunTag

    client.update_run(run, status="RUNNING")
    known, now = client.get_run(run).data.params, flattened(params)
    new = [Param(name, value) for name, value in now.items() if name not in known]
    for start in range(0, len(new), TOGETHER):
        client.log_batch(run, params=new[start : start + TOGETHER])
    tags = tags | {f"version.{name}": value for name, value in versions().items()} | {"code.revision": revision()}
    tags |= {f"changed.{name}": value for name, value in now.items() if known.get(name, value) != value}
    client.log_batch(run, tags=[RunTag(name, value) for name, value in tags.items()])
    with tempfile.TemporaryDirectory() as folder:
        params.write(Path(folder, "params.yaml"))
        client.log_artifact(run, str(Path(folder, "params.yaml")))


def versions() -> dict[str, str]:
    """Of Synth, Python and the libraries that decide a training's result, those that are installed."""
    found = {"synth": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """The commit of Synth's code, "-dirty" behind it if files differ; "" where it is no git checkout of its own."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _log_metrics(client: "MlflowClient", run: str, figures: dict[str, float], step: int, milliseconds: int) -> None:
    from mlflow.entities import Metric

    client.log_batch(run, metrics=[Metric(name, value, milliseconds, step) for name, value in figures.items()])
