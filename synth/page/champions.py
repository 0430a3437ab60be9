"""The models that training promoted here, for the page's own service to offer."""

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from synth.errors import ModelError
from synth.train.connection import is_new
from synth.train.params import Params, Track

REGISTRY = "sqlite:///mlflow.db"  # where `synth train promote` keeps them if nothing else is said
PARAMS = Path("params.yaml")
NAMES = {"unet": "champion", "gpt2": "champion-gpt2", "vae": "champion-vae"}


def champions(folder: Path) -> list[str]:
    """Fetches every champion into the folder; each as NAME=PATH. None where nothing was ever promoted.

    The registry is that of params.yaml here, or MLflow's own file here. InputError where it does not answer.
    """
    track = _track()
    if is_new(track):
        return []
    found = []
    for kind, name in NAMES.items():
        with suppress(ModelError):  # none of this kind was promoted
            found.append(f"{name}={_kept(track.of(kind), folder / name)}")
    return found


def _kept(track: Track, place: Path) -> Path:
    """A champion's files, in a folder that later champions leave alone: unfinished studies need them."""
    from synth.train.registry import best  # imports scipy

    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        fetched, version, _ = best(track, Path(temporary) / "model")
        kept = place.with_name(f"{place.name}-{version.digest.removeprefix('sha256:')[:12]}")
        if not kept.exists():
            fetched.rename(kept)
    return kept


def _track() -> Track:
    track = Params.read(PARAMS).track if PARAMS.is_file() else Track()
    return replace(track, uri=REGISTRY) if track.uri == "off" else track
