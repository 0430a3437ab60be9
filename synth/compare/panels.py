"""The frame of figures that have several panels: a heading over all of them, names and colours of values."""

import math
import re
import textwrap
from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from synth.compare.sweeps import Sweep
from synth.plots import INK, MUTED, NotebookFigure, name_value

ACROSS, MOST = 3, 6  # panels in a row, and in a figure
HEAD, LINE = 0.5, 0.17  # inches: of the title, and of each line of the note under it
FROM_LOW_TO_HIGH = "blend:#8fcbdc,#0b6b8a,#0a2433"
SHORT = ("clip", "kid", "lpips", "psnr")
UNORDERED = ("#0b6b8a", "#c2762b", "#7a5195", "#3a7d44", "#b42318", "#3b4a9c", "#8a6d1d", "#6b7280")


def panel_axes(
    count: int, width: float, height: float, title: str, notes: Sequence[str]
) -> tuple[NotebookFigure, list[Axes]]:
    """A figure with a title, the notes under it, and so many Axes of `width` x `height` inches, in rows of three."""
    across, down = min(count, ACROSS), math.ceil(count / ACROSS)
    lines = textwrap.wrap("; ".join(filter(None, notes)), int(width * across * 14))
    head = HEAD + LINE * len(lines)
    size = width * across, height * down + head
    figure = NotebookFigure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0, 1, 1 - head / size[1]))
    title = title[0].upper() + title[1:]
    figure.text(0.12 / size[0], 1 - 0.12 / size[1], title, size=11, weight="bold", color=INK, va="top")
    figure.text(0.12 / size[0], 1 - 0.38 / size[1], "\n".join(lines), size=9, color=MUTED, va="top", linespacing=1.3)
    every = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for axes in every[count:]:
        axes.set_axis_off()
    return figure, list(every[:count])


def panels(table: pd.DataFrame, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The parts of a table for each combination of some columns' values, by what these are called; one part of none."""
    if not names:
        return {"": table}
    return {
        ", ".join(map(told, names, values)): part
        for values, part in table.groupby(list(names), observed=True, sort=True)
    }


def spread(items: Sequence, most: int) -> list:
    """At most so many of the items, first and last included, evenly chosen."""
    if len(items) <= most:
        return list(items)
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]


def spelled(name: str) -> str:
    """The name of an axis or measure, as words.

    >>> spelled("guidance_scale"), spelled("clip_score")
    ('guidance scale', 'CLIP score')
    """
    return " ".join(word.upper() if word in SHORT else word for word in name.split("_"))


def told(name: str, value: object) -> str:
    """A value with the name of its axis, such as "guidance scale 3"."""
    return f"{spelled(name)} {name_value(name, value)}"


def brief(value: float) -> str:
    """A number with three digits that count, or all before the point.

    >>> brief(0.12345), brief(1290.6)
    ('0.123', '1,291')
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def method(made: Sweep, measure: str) -> str:
    """What measured it, as a figure's note tells."""
    column = made.frame.get(f"{measure}_model", pd.Series(dtype="string"))
    methods = dict.fromkeys(re.split(r" sha256:|; synth ", model)[0] for model in column.dropna().unique() if model)
    return ", ".join(methods)


def interval_note(table: pd.DataFrame, mark: str) -> str:
    """What the marks of a figure's intervals mean, or why there are none."""
    seeds = int(table["seeds"].max())
    if seeds < 2:
        return "one seed: how much of it is chance cannot be told"
    return f"{mark}: 95% interval over {seeds} seeds"


def colours(values: Sequence[object]) -> list[str | tuple[float, ...]]:
    """A colour for each value: from pale to dark for numbers, or unlike ones."""
    numbers = all(isinstance(value, (int, float)) for value in values)
    if numbers or len(values) > len(UNORDERED):
        return list(sns.color_palette(FROM_LOW_TO_HIGH, len(values)))
    return list(UNORDERED[: len(values)])
