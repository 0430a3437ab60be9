"""What a sweep says: every figure of a measure, the cells from best to worst, and the two that are furthest apart."""

from html import escape

import pandas as pd

from synth.compare.cells import cells, sign
from synth.compare.curves import curves, heat_map
from synth.compare.frontier import frontier, with_frontier
from synth.compare.pairs import Comparison, Pair
from synth.compare.panels import brief, spelled, told
from synth.compare.sweeps import Sweep
from synth.layout.pages import Html, table
from synth.measure.intervals import LEVEL
from synth.plots import NotebookFigure, name_value

MOST_ROWS = 20


def figures(made: Sweep, measure: str) -> dict[str, NotebookFigure]:
    """By name: curves, cells (a heat map, where two axes or more are compared), frontier; none without values."""
    if not made.varied or not made.frame[measure].notna().any():
        return {}
    drawn = {"curves": curves(made, measure), "cells": heat_map(made, measure), "frontier": frontier(made, measure)}
    return {name: figure for name, figure in drawn.items() if name != "cells" or len(made.varied) > 1}


def verdict(made: Sweep, measure: str) -> str:
    """Which cell is first, and how many others may equal it: a sentence; empty where fewer than two were measured."""
    found = cells(made, measure).dropna(subset="mean")
    if len(found) < 2:
        return ""
    best = found.loc[(sign(measure) * found["mean"]).idxmax()]
    where = ", ".join(told(name, best[name]) for name in made.varied)
    said = f"{spelled(measure)} is {'highest' if sign(measure) > 0 else 'lowest'} at {where}: {brief(best['mean'])}"
    said = said[0].upper() + said[1:]
    if found["seeds"].max() < 2:
        return f"{said}; one seed cannot tell whether that is chance"
    if found["gap_low"].isna().all():
        return said
    alike = int((found["gap_p"] > 1 - LEVEL).sum()) - 1
    rest = f"{alike} of the other {len(found) - 1} may equal it" if alike else "no other equals it but by chance"
    rest += " (paired t-tests, corrected for all pairs)"
    interval = f" (95% interval {brief(best['low'])} to {brief(best['high'])})" if best["low"] < best["high"] else ""
    return f"{said}{interval}; {rest}"


def ranking(made: Sweep, measure: str) -> Html:
    """The verdict, and the cells from best to worst, at most 20: how far each is behind the best at the same noise.

    p: of that distance by a paired t-test, corrected for all pairs of cells.
    """
    found = with_frontier(made, measure)
    found = found.loc[(sign(measure) * found["mean"]).sort_values(ascending=False).index]
    head = [*map(spelled, made.varied), spelled(measure), "behind the best", "p", "seconds", "pictures", ""]
    rows = [
        [
            *(escape(name_value(name, cell[name])) for name in made.varied),
            _with_interval(cell["mean"], cell["low"], cell["high"]),
            _with_interval(cell["gap"], cell["gap_low"], cell["gap_high"]) if cell["gap"] else "",
            _p(cell["gap_p"]) if cell["gap"] else "",
            "" if pd.isna(cell["seconds"]) else f"{cell['seconds']:.2f}",
            f"{cell['pictures'] - cell['failed']}" + (f", {cell['failed']} failed" if cell["failed"] else ""),
            "on the frontier" if cell["frontier"] else "",
        ]
        for _, cell in found.head(MOST_ROWS).iterrows()
    ]
    rest = f"<p>{len(found) - MOST_ROWS} more are not shown.</p>" if len(found) > MOST_ROWS else ""
    return Html(f"<p><b>{escape(verdict(made, measure))}</b></p>{table(head, rows, 'log')}{rest}")


def extremes(made: Sweep, measure: str) -> Comparison:
    """The pictures of the worst and of the best cell, in pairs of one noise, where they have one size."""
    found = cells(made, measure).dropna(subset="mean")
    if found.empty:
        return Comparison(("", ""), ())
    means = sign(measure) * found["mean"]
    worst, best = (found.loc[place] for place in (means.idxmin(), means.idxmax()))
    names = [", ".join(told(name, cell[name]) for name in made.varied) for cell in (worst, best)]
    sides = [_rows(made, cell) for cell in (worst, best)]
    pairs = [
        Pair(sides[0][place], row, f"prompt {row['prompt_index'] + 1}, seed {row['seed']}")
        for place, row in sides[1].items()
        if place in sides[0] and all(sides[0][place][side] == row[side] for side in ("width", "height"))
    ]
    return Comparison((names[0], names[1]), tuple(pairs))


def _rows(made: Sweep, cell: pd.Series) -> dict[tuple, dict]:
    """The finished rows of a cell by what they are paired by: the prompt's place, unless prompts are compared."""
    frame = made.frame[made.frame["status"] == "done"]
    for name in made.varied:
        frame = frame[frame[name] == cell[name]]
    log = made.study.frame()  # with the prompts that were rendered
    rows = [
        row | {"file": made.study.folder / row["path"]} for row in log[log["key"].isin(frame["key"])].to_dict("records")
    ]
    return {(None if "prompt" in made.varied else row["prompt_index"], row["seed"]): row for row in rows}


def _p(value: float) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.2g}" if value >= 0.001 else "&lt; 0.001"


def _with_interval(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return ""
    return brief(value) + ("" if pd.isna(low) or low == high else f"&nbsp;({brief(low)}&nbsp;to&nbsp;{brief(high)})")
