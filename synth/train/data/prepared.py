"""A prepared set: pictures of one size in one array, a record for each, and why others were left out.

<folder>/pictures.npy    uint8 (n, size, size, 3), to be mapped
<folder>/records.jsonl   a Record on each line, in the order of the pictures
<folder>/left_out.jsonl  origin and reason on each line
<folder>/facts.json      the parameters, counts, and the SHA-256 of records.jsonl; written last, it seals the set
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from synth.errors import InputError
from synth.records.files import write_atomically
from synth.train.params import Data, Params

PICTURES, RECORDS, LEFT_OUT, FACTS = "pictures.npy", "records.jsonl", "left_out.jsonl", "facts.json"
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Record:
    """What is known of a prepared picture.

    origin: path in the source, or the source's id of it. digest: SHA-256 of the prepared pixels.
    split: "train" or "validation". captions: normalised, at least one. width, height: of the original, in pixels.
    attributes: whatever else the source says of it.
    """

    origin: str
    digest: str
    split: str
    captions: tuple[str, ...]
    width: int
    height: int
    attributes: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the attributes among them; one that is named as a field gets "metadata_" before its name."""
        plain = asdict(self)
        others = plain.pop("attributes")
        return plain | {f"metadata_{name}" if name in OWN else name: text for name, text in others.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record that `as_dict` described."""
        own = {name: data[name] for name in OWN if name != "attributes"}
        others = {name: text for name, text in data.items() if name not in OWN}
        return cls(**own | {"captions": tuple(data["captions"]), "attributes": others})


OWN = tuple(field.name for field in fields(Record))


@dataclass(frozen=True)
class PreparedSet:
    """Pictures and captions that are ready to be trained on.

    pictures: uint8 (n, size, size, 3), mapped from its file. records: one for each picture.
    digest: SHA-256 over the records, and so over captions, splits and, through their digests, pixels.
    """

    folder: Path
    params: Data
    pictures: np.ndarray
    records: tuple[Record, ...]
    digest: str

    def __len__(self) -> int:
        return len(self.records)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """The set in a folder; InputError if there is none, or if it isn't whole."""
        folder = Path(folder)
        if not (folder / FACTS).is_file():
            raise InputError("data", str(folder), "give a folder that `synth train data prepare` has finished")
        try:
            facts = json.loads((folder / FACTS).read_bytes())
            lines = (folder / RECORDS).read_bytes()
            records = tuple(Record.from_dict(json.loads(line)) for line in lines.splitlines())
            pictures = np.load(folder / PICTURES, mmap_mode="r")
            whole = len(pictures) == len(records) and hashlib.sha256(lines).hexdigest() == facts["digest"]
            params = Params.from_dict({"data": facts["params"]}).data
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(folder, str(error)) from None
        if not whole:
            raise _damaged(folder, "its records or pictures were changed")
        return cls(folder, params, pictures, records, facts["digest"])

    def indices(self, split: str) -> np.ndarray:
        """The places of a split's pictures, ascending, int64."""
        return np.array([place for place, record in enumerate(self.records) if record.split == split], dtype=np.int64)

    def captions(self, split: str) -> list[str]:
        """All captions of a split's pictures, in their order."""
        return [caption for record in self.records if record.split == split for caption in record.captions]

    @cached_property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Origin and reason of each picture that was left out."""
        lines = (self.folder / LEFT_OUT).read_bytes().splitlines()
        return tuple((row["origin"], row["reason"]) for row in map(json.loads, lines))


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write rows as JSON lines; the SHA-256 of the file."""
    data = b"".join(_line(row) for row in rows)
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def _line(row: Mapping[str, Any]) -> bytes:
    # U+0085, U+2028 and the like are escaped: what splits lines elsewhere doesn't here
    return json.dumps(row).encode() + b"\n"


def _damaged(folder: Path, reason: str) -> InputError:
    return InputError("data", str(folder), f"delete it and prepare it again ({reason})")
