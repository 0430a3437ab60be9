"""How Synth talks to MLflow: without telemetry, without chatter, and never waiting for long.

Only MLflow's client is used, never its global state or autologging. Credentials come from the URI or from MLflow's own
environment variables (MLFLOW_TRACKING_USERNAME, _PASSWORD, _TOKEN); what is stored or shown is free of them.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from synth.errors import InputError, SynthError
from synth.jobs import content_key
from synth.records.files import write_atomically
from synth.train.params import Track
from synth.train.run_folder import FACTS, free

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
OFF = "off"
NOTE = "tracking.json"
ANSWER = 5  # seconds for a request
CONNECT = 20  # seconds for the first answer; MLflow itself retries a database for minutes
TRANSFER = 600  # seconds for a file: a server may store it elsewhere before it answers
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
TIMEOUT, RETRIES = "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def check_installed(track: Track) -> None:
    """InputError with the remedy if tracking is on, and MLflow is not installed."""
    if track.uri != OFF and find_spec("mlflow") is None:
        remedy = 'install MLflow with pip install "synth[track]", or use off'
        raise InputError("track.uri", without_secrets(track.uri), remedy)


def connect(track: Track) -> "MlflowClient":
    """A client of the MLflow at `track.uri`, after its first answer. InputError if that does not come in 20 seconds."""
    if track.uri == OFF:
        raise InputError("track.uri", OFF, "say where MLflow keeps models, such as sqlite:///mlflow.db")
    check_installed(track)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)  # MLflow reads them when it is imported
    with talking(track):
        return _within(CONNECT, lambda: _answering_client(track.uri))


def _answering_client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    return client


@contextmanager
def talking(track: Track, seconds: int = ANSWER) -> Iterator[None]:
    """Inside the block, requests give up after `seconds` (or what the environment says, if more), after one retry.

    Whatever goes wrong there is an InputError that names `track.uri`: stores and plug-ins raise errors of any kind.
    """
    before = {name: os.environ.get(name) for name in (TIMEOUT, RETRIES)}
    os.environ[TIMEOUT] = str(max(seconds, _whole_seconds(before[TIMEOUT])))
    os.environ[RETRIES] = before[RETRIES] or "1"
    try:
        yield
    except SynthError:
        raise
    except Exception as error:
        reason = without_secrets((str(error).strip().splitlines() or [type(error).__name__])[0])[:300]
        remedy = f"check that MLflow runs there and may be written to ({reason})"
        raise InputError("track.uri", without_secrets(track.uri), remedy) from error
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _whole_seconds(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        raise InputError(TIMEOUT, text, "set this environment variable to whole seconds, such as 30") from None


def _within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises; TimeoutError if it takes longer, and then it goes on in the background."""
    returned: list[T] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            returned.append(call())
        except Exception as error:
            raised.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError(f"no answer in {seconds:g} seconds")
    return returned[0]


def open_run(client: "MlflowClient", track: Track, run_folder: Path, name: str = "") -> str:
    """The id of the MLflow run that belongs to a run folder: that in its tracking.json, or a new one."""
    noted = noted_run(track, run_folder)
    old = found(client.get_run, noted) if noted else None
    if old is not None and old.info.lifecycle_stage == "active":
        return old.info.run_id
    run_folder.mkdir(parents=True, exist_ok=True)
    run = client.create_run(_experiment(client, track), run_name=name or run_folder.resolve().name).info.run_id
    note = {"uri": without_secrets(track.uri), "run": run, "training": _training(run_folder)}
    write_atomically(run_folder / NOTE, json.dumps(note).encode())
    return run


def noted_run(track: Track, run_folder: Path) -> str | None:
    """The id of the MLflow run that a run folder's tracking.json names, if it is of this MLflow and this training."""
    noted = _object(run_folder / NOTE)
    here = noted.get("uri") == without_secrets(track.uri) and noted.get("training") == _training(run_folder)
    return str(noted.get("run")) if here else None


def _training(run_folder: Path) -> str:
    """What tells a training from others that were in its folder: its data, its base and its seed, and how it learns."""
    facts = _object(run_folder / FACTS)
    params = facts.get("params", {})
    learned = {name: value for name, value in params.items() if name not in free(params.get("kind", ""))}
    return content_key([facts.get("data"), facts.get("base"), learned])


def found(get: Callable[..., T], *key: str) -> T | None:
    """What a request to MLflow finds, or None if there is no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return get(*key)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def without_secrets(text: str) -> str:
    """A text with URIs without their user, password and query.

    >>> without_secrets("http://me:secret@host:5000/a?token=1")
    'http://host:5000/a'
    """
    text = re.sub(r"(?<=://)(?=[^/\s])\S*@", "", text)
    return re.sub(r"(://[^\s?'\"]*)\?[^\s'\"]*", r"\1", text)


def _object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _experiment(client: "MlflowClient", track: Track) -> str:
    known = client.get_experiment_by_name(track.experiment)
    if known is not None:
        return known.experiment_id
    return client.create_experiment(track.experiment, artifact_location=_artefacts(track.uri))


def is_new(track: Track) -> bool:
    """Whether `track.uri` is an SQLite database that does not exist yet: to ask it would make it."""
    database = _database(track.uri)
    return database is not None and not database.exists()


def _artefacts(uri: str) -> str | None:
    """Beside an SQLite database; None, which is the server's own place, for anything else."""
    database = _database(uri)
    return (database.resolve().parent / "mlartifacts").as_uri() if database else None


def _database(uri: str) -> Path | None:
    scheme, _, database = uri.partition(":///")
    return Path(database.partition("?")[0]) if scheme.startswith("sqlite") else None
