"""The models that the service offers: what clients call them, and where they lie. Nothing else reaches a loader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synth import presets
from synth.errors import InputError, ModelError
from synth.jobs import Settings, nearest

DEFAULT = ("vignettes", "vignettes-gpt2")
ALL = "presets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that clients may name.

    kind: "renderer" or "expander". source: the preset or path that the server's owner chose, which clients need not
    know; loras: what is laid over it. present: whether it can be used without the network, which the service does not
    touch. settings: what a renderer is advised to be used with, by speed (`synth.presets.SPEEDS`).
    """

    name: str
    kind: str
    source: str
    licence: str
    about: str
    present: bool
    settings: Mapping[str, Settings] = field(default_factory=dict)
    loras: tuple[tuple[str, float], ...] = ()


class Catalogue:
    """The offers by their names.

    names: of presets, or NAME=PATH, as "champion=best" for what `synth train best --out best` wrote, or NAME=BASE+PATH
    for a LoRA and what it is laid over; "presets" stands for every renderer and expander that has a name. InputError or
    ModelError where one of them cannot be offered.
    """

    def __init__(self, names: Sequence[str] = DEFAULT) -> None:
        offers = [offer for name in names for offer in _offers(name)]
        self.offers = {offer.name: offer for offer in offers}

    def source(self, name: str, kind: str) -> str:
        """What to load for a name; InputError if that is no present model of the kind on this server's list."""
        offered = [offer.name for offer in self.offers.values() if offer.kind == kind]
        field = "model" if kind == "renderer" else kind
        if name not in offered:
            hint = (
                f"did you mean {nearest(name, offered)!r}? One of: {', '.join(offered)}" if offered else "leave it out"
            )
            raise InputError(field, name, hint)
        if not self.offers[name].present:
            raise InputError(field, name, "its weights are not on this server: ask its owner to download them")
        return self.offers[name].source

    def loras(self, name: str) -> tuple[tuple[str, float], ...]:
        """What is laid over the model of that name."""
        return self.offers[name].loras


def _offers(name: str) -> list[Offer]:
    if name == ALL:
        return [_of_preset(item) for item in presets.PRESETS.values() if item.kind in ("renderer", "expander")]
    called, equals, path = name.partition("=")
    if equals:
        return [_of_path(called, path)]
    preset = presets.PRESETS.get(name)
    if preset is None or preset.kind not in ("renderer", "expander"):
        raise InputError("models", name, "give names of renderers and expanders (`synth models`), or NAME=PATH")
    return [_of_preset(preset)]


def _of_preset(preset: presets.Preset) -> Offer:
    return Offer(
        name=preset.name, kind=preset.kind, source=preset.name, licence=preset.licence, about=preset.about,
        present=presets.is_present(preset), settings=_settings(preset.name, preset.kind),
    )  # fmt: skip


def _of_path(name: str, path: str) -> Offer:
    base, plus, lora = ("", "", "") if Path(path).exists() else path.partition("+")
    if not name or not Path(lora if plus else path).exists():
        raise InputError("models", f"{name}={path}", "give NAME=PATH with a folder or file that exists")
    if not plus and (Path(path) / presets.LORA_FILE).is_file():
        raise InputError("models", f"{name}={path}", f"it is a LoRA: give {name}=BASE+{path}, as vignettes+{path}")
    kind = "renderer" if plus else _kind(Path(path))
    source = base if plus else str(Path(path).resolve())
    if Path(source).exists():
        source = str(Path(source).resolve())
    loras = ((_lora(Path(lora)), 1.0),) if plus else ()
    presets.resolve(source, kind, loras=loras)
    about = f"a {kind} of this server's owner"
    return Offer(
        name=name, kind=kind, source=source, licence="", about=about, settings=_settings(source, kind), loras=loras,
        present=source not in presets.PRESETS or presets.is_present(presets.PRESETS[source]),
    )  # fmt: skip


def _lora(path: Path) -> str:
    """The file of a LoRA, which may lie in a folder of its own."""
    return str((path / presets.LORA_FILE if path.is_dir() else path).resolve())


def _settings(source: str, kind: str) -> dict[str, Settings]:
    return {speed: presets.advised(source, speed) for speed in presets.SPEEDS} if kind == "renderer" else {}


def _kind(path: Path) -> str:
    if path.is_dir():
        return "renderer" if (path / "model_index.json").is_file() else "expander"
    try:
        return "expander" if presets.base_of(path, "expander") else "renderer"
    except ModelError:
        return "renderer"
