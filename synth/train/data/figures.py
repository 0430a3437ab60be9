"""Figures of a prepared set: samples with their captions, sizes, caption lengths, and why pictures were left out.

Each takes a PreparedSet and returns a figure in the style of synth.plots.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from PIL import Image

from synth.layout.lettering import Span, draw_wrapped
from synth.plots import (
    ACCENT,
    ALARM,
    GAP,
    INK,
    MARGIN,
    MUTED,
    NotebookFigure,
    new_axes,
    pixel_axes,
    set_title,
    style,
)
from synth.train.data.prepared import PreparedSet
from synth.train.data.statistics import Statistics, describe, reasons

CELL, CAPTION, HEADER = 180, 66, 76  # pixels: side of a sample, height of its caption, height of the title
CAPTION_LINES = 3
MOST_BARS = 100


def telling(prepared: PreparedSet, model: str = "vignettes") -> list[NotebookFigure]:
    """Caption lengths, and the figures that say something of this set: sizes where they differ, what was left out."""
    differing = len({(record.width, record.height) for record in prepared.records}) > 1
    found = [caption_lengths(prepared, model)]
    if differing:
        found.append(sizes(prepared))
    return [*found, left_out(prepared)] if prepared.left_out else found


def sample_sheet(prepared: PreparedSet, count: int = 24, columns: int = 6) -> NotebookFigure:
    """Prepared pictures above their first captions, chosen by content and so always the same; those of the validation
    split are marked."""
    # by a digest's end, as its beginning decides the split
    order = sorted(range(len(prepared)), key=lambda place: prepared.records[place].digest[::-1])[:count]
    columns = min(columns, len(order))
    width = 2 * MARGIN + columns * (CELL + GAP) - GAP
    height = HEADER + math.ceil(len(order) / columns) * (CELL + CAPTION) + MARGIN
    canvas = Image.new("RGB", (width, height), "white")
    with style():
        figure, axes = pixel_axes(width, height)
        note = f"{len(order):,} of {len(prepared):,} pictures as they are trained on, {prepared.params.size} px"
        draw_wrapped(axes, [Span("Pictures and captions", INK, "bold")], MARGIN, MARGIN, width=width, lines=1, size=13)
        draw_wrapped(axes, [Span(note, MUTED)], MARGIN, MARGIN + 25, width=width - 2 * MARGIN, lines=1, size=9)
        for number, place in enumerate(order):
            x = MARGIN + number % columns * (CELL + GAP)
            y = HEADER + number // columns * (CELL + CAPTION)
            picture = Image.fromarray(prepared.pictures[place])
            canvas.paste(picture.resize((CELL, CELL), Image.Resampling.LANCZOS), (x, y))
            _draw_caption(axes, prepared, place, x, y + CELL + 6)
        axes.imshow(canvas, extent=(0, width, height, 0), interpolation="none", aspect="auto", zorder=0)
    return figure


def sizes(prepared: PreparedSet) -> NotebookFigure:
    """Width and height of the originals; the area of a dot tells how many have that size."""
    frame = pd.DataFrame([(record.width, record.height) for record in prepared.records], columns=["width", "height"])
    counts = frame.value_counts().reset_index(name="pictures")
    side, fewest, most = prepared.params.size, counts["pictures"].min(), counts["pictures"].max()
    with style():
        figure, axes = new_axes(width=5.6, height=4.4)
        dots = {"color": ACCENT, "alpha": 0.6, "lw": 0.5, "edgecolor": "white"}
        axes.scatter(counts["width"], counts["height"], s=_area(counts["pictures"], most), **dots)
        for line in (axes.axvline, axes.axhline):
            line(side, color=ALARM, lw=1, ls=(0, (4, 3)), zorder=0)
        end = max(frame.max().max(), side) * 1.1
        axes.set(xlabel="width in pixels", ylabel="height in pixels", xlim=(0, end), ylim=(0, end), aspect="equal")
        note = f"dashed: {side} px, as they are trained on; {int((frame.min(axis=1) < side).sum()):,} are enlarged"
        set_title(axes, "How large are the originals?", note)
        for number in sorted({fewest, most}):
            axes.scatter([], [], s=_area(number, most), label=f"{number:,}", **dots)
        axes.legend(title="pictures", loc="center left", bbox_to_anchor=(1, 0.5), alignment="left", labelspacing=1)
    return figure


def caption_lengths(prepared: PreparedSet, model: str = "vignettes") -> NotebookFigure:
    """How many captions have which length in a model's tokens, and how many it cannot read to their end."""
    facts = describe(prepared, model)
    longest = int(facts.tokens.max())
    step = math.ceil(longest / MOST_BARS)
    with style():
        figure, axes = new_axes()
        bars = {"bins": np.arange(-0.5, longest + step + 0.5, step), "edgecolor": "white", "linewidth": 0.6, "alpha": 1}
        for colour, tokens in ((ALARM, facts.tokens), (ACCENT, facts.tokens[facts.tokens <= facts.limit])):
            sns.histplot(x=tokens, ax=axes, color=colour, **bars)
        axes.axvline(facts.limit + 0.5, color=ALARM, lw=1, ls=(0, (4, 3)))
        axes.set(xlabel="tokens", ylabel="captions", xlim=(0, max(facts.limit, longest) + 5))
        axes.yaxis.get_major_locator().set_params(integer=True)
        set_title(axes, "How long are the captions?", _length_note(facts))
    return figure


def left_out(prepared: PreparedSet) -> NotebookFigure:
    """How many pictures were left out, by kind of reason."""
    kinds = reasons(prepared)
    number = sum(kinds.values())
    with style():
        figure, axes = new_axes(height=1.2 + 0.35 * max(1, len(kinds)))
        note = f"{number:,} of {number + len(prepared):,}; left_out.jsonl names each" if number else "none was"
        set_title(axes, "Which pictures were left out?", note)
        if not kinds:
            axes.set_axis_off()
            return figure
        sns.barplot(x=list(kinds.values()), y=list(kinds), ax=axes, color=ACCENT, saturation=1, width=0.6)
        for place, value in enumerate(kinds.values()):
            axes.text(value, place, f" {value:,}", va="center", size=9, color=MUTED)
        axes.set(xlabel="pictures", ylabel="", xlim=(0, max(kinds.values()) * 1.1))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(left=False)
        sns.despine(ax=axes, left=True)
    return figure


def _area(pictures: Any, most: int) -> Any:
    return 24 + 296 * pictures / most


def _draw_caption(axes: Axes, prepared: PreparedSet, place: int, x: int, y: int) -> None:
    record = prepared.records[place]
    mark = [Span("validation ", ACCENT, "bold")] if record.split == "validation" else []
    spans = [*mark, Span(record.captions[0], INK)]
    draw_wrapped(axes, spans, x, y, width=CELL, lines=CAPTION_LINES, size=8)


def _length_note(facts: Statistics) -> str:
    if not facts.too_long:
        return f"dashed: {facts.limit} tokens are read, and no caption is longer"
    return f"dashed: {facts.limit} tokens are read; {facts.too_long:,} of {len(facts.tokens):,} captions go on unread"
