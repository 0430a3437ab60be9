"""The pictures that a study's are compared with by KID: a folder of them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from PIL import Image

from synth.errors import InputError
from synth.measure.kid import SMALLEST
from synth.records.sources import open_picture

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"))


@dataclass(frozen=True)
class Reference:
    """A folder and the pictures in it and its subfolders; of a study, give the folder images/."""

    folder: Path
    paths: tuple[Path, ...]

    @classmethod
    def find(cls, folder: str | Path) -> Self:
        """The pictures in `folder`, none of them opened; InputError where there are too few for KID."""
        folder = Path(folder)
        paths = tuple(sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()))
        if len(paths) < SMALLEST:
            raise InputError("reference", str(folder), f"give a folder of at least {SMALLEST} pictures")
        return cls(folder, paths)

    def pictures(self) -> Iterator[Image.Image]:
        """One picture after another, in RGB; InputError for one that cannot be read."""
        for path in self.paths:
            yield open_picture(path, "reference")

    @property
    def identity(self) -> str:
        """What pins it, whatever the files are called: how many there are, and a digest of their contents."""
        digests = sorted(hashlib.sha256(path.read_bytes()).digest() for path in self.paths)
        return f"{len(self.paths)} pictures sha256:{hashlib.sha256(b''.join(digests)).hexdigest()}"
