"""Which model is best: versions in MLflow's registry, and the alias `champion`, which moves only for a better one."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from synth.errors import InputError, ModelError
from synth.measure.intervals import Figure
from synth.models.weights import digest, read_json
from synth.train.connection import TRANSFER, connect, found, is_new, open_run, talking
from synth.train.measured import Measured, check_comparable, compare
from synth.train.params import Track
from synth.train.tracking import model_place

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import FileInfo
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHAMPION = "champion"
BEAT = "beat"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered model: its name and number there, the MLflow run that has its files, its figure, and its digest."""

    model: str
    number: int
    run: str
    figure: Figure
    digest: str

    @classmethod
    def of(cls, entry: "ModelVersion") -> Self:
        """The version that a registry's entry describes; ModelError if `register` did not make it."""
        tags = entry.tags
        try:
            figure = Figure(tags["metric"], *(float(tags[name]) for name in ("value", "low", "high")))
            return cls(entry.name, int(entry.version), entry.run_id, figure, tags["digest"])
        except (KeyError, ValueError):
            raise ModelError(
                f"Version {entry.version} of {entry.name} has no figure and digest, so Synth did not register it; "
                f"remove its alias {CHAMPION}, or use another track.model."
            ) from None

    def __str__(self) -> str:
        return f"{self.model} version {self.number}, {self.figure}"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What `promote` did, and why. champion: the best from now on; beaten: who was it before, if that has changed."""

    promoted: bool
    reason: str
    champion: Version
    beaten: Version | None = None


def register(run_folder: Path, model_folder: Path, measured: Measured, track: Track) -> Version:
    """Store a model's files in its training's MLflow run, and make them a version of `track.model`.

    The same files of the same run stay one version, whose figure is renewed. ModelError if there is no model, or its
    figure is no number; InputError if MLflow does not answer.
    """
    figure = measured.figure
    if not model_folder.is_dir():
        raise ModelError(f"There is no model in {model_folder}; let the training end first.")
    if not all(math.isfinite(value) for value in (figure.value, figure.low, figure.high)):
        raise ModelError(f"The model in {model_folder} cannot be compared, and is not registered: {figure}.")
    pinned, client = digest(model_folder), connect(track)
    tags = {"metric": figure.name, "digest": pinned}
    tags |= {name: repr(float(value)) for name, value in asdict(figure).items() if name != "name"}
    with talking(track, TRANSFER):
        run = open_run(client, track, Path(run_folder))
        client.log_dict(run, measured.as_dict(), _measured_place(track, pinned))
        return _registered(client, track, run, pinned, tags) or _new_version(client, track, run, model_folder, tags)


def _measured_place(track: Track, pinned: str) -> str:
    """Where a run's artefacts have what a model's figure was made of, for the registry's model `track.model`."""
    return f"measured/{track.model}/{pinned.removeprefix('sha256:')[:16]}.json"


def _registered(client: "MlflowClient", track: Track, run: str, pinned: str, tags: dict[str, str]) -> Version | None:
    """The version of these very files, with renewed tags, if there is one."""
    for entry in client.search_model_versions(f"run_id='{run}'"):
        if entry.name == track.model and entry.tags.get("digest") == pinned:
            for name, value in tags.items():
                client.set_model_version_tag(entry.name, entry.version, name, value)
            return Version.of(client.get_model_version(entry.name, entry.version))
    return None


def _new_version(client: "MlflowClient", track: Track, run: str, model_folder: Path, tags: dict[str, str]) -> Version:
    place = model_place(tags["digest"])
    if not _is_stored(client, run, model_folder, place):
        client.log_artifacts(run, str(model_folder), place)
    if _model(client, track.model) is None:
        client.create_registered_model(track.model)
    source = f"{client.get_run(run).info.artifact_uri}/{place}"
    return Version.of(client.create_model_version(track.model, source, run_id=run, tags=tags))


def _is_stored(client: "MlflowClient", run: str, folder: Path, place: str) -> bool:
    """Whether the training has stored the model already: all of its files, in their full sizes."""
    there = {item.path: item.file_size for item in _listed(client, run, place)}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return all(there.get(f"{place}/{path.relative_to(folder).as_posix()}") == path.stat().st_size for path in files)


def _listed(client: "MlflowClient", run: str, place: str) -> Iterator["FileInfo"]:
    for item in client.list_artifacts(run, place):
        if item.is_dir:
            yield from _listed(client, run, item.path)
        else:
            yield item


def promote(version: Version, track: Track) -> Promotion:
    """Make `version` the champion if it is the first, or better than the champion by more than the noise of both.

    Better means lower or higher as `track.better` says; `measured.gain` tells what the noise is. InputError if the
    champion was measured by another metric, on other data or in another way, or MLflow does not answer.
    """
    client = connect(track)
    with talking(track):
        champion = _champion(client, track.model)
        if champion is None:
            client.set_registered_model_alias(track.model, CHAMPION, version.number)
            return Promotion(True, "it is the first", version)
        if champion.number == version.number:
            return Promotion(False, "it is the champion already", champion)
        new, old = _measured(client, track, version), _measured(client, track, champion)
        check_comparable(new, old, track.model)
        promoted, reason = compare(new, old, track.better)
        if not promoted:
            return Promotion(False, reason, champion)
        # The alias moves last, so that a champion always knows whom it beat.
        client.set_model_version_tag(track.model, version.number, BEAT, champion.number)
        client.set_registered_model_alias(track.model, CHAMPION, version.number)
        return Promotion(True, reason, version, champion)


def _measured(client: "MlflowClient", track: Track, version: Version) -> Measured:
    """What a version's figure was made of, as it was registered."""
    with tempfile.TemporaryDirectory() as folder:
        place = _measured_place(track, version.digest)
        return Measured.from_dict(read_json(Path(client.download_artifacts(version.run, place, folder))))


def best(track: Track, out: Path) -> tuple[Path, Version, Version | None]:
    """Fetch the champion's files into the new folder `out`: the folder, the champion, and the version that it beat.

    `out` appears whole, or not at all. ModelError if there is no champion, or its files are not those that were
    registered; InputError if `out` has something else, or MLflow does not answer.
    """
    nobody = ModelError(f"{track.model} has no champion in MLflow yet; promote a trained model first.")
    if is_new(track):
        raise nobody
    client, out = connect(track), Path(out)
    with talking(track):
        champion = _champion(client, track.model)
        if champion is None:
            raise nobody
        beaten = client.get_model_version(track.model, champion.number).tags.get(BEAT)
        loser = _version(client, track.model, beaten) if beaten else None
    if not out.exists():
        _fetch(client, track, champion, out)
    elif not out.is_dir() or digest(out) != champion.digest:
        raise InputError("out", str(out), "choose a folder that does not exist yet")
    return out, champion, loser


def has_champion(track: Track) -> bool:
    """Whether anything was promoted there. InputError if MLflow does not answer."""
    if is_new(track):
        return False
    with talking(track):
        return _champion(connect(track), track.model) is not None


def parameters_of(track: Track, version: Version) -> dict[str, str]:
    """What a version was trained with, by dotted names such as train.base. InputError if MLflow does not answer."""
    with talking(track):
        return dict(connect(track).get_run(version.run).data.params)


def _fetch(client: "MlflowClient", track: Track, champion: Version, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".fetching-") as folder:
        with talking(track, TRANSFER):
            fetched = Path(client.download_artifacts(champion.run, model_place(champion.digest), folder))
        if digest(fetched) != champion.digest:
            raise ModelError(f"The files of {champion} are not those that were registered; do not use them.")
        fetched.replace(out)


def _champion(client: "MlflowClient", name: str) -> Version | None:
    model = _model(client, name)
    number = model.aliases.get(CHAMPION) if model else None
    return _version(client, name, number) if number else None


def _model(client: "MlflowClient", name: str) -> "RegisteredModel | None":
    return found(client.get_registered_model, name)


def _version(client: "MlflowClient", name: str, number: str | int) -> Version | None:
    entry = found(client.get_model_version, name, str(number))
    return Version.of(entry) if entry else None
