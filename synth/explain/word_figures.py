"""Figures of words: where each one acts, when, in which part of the UNet, and whose words drew the picture."""

import math
import re
from collections.abc import Sequence
from itertools import groupby

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from synth.explain.attention import Attention, stages
from synth.explain.sheets import Cell, Row, cut, head, overlay, sheet
from synth.explain.words import Heat, Word
from synth.layout.lettering import Span, legible
from synth.measure.intervals import Figure
from synth.plots import ACCENT, INK, MARGIN, MUTED, NotebookFigure, pixel_axes, style

MOST, IN_A_ROW = 23, 6  # words on a sheet
MOST_FOLLOWED = 4  # words in the views by step and by layer
MOST_PROMPTS = 40
LABEL = 120  # pixels, for a word
FUNCTION_WORDS = frozenset(
    ["a", "an", "the", "and", "or", "of", "in", "on", "at", "by", "with", "to", "from", "for", "over", "under", "near"]
)
TEXT, BAR, LINE = 560, 340, 28  # pixels: widths of text and bar, height of a line
PAPER = matplotlib.colors.LinearSegmentedColormap.from_list("paper", ["#ffffff", "#ffd98a", "#f59e0b"])


def word_maps(heat: Heat, words: Sequence[str] = ()) -> NotebookFigure:
    """The picture, and on it the attention to each word, each on a scale of its own; `words` of them, or up to 23."""
    chosen, maps, shares = _chosen(heat, words, MOST), heat.maps(), heat.shares()
    cells = [Cell(heat.image, (Span("the picture", MUTED),))]
    cells += [
        Cell(overlay(heat.image, maps[place] / maps[place].max()), _caption(heat.words[place], shares[place]))
        for place in chosen
    ]
    rows = [Row(cells[start : start + IN_A_ROW]) for start in range(0, len(cells), IN_A_ROW)]
    left_out = f" The {len(chosen)} of {len(heat.words)} words that drew most." if len(chosen) < len(heat.words) else ""
    note = (
        f"Seed {heat.job.seed}. Bright: where pixels attended to the word most, each word on its own scale. "
        f"Percent: its share of the attention to words. In colour: words that GPT-2 added.{left_out}"
    )
    return sheet(rows, "Which word drew what?", note)


def maps_by_step(heat: Heat, words: Sequence[str] = ()) -> NotebookFigure:
    """The attention to some words in each fifth of the steps, from noise to picture."""
    steps = len(heat.attention.shares)
    parts = [np.flatnonzero(stages(steps) == stage) + 1 for stage in range(len(heat.attention.maps[0]))]
    heads = [_range(part) for part in parts]
    views = [{"stage": stage} for stage in range(len(parts))]
    note = "From noise to picture; bright: attended to most, a scale for each word. Percent: its share at that time."
    return _views(heat, words, views, heads, "When does a word act?", note)


def maps_by_layer(heat: Heat, words: Sequence[str] = ()) -> NotebookFigure:
    """The attention to some words in each block of the UNet, from its entrance to its exit."""
    found = blocks(heat.attention)
    views = [{"layers": layers} for layers in found.values()]
    note = (
        "Through the UNet, block by block; bright: attended to most, a scale for each word. Percent: its share there."
    )
    return _views(heat, words, views, list(found), "In which layer does a word act?", note)


def blocks(attention: Attention) -> dict[str, list[int]]:
    """The layers of each block of the UNet by a name such as "down 1, 8 x 8", in the order in which they are passed."""
    found: dict[str, list[int]] = {}
    for place, (name, maps) in enumerate(zip(attention.layers, attention.maps, strict=True)):
        side, number = re.match(r"(down|mid|up)_blocks?(?:\.(\d+))?", name).groups()
        label = f"{side} {number}" if number else "middle"
        found.setdefault(f"{label}, {maps.shape[-1]} x {maps.shape[-2]}", []).append(place)
    order = {"down": 0, "middle": 1, "up": 2}
    return dict(sorted(found.items(), key=lambda item: order[re.match(r"\w+", item[0])[0]]))


def who_drew(heats: Sequence[Heat]) -> NotebookFigure:
    """For each prompt its words, marked by their share of the attention, and the shares of the person and of GPT-2.

    Of more than 40 prompts, the first 40, and the note says so.
    """
    every = [list(group) for _, group in groupby(heats, key=lambda item: item.job.prompt)]
    groups = every[:MOST_PROMPTS]
    strongest = max(_mean_shares(group).max() for group in groups)
    left_out = f" The first {MOST_PROMPTS} of {len(every)} prompts." if len(every) > MOST_PROMPTS else ""
    note = (
        f"Of all attention, {np.mean([item.on_words for item in heats]):.0%} goes to words, the rest to the end mark "
        "and what follows it, which have read the whole text, to the start mark, which has read nothing and takes the "
        "attention that no word needs, and to punctuation. The more a word has, the darker its paper (the darkest has "
        f"{strongest:.0%}). Whiskers: 95% over the seeds. Triangle: where the two would meet if all words counted "
        f"alike.{left_out}"
    )
    with style():
        figure, axes = pixel_axes(3 * MARGIN + TEXT + BAR, BAR)
        top = head(axes, "Who drew this?", note, TEXT + MARGIN + BAR)
        for group in groups:
            height = _write(axes, group[0].words, _mean_shares(group) / strongest, MARGIN, top, TEXT)
            _bar(axes, group, 2 * MARGIN + TEXT, top)
            top += max(height, 2 * LINE) + LINE // 2
        cut(figure, axes, top)
    return figure


def _bar(axes: Axes, heats: Sequence[Heat], left: float, top: float) -> None:
    """The person's share and GPT-2's, in one bar."""
    figure = Figure.of_few("added", [item.added_share for item in heats])
    own = 1 - figure.value
    axes.add_patch(Rectangle((left, top), BAR * own, 20, fc=INK, lw=0))
    axes.add_patch(Rectangle((left + BAR * own, top), BAR * figure.value, 20, fc=ACCENT, lw=0))
    if math.isfinite(figure.low):
        ends = [left + BAR * (1 - min(max(edge, 0), 1)) for edge in (figure.high, figure.low)]
        axes.plot(ends, [top + 10] * 2, color="white", lw=1.6, marker="|", ms=6)
    border = left + BAR * np.mean([not word.added for word in heats[0].words])
    axes.plot([border], [top + 25], marker="^", color=MUTED, ms=5, lw=0)
    axes.text(left, top + 31, f"the phrase {own:.0%}", size=9, color=INK, va="top")
    axes.text(left + BAR, top + 31, f"GPT-2 {figure.value:.0%}", size=9, color=ACCENT, va="top", ha="right")


def _write(axes: Axes, words: Sequence[Word], shares: np.ndarray, left: float, top: float, width: float) -> float:
    """Words on paper as dark as their share, 0 to 1; returns their height."""
    renderer, x, y = axes.figure.canvas.get_renderer(), left, top
    for word, share in zip(words, shares, strict=True):
        colour = ACCENT if word.added else INK
        text = axes.text(x, y + 4, legible(word.text), size=11, color=colour, va="top", zorder=3)
        wide = text.get_window_extent(renderer).width
        if x + wide > left + width and x > left:
            x, y = left, y + LINE
            text.set_position((x, y + 4))
        axes.add_patch(Rectangle((x - 3, y), wide + 6, LINE - 6, fc=PAPER(share), lw=0, zorder=2))
        x += wide + 12
    return y + LINE - top


def _views(
    heat: Heat, words: Sequence[str], views: Sequence[dict], heads: Sequence[str], title: str, note: str
) -> NotebookFigure:
    """A row for each word, a column for each view, all of a row on one scale."""
    maps = [heat.maps(**view) for view in views]
    shares = [heat.shares(**view) for view in views]
    rows = []
    for place in _chosen(heat, words, MOST_FOLLOWED):
        most = max(item[place].max() for item in maps)
        cells = [
            Cell(overlay(heat.image, item[place] / most), (Span(f"{share[place]:.0%} ", INK), Span(name, MUTED)))
            for item, share, name in zip(maps, shares, heads if not rows else [""] * len(heads), strict=True)
        ]
        rows.append(Row(cells, (_span(heat.words[place]),)))
    return sheet(rows, title, f"Seed {heat.job.seed}. {note}", label=LABEL)


def _chosen(heat: Heat, words: Sequence[str], most: int) -> list[int]:
    """The places of `words`, or of those with the largest shares, function words last, in the prompt's order."""
    if named := [place for place, word in enumerate(heat.words) if word.text in words]:
        return named
    ranked = heat.shares().argsort()[::-1].tolist()
    if most < len(ranked):
        ranked.sort(key=lambda place: heat.words[place].text.lower() in FUNCTION_WORDS)
    return sorted(ranked[:most])


def _caption(word: Word, share: float) -> tuple[Span, ...]:
    return _span(word), Span(f" {share:.0%}", MUTED)


def _span(word: Word) -> Span:
    return Span(word.text, ACCENT if word.added else INK, "bold")


def _range(steps: np.ndarray) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]}-{steps[-1]}"


def _mean_shares(heats: Sequence[Heat]) -> np.ndarray:
    return np.mean([item.shares() for item in heats], axis=0)
