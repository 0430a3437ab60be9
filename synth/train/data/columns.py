"""Which column of a table holds the captions, and what its cells say."""

from collections.abc import Sequence
from typing import Any

from synth.errors import InputError

CAPTION_COLUMNS = ("text", "caption", "captions", "prompt")


def caption_column(wanted: str, columns: Sequence[str], where: str) -> str:
    """The column with the captions: `wanted`, or for auto the first of CAPTION_COLUMNS that there is.

    where: the table's name, for the InputError that lists the columns if there is none.
    """
    candidates = CAPTION_COLUMNS if wanted == "auto" else (wanted,)
    found = [name for name in candidates if name in columns]
    if not found:
        there = ", ".join(map(str, columns)) or "it has no other"
        raise InputError("caption", wanted, f"name the column of {where} with the captions: {there}")
    return found[0]


def captions_in(cell: Any) -> tuple[str, ...]:
    """The captions in a cell: a text, a list of texts, or nothing."""
    cells = cell if isinstance(cell, (list, tuple)) else [cell]
    return tuple(item for item in cells if isinstance(item, str) and item.strip())
