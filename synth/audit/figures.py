"""Figures of an audit: distributions against the baseline, divergences with what is significant, and exemplars."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from synth.audit.findings import ALPHA, EVERYTHING, Finding, by_certainty, p_text
from synth.audit.phrases import Audit
from synth.audit.sightings import LOOKS, PICTURES, STAGES
from synth.explain.sheets import Cell, Row, sheet
from synth.layout.lettering import Span, shorten
from synth.measure.intervals import wilson
from synth.plots import ACCENT, ALARM, FAINT, INK, MUTED, NotebookFigure, new_axes, set_title, style
from synth.records.pictures import read_picture

ACROSS, MOST, MOST_ROWS = 3, 12, 30  # panels side by side, and of a figure; rows of a figure
ROW, HEAD = 0.27, 1.15  # inches: of a value, and of a panel's title and axis
MOST_TERMS = 8
BASE = "#d1d5db"  # of a baseline


def distributions(findings: Sequence[Finding]) -> NotebookFigure:
    """A panel for each finding, up to 12, the most certain first: the share of each value with its 95% interval.

    Grey is the baseline. A red panel is significant after correction; the value of which there is too much is strong.
    Where all phrases are also tested together, one of them has a panel only if it is significant; the note tells.
    """
    told = [item for item in findings if item.significant or item.attribute == LOOKS or item.group == EVERYTHING]
    shown = by_certainty(told)[:MOST]
    lines = [shown[start : start + ACROSS] for start in range(0, len(shown), ACROSS)]
    heights = [HEAD + ROW * max(len(item.values) for item in line) for line in lines]
    with style():
        figure = NotebookFigure(figsize=(11.4, 0.7 + sum(heights)), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - 0.7 / figure.get_figheight()), w_pad=0.12, h_pad=0.08)
        grid = figure.add_gridspec(len(lines), ACROSS, height_ratios=heights)
        for place, item in enumerate(shown):
            _draw_shares(figure.add_subplot(grid[divmod(place, ACROSS)]), item)
        _head(figure, *_told(findings, len(shown)))
    return figure


def _draw_shares(axes: Axes, item: Finding) -> None:
    colour, total = ALARM if item.significant else ACCENT, int(item.counts.sum())
    for row, (count, share, expected) in enumerate(zip(item.counts, item.shares, item.expected, strict=True)):
        low, high = wilson(int(count), total)
        strong = not item.significant or row == item.favourite
        axes.barh(row, expected, height=0.8, color=BASE)
        axes.barh(row, share, height=0.4, color=colour, alpha=1 if strong else 0.4, lw=0)
        axes.plot([low, high], [row, row], color=INK, lw=0.9)
    axes.set_yticks(range(len(item.values)), [shorten(value, 22) for value in item.values])
    axes.set(ylim=(len(item.values) - 0.4, -0.6), xlim=(0, 1))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(axis="y", length=0)
    set_title(
        axes, shorten(_what(item), 30), f"{total} seen, p {p_text(item.p)}{', significant' if item.significant else ''}"
    )


def _told(findings: Sequence[Finding], shown: int) -> tuple[str, str]:
    """Title and note of their distributions."""
    stages = list(dict.fromkeys(item.stage for item in findings))
    against = "all the others" if findings[0].attribute == LOOKS else "what the models were trained on"
    rest = f"; {shown} of {len(findings)} tests" if shown < len(findings) else ""
    note = f"bars: shares with 95% intervals; grey: {against}; p after Holm's correction for all tests{rest}"
    return f"What {' and '.join(stages)}", note


def _head(figure: NotebookFigure, title: str, note: str) -> None:
    """Write both above the panels, left-aligned to the figure."""
    left, height = 0.14 / figure.get_figwidth(), figure.get_figheight()
    figure.text(left, 1 - 0.3 / height, title, size=14, weight="bold", va="center")
    figure.text(left, 1 - 0.55 / height, note, size=9, color=MUTED, va="center")


def divergences(findings: Sequence[Finding]) -> NotebookFigure:
    """A row for each finding: its divergence from the baseline with the 95% interval, and what chance alone reaches.

    Significant ones are red. The ring is the divergence as counted, which chance raises; it is what was tested. Of more
    than 30 the most certain are shown, and the note says so.
    """
    shown = by_certainty(findings)[:MOST_ROWS]
    ordered = sorted(shown, key=lambda item: (STAGES.index(item.stage), -item.difference.plain))
    with style():
        figure, axes = new_axes(9.2, 1.9 + 0.34 * len(ordered))
        for row, item in enumerate(ordered):
            _draw_divergence(axes, row, item)
        axes.set_yticks(range(len(ordered)), [_name(item, findings) for item in ordered])
        top = max(max(item.difference.divergence.high, item.difference.chance) for item in ordered)
        axes.set(xlim=(-0.012 * max(top, 0.1), max(top, 0.1) * 1.3), ylim=(len(ordered) - 0.4, -0.6))
        axes.set_xlabel("Jensen-Shannon divergence, bits: 0 the same, 1 nothing in common")
        axes.tick_params(axis="y", length=0)
        rest = f"; the {len(shown)} most certain of {len(findings)}" if len(shown) < len(findings) else ""
        note = f"red: significant, the chance of any false alarm is {ALPHA:.0%}{rest}"
        set_title(axes, "How far from the baseline?", note)
        axes.legend(handles=_keys(), loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _draw_divergence(axes: Axes, row: int, item: Finding) -> None:
    colour, found = ALARM if item.significant else ACCENT, item.difference
    axes.barh(row, found.chance, height=0.7, color=FAINT, zorder=0)
    axes.plot([found.divergence.low, found.divergence.high], [row, row], color=colour, lw=1.6)
    axes.scatter(found.divergence.value, row, s=44, color=colour, zorder=3)
    axes.scatter(found.plain, row, s=44, facecolors="none", edgecolors=colour, lw=1, zorder=3)
    at = max(found.divergence.high, found.chance, found.plain)
    text = f"p {p_text(item.p)}" + f", {item.values[item.favourite]}" * item.significant
    axes.annotate(
        text, (at, row), xytext=(8, 0), textcoords="offset points", size=9, va="center",
        color=ALARM if item.significant else MUTED,
    )  # fmt: skip


def _keys() -> list[Line2D | Patch]:
    dot = {"marker": "o", "ms": 6, "lw": 0, "color": INK}
    return [
        Line2D([], [], **dot | {"lw": 1.6}, label="estimate, 95% interval"),
        Line2D([], [], **dot, markerfacecolor="none", label="as counted"),
        Patch(color=FAINT, label="95% of chance\nstays below"),
    ]


def exemplars(audit: Audit, most: int = 6) -> NotebookFigure | None:
    """Pictures that show what the renderer has too much of, a row for each finding, the most certain first.

    They are the first of their kind, not chosen. None where no picture was looked at.
    """
    pictured = [item for item in audit.findings if item.stage == PICTURES]
    shown = by_certainty(pictured)[:most]
    if not shown:
        return None
    rows = [Row([Cell(_open(path)) for path in audit.exemplars(item)], _label(item)) for item in shown]
    note = "the first pictures of each kind, not chosen; red: significant after correction, else chance may explain it"
    return sheet(rows, "What the renderer shows more often than the baseline", note, cell=128)


def _label(item: Finding) -> tuple[Span, ...]:
    colour = ALARM if item.significant else INK
    what = item.values[item.favourite]
    name = f"{_what(item)}: "
    shares = f" {item.shares[item.favourite]:.0%} of pictures, {item.expected[item.favourite]:.0%} in the baseline"
    return Span(name, MUTED), Span(what, colour, "bold"), Span(f"{shares}, p {p_text(item.p)}", MUTED)


def terms(audit: Audit, most_phrases: int = 6) -> NotebookFigure | None:
    """The words that GPT-2 adds to each phrase more than to the others, by log-odds; None where nothing can be said.

    Red ones are significant: they exceed what shuffling the texts among the phrases gives.
    """
    found = audit.terms[audit.terms["z"] > 0]
    phrases = [phrase for phrase in audit.phrases if (found["phrase"] == phrase).any()][:most_phrases]
    if not phrases:
        return None
    lines, head = math.ceil(len(phrases) / ACROSS), 0.8
    with style():
        figure = NotebookFigure(figsize=(11.4 if len(phrases) > 1 else 7.2, head + 3.1 * lines), layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - head / figure.get_figheight()), w_pad=0.12, h_pad=0.1)
        panels = figure.subplots(lines, min(ACROSS, len(phrases)), squeeze=False, sharex=True).ravel()
        for axes, phrase in zip(panels, phrases, strict=False):
            _draw_terms(axes, phrase, found[found["phrase"] == phrase].nlargest(MOST_TERMS, "z"))
        for axes in panels[len(phrases) :]:
            axes.set_axis_off()
        note = "beside a word, how many texts have it: with this phrase : with all others; red: significant"
        _head(figure, "What GPT-2 adds to one phrase rather than to the others", note)
    return figure


def _draw_terms(axes: Axes, phrase: str, rows) -> None:
    colours = [ALARM if p <= ALPHA else ACCENT for p in rows["p"]]
    axes.barh(range(len(rows)), rows["z"], height=0.6, color=colours)
    labels = [f"{shorten(row.term, 22)}  {row.texts}:{row.others}" for row in rows.itertuples()]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(MOST_TERMS - 0.4, -0.6)
    axes.set_xlabel("log-odds, standard errors")
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"“{shorten(phrase, 20)}”")


def _name(item: Finding, findings: Sequence[Finding]) -> str:
    several, what = len({other.stage for other in findings}) > 1, shorten(_what(item), 34)
    return f"{item.stage}: {what}" if several else what


def _what(item: Finding) -> str:
    """What a finding is of: an attribute, the phrase whose pictures were put into clusters, or both."""
    if item.group == EVERYTHING:
        return item.attribute
    return item.group if item.attribute == LOOKS else f"{item.group}: {item.attribute}"


def _open(path: str):
    return read_picture(Path(path)).image
