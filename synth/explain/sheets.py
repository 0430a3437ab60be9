"""Sheets: pictures that an explanation made, in rows, each with words above it, in the look of `synth.plots`."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from synth.layout.lettering import Span, draw_wrapped
from synth.plots import GAP, INK, MARGIN, MUTED, NotebookFigure, pixel_axes, style

LABEL, CAPTION = 190, 24  # pixels: width of rows' labels, height of captions
WARM = matplotlib.colormaps["inferno"]


@dataclass(frozen=True)
class Cell:
    """A picture, or None for an empty place, and what stands above it."""

    picture: Image.Image | None
    caption: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Row:
    """Cells side by side; label: what stands at their left."""

    cells: Sequence[Cell]
    label: tuple[Span, ...] = ()


def sheet(rows: Sequence[Row], title: str, note: str, *, cell: int = 150, label: int = LABEL) -> NotebookFigure:
    """Rows of cells, each picture fitted into a square of `cell` pixels, under a title and a paler note.

    label: the width of the column for the rows' labels, if there are any, in pixels.
    """
    indent = MARGIN + label * any(row.label for row in rows)
    width = max(indent + max(len(row.cells) for row in rows) * (cell + GAP) + MARGIN - GAP, 640)
    with style():
        figure, axes = pixel_axes(width, width)
        top = head(axes, title, note, width - 2 * MARGIN)
        tops = [top]
        for row in rows:
            _write(axes, row, indent, tops[-1], cell, label)
            tops.append(tops[-1] + _height(row, cell))
        canvas = Image.new("RGB", (width, round(tops[-1] + MARGIN - GAP)), "white")
        for row, high in zip(rows, tops, strict=False):
            for number, item in enumerate(row.cells):
                low = round(high) + _height(row, cell) - cell - GAP
                _paste(canvas, item.picture, indent + number * (cell + GAP), low, cell)
        axes.imshow(canvas, extent=(0, width, canvas.height, 0), interpolation="none", aspect="auto", zorder=0)
        cut(figure, axes, canvas.height)
    return figure


def head(axes: Axes, title: str, note: str, width: float) -> float:
    """Write a title and under it a paler note of up to four lines into pixel axes; returns where the rest begins."""
    draw_wrapped(axes, [Span(title, INK, "bold")], MARGIN, MARGIN, width=width, lines=1, size=13)
    low = MARGIN + 27
    return low + draw_wrapped(axes, [Span(note, MUTED)], MARGIN, low, width=width, lines=4, size=9) + MARGIN / 2


def cut(figure: NotebookFigure, axes: Axes, height: float) -> None:
    """Make a figure with pixel axes `height` pixels high."""
    axes.set_ylim(height, 0)
    figure.set_size_inches(figure.get_figwidth(), height / figure.dpi)


def _height(row: Row, cell: int) -> int:
    return cell + GAP + CAPTION * any(item.caption for item in row.cells)


def _write(axes: Axes, row: Row, indent: float, top: float, cell: int, label: int) -> None:
    """The label of a row and the captions of its cells."""
    low = top + _height(row, cell) - cell - GAP
    draw_wrapped(axes, list(row.label), MARGIN, low, width=label - MARGIN, lines=max(1, cell // 21), size=10)
    for number, item in enumerate(row.cells):
        left = indent + number * (cell + GAP)
        draw_wrapped(axes, list(item.caption), left, top + 3, width=cell + GAP, lines=1, size=9)


def _paste(canvas: Image.Image, picture: Image.Image | None, left: int, top: int, cell: int) -> None:
    if picture is None:
        return
    scale = cell / max(picture.size)
    fitted = picture.resize(tuple(max(1, round(side * scale)) for side in picture.size), Image.Resampling.LANCZOS)
    canvas.paste(fitted, (left + (cell - fitted.width) // 2, top + (cell - fitted.height) // 2))


def overlay(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """A picture in grey, on which `heat`, (height, width) from 0 to 1, glows from dark over red to yellow."""
    grey = np.asarray(picture.convert("L"), np.float32)[..., None] / 255
    strength = heat[..., None].clip(0, 1)
    mixed = (0.35 + 0.65 * grey) * (1 - 0.85 * strength) + WARM(heat)[..., :3] * 0.85 * strength
    return Image.fromarray((mixed.clip(0, 1) * 255).round().astype(np.uint8))
