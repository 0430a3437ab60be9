"""Measures over the axes of a sweep, as curves and as heat maps, with intervals over seeds."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, ScalarFormatter

from synth.compare.cells import cells
from synth.compare.panels import (
    MOST,
    brief,
    colours,
    interval_note,
    method,
    panel_axes,
    panels,
    spelled,
    spread,
)
from synth.compare.sweeps import Sweep
from synth.plots import ACCENT, NotebookFigure, name_value, style

MOST_LINES, MOST_NAMED, MOST_WRITTEN = 8, 14, 12
WIDE = 20  # a ratio of the largest to the smallest value from which an axis is logarithmic


def curves(made: Sweep, measure: str) -> NotebookFigure:
    """The measure over one axis, a line for each value of a second, a panel for each value of the others.

    Along the bottom lies an axis of numbers, if there is any. Bars are 95% intervals over seeds. At most 8
    lines and 6 panels are drawn, and the note says so. InputError for a sweep of nothing but seeds.
    """
    table = cells(made, measure)
    along, *others = sorted(made.varied, key=lambda name: not _is_numeric(table[name]))
    hue = others[0] if others else None
    parts = panels(table, others[1:])
    values = list(table[hue].unique()) if hue else [None]
    kept = spread(values, MOST_LINES)
    notes = [
        interval_note(table, "bars"),
        method(made, measure),
        f"{len(kept)} of {len(values)} lines" if len(kept) < len(values) else "",
        f"the first {MOST} of {len(parts)} panels" if len(parts) > MOST else "",
    ]
    title = f"{spelled(measure)} over {spelled(along)}"
    with style():
        count = min(len(parts), MOST)
        figure, every = panel_axes(count, 7.6 if count == 1 else 4.2, 3.1, title, notes)
        for axes, (name, part) in zip(every, parts.items(), strict=False):
            _draw_lines(axes, part, along, hue, kept)
            axes.set_title(name, weight="normal", size=10)
            axes.set(xlabel=spelled(along))
        every[0].set_ylabel(spelled(measure))
        if hue:
            figure.legend(*every[0].get_legend_handles_labels(), title=spelled(hue), loc="outside right center")
    return figure


def heat_map(made: Sweep, measure: str) -> NotebookFigure:
    """The measure's mean in each cell, x by y as in the grids, a panel for each value of the rest.

    ± is half of the 95% interval over seeds. A cell without a picture that was measured is hatched.
    """
    x, y = made.layout.x, made.layout.y
    by = list(dict.fromkeys((x, y, *made.varied)))
    table = cells(made, measure, by)
    parts = panels(table, [name for name in by if name not in (x, y)])
    limits = table["mean"].min(), table["mean"].max()
    wide, high = table[x].nunique(), table[y].nunique()
    notes = [
        interval_note(table, "±"),
        method(made, measure),
        f"the first {MOST} of {len(parts)} panels" if len(parts) > MOST else "",
    ]
    with style():
        size = min(max(2.2 + 0.85 * wide, 4.2), 12), min(1.1 + 0.6 * high, 9)
        title = f"{spelled(measure)} in each cell"
        figure, every = panel_axes(min(len(parts), MOST), *size, title, notes)
        for axes, (name, part) in zip(every, parts.items(), strict=False):
            _draw_cells(axes, part.pivot(index=y, columns=x, values=["mean", "low"]), limits)
            axes.set_title(name, weight="normal", size=10)
            axes.set(xlabel=spelled(x), ylabel=spelled(y) if axes is every[0] else "")
    return figure


def _is_numeric(values: pd.Series) -> bool:
    kind = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    return pd.api.types.is_numeric_dtype(kind)


def _draw_lines(axes: Axes, table: pd.DataFrame, along: str, hue: str | None, values: list) -> None:
    order, numeric = list(table[along].unique()), _is_numeric(table[along])
    positions = dict(zip(order, order if numeric else range(len(order)), strict=True))
    _scale(axes, order, along, numeric)
    for number, (value, colour) in enumerate(zip(values, colours(values) if hue else [ACCENT], strict=True)):
        line = (table[table[hue] == value] if hue else table).sort_values(along)
        places = line[along].map(positions).astype(float).to_numpy()
        axes.errorbar(
            _beside(places, (number - (len(values) - 1) / 2) * (1 if numeric else 3), axes.get_xscale() == "log"),
            line["mean"], line["high"] - line["mean"], fmt="o-" if numeric else "o", ms=5, lw=1.6, elinewidth=1,
            color=colour, label=name_value(hue, value) if hue else None,
        )  # fmt: skip


def _beside(places: np.ndarray, steps: float, logarithmic: bool) -> np.ndarray:
    """Places moved by some steps, each 0.8% of all that there is, so that no bar hides another."""
    if logarithmic:
        return np.exp(_beside(np.log(places), steps, False))
    return places + 0.008 * steps * (np.ptp(places) or 1)


def _scale(axes: Axes, values: list, along: str, numeric: bool) -> None:
    """Ticks at the values themselves, where they are few enough to be read."""
    ticks = spread(values, MOST_NAMED)
    if numeric:
        if min(values) > 0 and max(values) / min(values) >= WIDE:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_locator(NullLocator())
        if len(values) <= MOST_NAMED:
            axes.set_xticks(ticks, [name_value(along, value) for value in ticks])
        return
    axes.set_xticks([values.index(tick) for tick in ticks], [_named(along, value, 16) for value in ticks])
    axes.set_xlim(-0.5, len(values) - 0.5)
    if sum(min(len(name_value(along, tick)), 16) for tick in ticks) > 60:
        axes.tick_params("x", labelrotation=25)


def _named(name: str, value: object, characters: int) -> str:
    text = name_value(name, value)
    return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"


def _draw_cells(axes: Axes, table: pd.DataFrame, limits: tuple[float, float]) -> None:
    """A heat map of table["mean"], rows by columns, with ± what is between it and table["low"]."""
    mean, reach = table["mean"], table["mean"] - table["low"]
    written = max(mean.shape) <= MOST_WRITTEN
    axes.set_facecolor("#f9fafb")
    axes.patch.set(hatch="///", edgecolor="#c3c8cf")
    sns.heatmap(
        mean, ax=axes, vmin=limits[0], vmax=limits[1], cmap=sns.light_palette(ACCENT, as_cmap=True), cbar=not written,
        annot=_written(mean, reach) if written else False, fmt="", annot_kws={"size": 8.5, "linespacing": 1.25},
        linewidths=1.5 if written else 0, linecolor="white", mask=mean.isna(),
        xticklabels=_readable(mean.columns, 14), yticklabels=_readable(mean.index, 18),
    )  # fmt: skip
    axes.tick_params(length=0, labelrotation=0)


def _readable(values: pd.Index, characters: int) -> list[str]:
    """What the values are called, of many only some."""
    kept = spread(list(values), MOST_NAMED)
    return [_named(values.name, value, characters) if value in kept else "" for value in values]


def _written(mean: pd.DataFrame, reach: pd.DataFrame) -> np.ndarray:
    """What stands in each cell: the mean, and under it half of its interval."""
    pairs = zip(mean.to_numpy(float).ravel(), reach.to_numpy(float).ravel(), strict=True)
    texts = [brief(value) + (f"\n±{brief(half)}" if half > 0 else "") for value, half in pairs]
    return np.array(texts).reshape(mean.shape)
