"""What is found out about pictures, as files: a folder for it, figures as PNG and tables as CSV."""

from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import StudyError
from synth.records.files import write_atomically
from synth.records.rows import to_csv

if TYPE_CHECKING:
    import pandas

    from synth.plots import NotebookFigure


def made_folder(folder: Path) -> Path:
    """The folder, made if need be within one that is there; StudyError where a file has its name."""
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError:
        raise StudyError(f"{folder} is a file where a folder belongs; remove it") from None
    return folder


def save(folder: Path, name: str, made: "NotebookFigure | pandas.DataFrame") -> Path:
    """Write a figure as <folder>/<name>.png, a table as <name>.csv, whole or not at all; returns the path."""
    ending, data = ("png", made.png()) if hasattr(made, "png") else ("csv", to_csv(made))
    path = folder / f"{name}.{ending}"
    write_atomically(path, data)
    return path
