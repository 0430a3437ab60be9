"""What is found out about pictures, as files: a folder for it, figures as PNG and tables as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from synth.records.files import write_atomically
from synth.records.rows import to_csv

if TYPE_CHECKING:
    import pandas

    from synth.plots import NotebookFigure


def save(folder: Path, name: str, made: "NotebookFigure | pandas.DataFrame") -> Path:
    """Write a figure as <folder>/<name>.png, a table as <name>.csv, whole or not at all; returns the path."""
    ending, data = ("png", made.png()) if hasattr(made, "png") else ("csv", to_csv(made))
    path = folder / f"{name}.{ending}"
    write_atomically(path, data)
    return path
