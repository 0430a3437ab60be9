"""Texts for GPT-2: captions or prompts from a file, or those of prepared pictures, cleaned and divided."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from synth.errors import InputError
from synth.jobs import content_key
from synth.train.data.cleaning import plain
from synth.train.data.columns import caption_column, captions_in
from synth.train.data.entries import read_text
from synth.train.data.imagefolder import csv_rows
from synth.train.data.prepared import FACTS, PreparedSet
from synth.train.data.splitting import split_by_content


@dataclass(frozen=True)
class Texts:
    """Distinct texts to learn from, and others to measure on."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    source: str

    @property
    def digest(self) -> str:
        """SHA-256 over all of them."""
        return content_key([self.train, self.validation])

    @classmethod
    def read(cls, path: Path | str, *, column: str = "auto", validation: float = 0.1) -> Self:
        """The texts of a .txt file (one a line), of a column of a .csv or .parquet file, or a prepared set's captions.

        A text is held out by its content, so that more texts never move one from one part to the other. InputError for
        what cannot be read, and for fewer than two texts.
        """
        path = Path(path)
        texts = plain(_captions(path) if (path / FACTS).is_file() else _read(path, column))
        if len(texts) < 2:
            raise InputError("data", str(path), "give at least two different texts, one to learn and one to measure on")
        splits = split_by_content([hashlib.sha256(text.encode()).hexdigest() for text in texts], validation)
        parts = {name: [text for text, split in zip(texts, splits, strict=True) if split == name] for name in splits}
        return cls(tuple(parts["train"]), tuple(parts["validation"]), str(path))


def _captions(folder: Path) -> list[str]:
    """All captions of a prepared set: one and the same may belong to pictures of both of its splits."""
    return [caption for record in PreparedSet.open(folder).records for caption in record.captions]


def _read(path: Path, column: str) -> list[str]:
    readers = {".txt": _lines, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None or not path.is_file():
        raise InputError("data", str(path), f"give a prepared set, or a file that ends in {', '.join(readers)}")
    try:
        return reader(path, column)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError("data", str(path), f"give a file that can be read ({error})") from None


def _lines(path: Path, column: str) -> list[str]:
    return read_text(path).splitlines()


def _csv(path: Path, column: str) -> list[str]:
    rows = [row for _, row in csv_rows(path)]
    name = _column(path, column, list(rows[0]) if rows else [])
    return [row[name] for row in rows]


def _parquet(path: Path, column: str) -> list[str]:
    from pyarrow import parquet

    name = _column(path, column, parquet.read_schema(path).names)
    cells = parquet.read_table(path, columns=[name])[name].to_pylist()
    return [text for cell in cells for text in captions_in(cell)]


def _column(path: Path, column: str, names: list[str]) -> str:
    """The column of the texts; in a table of one column it needs no name."""
    return names[0] if column == "auto" and len(names) == 1 else caption_column(column, names, str(path))
