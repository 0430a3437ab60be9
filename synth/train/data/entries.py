"""What a source of captioned pictures gives: entries, each a picture that nobody has opened yet with its captions."""

import codecs
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

# What Pillow is let loose on: formats of pictures, none of which runs a program, as EPS does.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
)


@dataclass(frozen=True)
class Entry:
    """A captioned picture that has not been looked at.

    origin: path in the source with forward slashes, or the source's id of it; unique.
    open: gives the picture, not yet decoded; may raise anything Pillow raises.
    captions: as they were written, none where there are none.
    attributes: whatever else the source says of it.
    """

    origin: str
    open: Callable[[], Image.Image]
    captions: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


def file_entry(folder: Path, path: Path, captions: tuple[str, ...], attributes: Mapping[str, str]) -> Entry:
    """The entry of a picture file somewhere in `folder`."""
    opened = partial(Image.open, path, formats=FORMATS)
    return Entry(path.relative_to(folder).as_posix(), opened, captions, dict(attributes))


def picture_files(folder: Path) -> list[Path]:
    """All picture files in a folder and its subfolders by their suffix, sorted; hidden ones and macOS's shadows not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts)
    )


def read_text(path: Path) -> str:
    """A text file as people's programs write it: UTF-8, UTF-16 with its mark, or else Windows' Western European."""
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def as_text(value: Any) -> str:
    """A metadata value as a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
