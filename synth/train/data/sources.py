"""Where captioned pictures come from: the layouts that people have them in, each read as a list of entries."""

import random
from functools import partial
from pathlib import Path

from synth.errors import InputError
from synth.jobs import content_key
from synth.presets import HUB_ID
from synth.train.data.entries import Entry, file_entry, picture_files, read_text
from synth.train.data.flowers import is_flowers, read_flowers
from synth.train.data.hub import read_hub
from synth.train.data.imagefolder import metadata_files, read_imagefolder
from synth.train.params import Data
from synth.vignettes.captions import caption
from synth.vignettes.dataset import picture_seed, scene_at
from synth.vignettes.world import draw

VIGNETTES = 2000  # the picture world has no end: how many where no limit is given
VIGNETTE_CAPTIONS = 5
LARGEST_VIGNETTE = 1024  # pixels


def read_entries(params: Data) -> list[Entry]:
    """The entries of a source, in an order that depends on their names alone; nothing is decoded yet.

    InputError if there is no such source, if no layout fits it, or if its captions name pictures that are missing.
    """
    layout = detect(params.source) if params.layout == "auto" else params.layout
    if params.captions_from and layout != "flowers":
        raise InputError("captions_from", params.captions_from, f"leave it out: it belongs to flowers, not to {layout}")
    if layout == "vignettes":
        return read_vignettes(params.seed, params.limit or VIGNETTES, params.size)
    if layout == "hub":
        return read_hub(params.source, params.caption)
    folder = _existing(params.source)
    if layout == "flowers":
        return read_flowers(folder, params.captions_from)
    if layout == "imagefolder":
        return _with_metadata(folder, params.caption)
    return read_sidecar(folder)


def files_key(params: Data) -> str:
    """What tells whether a source's files have changed since: their names, sizes and times.

    "" where there are none to look at, in the picture world, on the hub, and in a folder that has gone.
    """
    folders = [Path(name).expanduser() for name in (params.source, params.captions_from) if name]
    found = [
        (path.relative_to(folder).as_posix(), (stat := path.stat()).st_size, stat.st_mtime_ns)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return content_key(found) if found else ""


def detect(source: str) -> str:
    """The layout of a source: vignettes, hub, flowers, imagefolder or sidecar; InputError if it is nowhere."""
    if source == "vignettes":
        return source
    folder = Path(source).expanduser()
    if not folder.exists() and HUB_ID.fullmatch(source) and source.count("/") == 1 and source[0] not in ".~/":
        return "hub"
    folder = _existing(source)
    if is_flowers(folder):
        return "flowers"
    return "imagefolder" if metadata_files(folder) else "sidecar"


def read_sidecar(folder: Path) -> list[Entry]:
    """An entry for each picture; each line of the .txt beside it is a caption."""
    return [file_entry(folder, path, _beside(path), {}) for path in picture_files(folder)]


def read_vignettes(first: int, count: int, size: int) -> list[Entry]:
    """Scenes `first` and following of Synth's own world, none of them held out, with five captions each."""
    return [_vignette(index, min(size, LARGEST_VIGNETTE)) for index in range(first, first + count)]


def _vignette(index: int, size: int) -> Entry:
    scene, rng = scene_at("train", index), random.Random(f"train captions {index}")
    captions = tuple(caption(scene, rng) for _ in range(VIGNETTE_CAPTIONS))
    return Entry(f"train/{index}", partial(draw, scene, picture_seed("train", index), size), captions, scene.as_dict())


def _with_metadata(folder: Path, caption_column: str) -> list[Entry]:
    if not metadata_files(folder):
        raise InputError("source", str(folder), "imagefolder needs a metadata.jsonl or metadata.csv in it")
    return read_imagefolder(folder, caption_column)


def _beside(picture: Path) -> tuple[str, ...]:
    file = picture.with_suffix(".txt")
    return tuple(line for line in read_text(file).splitlines() if line.strip()) if file.is_file() else ()


def _existing(source: str) -> Path:
    folder = Path(source).expanduser()
    if folder.is_file():
        raise InputError("source", source, "give the folder that it is in, or unpack it if it is an archive")
    if not folder.is_dir():
        raise InputError("source", source, "give a folder that exists, a hub data set as owner/name, or vignettes")
    return folder
