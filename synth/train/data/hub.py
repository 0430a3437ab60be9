"""Data sets of the Hugging Face hub, through the library `datasets`, which runs no code that a data set brings."""

import io
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

from synth.errors import InputError
from synth.train.data.columns import caption_column, captions_in
from synth.train.data.entries import FORMATS, Entry, as_text

if TYPE_CHECKING:
    import datasets


def read_hub(source: str, caption: str) -> list[Entry]:
    """An entry for each row of each split of a hub data set, or of a folder of Parquet files as the hub has them.

    The first column of pictures is taken; texts, numbers and class names of other columns become attributes.
    """
    splits = _load(source)
    return [entry for name, rows in splits.items() for entry in _entries(source, name, rows, caption)]


def _load(source: str) -> "datasets.DatasetDict":
    try:
        import datasets
    except ImportError:
        raise InputError("source", source, 'install what reads hub data sets: pip install "synth[data]"') from None
    try:
        return datasets.load_dataset(source)
    except Exception as error:  # the library raises nearly anything
        reason = str(error).partition("\n")[0]
        raise InputError("source", source, f"give a folder, or a data set that the hub has ({reason})") from None


def _entries(source: str, split: str, rows: "datasets.Dataset", caption: str) -> list[Entry]:
    import datasets

    kinds = rows.features
    pictures = [name for name, kind in kinds.items() if isinstance(kind, datasets.Image)]
    if not pictures:
        raise InputError("source", source, f"choose a data set with a column of pictures; it has {', '.join(kinds)}")
    column = caption_column(caption, [name for name in kinds if name not in pictures], source)
    undecoded = rows.select_columns(pictures[:1]).cast_column(pictures[0], datasets.Image(decode=False))
    simple = [name for name, kind in kinds.items() if isinstance(kind, (datasets.Value, datasets.ClassLabel))]
    texts = rows.select_columns(list(dict.fromkeys([column, *simple])))
    return [
        Entry(
            f"{split}/{number}",
            partial(_open, undecoded, number, pictures[0]),
            captions_in(row[column]),
            {name: _text(kinds[name], row[name]) for name in simple if name != column and row[name] is not None},
        )
        for number, row in enumerate(texts)
    ]


def _open(rows: "datasets.Dataset", number: int, column: str) -> Image.Image:
    cell = rows[number][column] or {}
    if not cell.get("bytes") and not cell.get("path"):
        raise ValueError("the row has no picture")
    return Image.open(io.BytesIO(cell["bytes"]) if cell.get("bytes") else cell["path"], formats=FORMATS)


def _text(kind: Any, value: Any) -> str:
    return kind.int2str(value) if hasattr(kind, "int2str") and value >= 0 else as_text(value)
