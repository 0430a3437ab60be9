"""What quality costs: a measure against the seconds per picture, and the cells that nothing beats in both."""

import numpy as np
import pandas as pd
from matplotlib.patheffects import withStroke

from synth.compare.cells import cells, sign
from synth.compare.panels import interval_note, method, panel_axes, spelled, told
from synth.compare.sweeps import Sweep
from synth.plots import ACCENT, INK, NotebookFigure, style

MOST_LABELS = 8


def frontier(made: Sweep, measure: str) -> NotebookFigure:
    """Each cell's mean over the seconds that a picture took on average; the quality/time frontier is marked and named.

    Bars are 95% intervals over seeds.
    """
    table = with_frontier(made, measure)
    best = table[table["frontier"]].sort_values("seconds")
    others = table[~table["frontier"]]
    side = "above" if sign(measure) > 0 else "below"
    notes = [f"in colour: no faster cell is {side} it", interval_note(table, "bars"), method(made, measure)]
    with style():
        figure, [axes] = panel_axes(1, 7.6, 3.8, f"{spelled(measure)} for the time", notes)
        axes.plot(others["seconds"], others["mean"], "o", ms=5, color="#b4bac3")
        axes.errorbar(best["seconds"], best["mean"], best["high"] - best["mean"], fmt="o", ms=7, lw=1, color=ACCENT)
        axes.plot(best["seconds"], best["mean"], color=ACCENT, lw=1.5, drawstyle="steps-post", zorder=1)
        axes.set(xlabel="seconds per picture", ylabel=spelled(measure))
        axes.set_xlim(0, (table["seconds"].max() or 1) * 1.25)  # with room for the last name
        for number, (_, cell) in enumerate(best.head(MOST_LABELS).iterrows()):
            text = ", ".join(told(name, cell[name]) for name in made.varied)
            place = (7, 7 if number % 2 else -14)
            axes.annotate(
                text, (cell["seconds"], cell["mean"]), xytext=place, textcoords="offset points", size=8.5, color=INK,
                path_effects=[withStroke(linewidth=3, foreground="white")],
            )  # fmt: skip
    return figure


def with_frontier(made: Sweep, measure: str) -> pd.DataFrame:
    """The table of `cells`, and whether each is on the quality/time frontier, in the column `frontier`."""
    table = cells(made, measure)
    values = sign(measure) * table["mean"].to_numpy()
    return table.assign(frontier=on_frontier(values, table["seconds"].to_numpy()))


def on_frontier(values: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Which of n cells, (n,) bool, are beaten by no other: none is as good and as fast, and better in one of the two.

    values: higher is better. What is NaN is never on the frontier.
    """
    as_good = (values[:, None] >= values) & (seconds[:, None] <= seconds)  # [i, j]: i is as good as j, and as fast
    better = (values[:, None] > values) | (seconds[:, None] < seconds)
    return ~(as_good & better).any(0) & np.isfinite(values) & np.isfinite(seconds)
