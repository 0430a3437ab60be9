"""The models that training promoted here, for the page's own service to offer."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from synth.errors import ModelError, SynthError
from synth.presets import LORA_FILE
from synth.train.connection import is_new
from synth.train.params import Params, Track

REGISTRY = Path("mlflow.db")  # where `synth train promote` keeps them if nothing else is said
PARAMS = Path("params.yaml")
NAMES = {"unet": "champion", "gpt2": "champion-gpt2", "vae": "champion-vae"}


def champions(folder: Path) -> list[str]:
    """Fetches every champion into the folder; each as NAME=PATH. None where nothing was ever promoted.

    The registries are that of params.yaml here, and MLflow's own file here. A champion that cannot be had is left out,
    and that is said.
    """
    found: dict[str, str] = {}
    for kind, track in _tracks():
        name = NAMES[kind]
        if name in found or is_new(track):
            continue
        try:
            kept = _kept(track, folder / name)
        except SynthError as error:
            print(f"synth: the page offers no {name}: {error}", file=sys.stderr)
            continue
        if kept:
            found[name] = f"{name}={kept}"
    return list(found.values())


def _tracks() -> Iterator[tuple[str, Track]]:
    """Where a champion of each kind may be, the likeliest first."""
    params = Params.read(PARAMS) if PARAMS.is_file() else Params()
    for track in (params.track, Track(uri=f"sqlite:///{REGISTRY.resolve()}")):
        if track.uri != "off":
            kinds = [params.train.kind] if track.model else list(NAMES)
            yield from ((kind, track.of(kind)) for kind in kinds if kind in NAMES)


def _kept(track: Track, place: Path) -> str:
    """A champion's files, in a folder that later champions leave alone: unfinished studies need them. "" for none."""
    from synth.train.registry import best, has_champion, parameters_of  # imports scipy

    if not has_champion(track):
        return ""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        fetched, version, _ = best(track, Path(temporary) / "model")
        kept = place.with_name(f"{place.name}-{version.digest.removeprefix('sha256:')[:12]}")
        if not kept.exists():
            fetched.rename(kept)
    if not (kept / LORA_FILE).is_file():
        return str(kept)
    base = parameters_of(track, version).get("train.base")
    if base is None:
        raise ModelError(f"{version} is a LoRA, and MLflow does not know of which model")
    return f"{base}+{kept}"
