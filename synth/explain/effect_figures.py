"""Figures of effects: how much each phrase changes the picture, and the pictures with and without it."""

import math

import numpy as np
from matplotlib.axes import Axes

from synth.explain.effects import Effects
from synth.explain.sheets import Cell, Row, overlay, sheet
from synth.layout.lettering import Span, shorten
from synth.plots import ACCENT, INK, MUTED, NotebookFigure, set_title, style

MOST, MOST_SEEDS = 12, 3  # parts and seeds on a sheet
PANELS = {
    "clip_distance": ("By what CLIP sees", "distance in CLIP (1 - cosine)"),
    "pixel_difference": ("By the pixels", "mean difference, 0 to 1"),
}


def effect_sizes(effects: Effects) -> NotebookFigure:
    """How much the picture changes without each part, the largest effect in CLIP first, with 95% over the seeds."""
    order = _ranked(effects)
    with style():
        figure = NotebookFigure(figsize=(9.6, 1.6 + 0.36 * len(order)), layout="constrained")
        panels = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (measure, (title, label)) in zip(panels, PANELS.items(), strict=True):
            _draw_sizes(axes, effects, measure, order)
            axes.set(xlabel=label)
            set_title(axes, title, "dashed: another seed, all words kept")
        panels[0].set_yticks(range(len(order)), [shorten(effects.parts[place].text, 34) for place in order])
        panels[0].invert_yaxis()
        for text, place in zip(panels[0].get_yticklabels(), order, strict=True):
            text.set_color(ACCENT if effects.parts[place].added else INK)
    return figure


def _draw_sizes(axes: Axes, effects: Effects, measure: str, order: list[int]) -> None:
    figures = effects.figures(measure)
    for row, place in enumerate(order):
        item, colour = figures[place], ACCENT if effects.parts[place].added else INK
        axes.barh(row, item.value, height=0.62, color=colour)
        if math.isfinite(item.low):
            axes.plot([max(0, item.low), item.high], [row, row], color="#9ca3af", lw=1.6, marker="|", ms=6)
    if math.isfinite(effects.other_seed[measure]):
        axes.axvline(effects.other_seed[measure], color=MUTED, lw=1, ls=(0, (4, 3)))
    axes.tick_params(axis="y", left=False)
    axes.set_xlim(left=0)


def effect_sheet(effects: Effects) -> NotebookFigure:
    """Pictures with all words, and without each part, and where the two differ, for up to 3 seeds; 12 parts at most."""
    seeds, order = list(effects.whole)[:MOST_SEEDS], _ranked(effects)[:MOST]
    shown = [effects.where(place, seed) for place in order for seed in seeds if seed in effects.without[place]]
    scale = max(float(np.quantile(shown, 0.995)), 1e-6)
    heads = [cell for seed in seeds for cell in (Cell(effects.whole[seed], _muted(f"seed {seed}")), Cell(None))]
    rows = [Row(heads, (Span("with all words", INK, "bold"),))]
    sizes = effects.figures("clip_distance")
    for place in order:
        part = effects.parts[place]
        label = (
            Span("without ", MUTED), Span(part.text, ACCENT if part.added else INK, "bold"),
            Span(f", CLIP distance {sizes[place].value:.2f}", MUTED),
        )  # fmt: skip
        rows.append(Row([cell for seed in seeds for cell in _pair(effects, place, seed, scale)], label))
    left_out = f" The {MOST} largest of {len(effects.parts)}." if len(order) < len(effects.parts) else ""
    note = (
        "The noise stays and one phrase goes, the one that changes most in CLIP first. At the right of each picture: "
        f"where it differs from the one with all words; the brighter, the more.{left_out}"
    )
    return sheet(rows, "What does each phrase do?", note, cell=130)


def _pair(effects: Effects, place: int, seed: int, scale: float) -> tuple[Cell, Cell]:
    picture = effects.without[place].get(seed)
    if picture is None:
        return Cell(None), Cell(None)
    return Cell(picture), Cell(overlay(picture, (effects.where(place, seed) / scale).clip(0, 1)))


def _ranked(effects: Effects) -> list[int]:
    """The places of the parts, the largest distance in CLIP first."""
    sizes = [item.value for item in effects.figures("clip_distance")]
    return sorted(range(len(sizes)), key=lambda place: -sizes[place])


def _muted(text: str) -> tuple[Span, ...]:
    return (Span(text, MUTED),)
