"""The pictures of a sweep as labelled X/Y grids, in pages that can be read."""

from collections.abc import Iterator
from pathlib import Path

from synth.compare.sweeps import Sweep
from synth.plots import NotebookFigure, image_grids
from synth.records.files import made_folder
from synth.records.outputs import save


def grids(made: Sweep, *, most_pages: int = 20) -> Iterator[NotebookFigure]:
    """x by y, a page or more for each combination of the rest; cells that failed say why, those not rendered are blank.

    At most 8 x 6 pictures on a page, and `most_pages` in all; where there are more, the titles say so.
    """
    pages = [name for name in made.layout.pages if name == "seed" or made.frame[name].nunique() > 1]
    return image_grids(made.frame, made.layout.y, made.layout.x, pages=pages, most_pages=most_pages)


def write_grids(made: Sweep) -> list[Path]:
    """Write all grids into the study's folder, as grids/<x>-by-<y>-01.png and so on; returns their paths."""
    return [
        write_figure(made, figure, f"{made.layout.x}-by-{made.layout.y}-{number:02}")
        for number, figure in enumerate(grids(made, most_pages=len(made.frame)), start=1)
    ]


def write_figure(made: Sweep, figure: NotebookFigure, name: str) -> Path:
    """Write a figure into the study's folder, as grids/<name>.png; returns its path."""
    return save(made_folder(made.study.folder / "grids"), name, figure)
