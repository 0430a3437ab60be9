"""Figures of trainings: losses, what was drawn over time, before and after, several runs side by side.

A run is its folder, so that a training can be watched from another process as well. All are in synth.plots' style.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from PIL import Image

from synth.errors import InputError
from synth.layout.lettering import Span, draw_wrapped, legible
from synth.measure.intervals import Figure
from synth.plots import (
    ACCENT,
    ALARM,
    FAINT,
    GAP,
    INK,
    MARGIN,
    MUTED,
    NotebookFigure,
    new_axes,
    pixel_axes,
    set_title,
    style,
)  # fmt: skip
from synth.train.evaluation import Evaluation
from synth.train.history import HIGHER, History, differences

Runs = Path | str | Sequence[Path | str]
Block = tuple[Sequence[str], Mapping[str, Sequence[Image.Image]]]  # captions, and rows of pictures by their names
CELL, LABEL, CAPTION, HEADER = 160, 84, 66, 74  # pixels: side of a picture, room for a row's name, a caption, the title
CAPTION_LINES, COLUMNS, MOST_ROWS = 4, 6, 8
SMOOTH = 10  # so many parts of the training loss are averaged to one each


def loss_curves(runs: Runs) -> NotebookFigure:
    """The losses of one run or several, and beside them whether the model listens to the caption.

    Of one run: the training loss, its moving average, and the loss on what was held out; then this loss with the right
    caption, with none and with another picture's. Of several runs: what was held out, and how much the right caption
    helps.
    """
    return curves(_histories(runs))


def curves(histories: Sequence[History]) -> NotebookFigure:
    """`loss_curves` of histories; a training that has only begun is drawn as far as it is."""
    with style():
        figure = NotebookFigure(figsize=(10.6, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        if len(histories) == 1:
            _draw_losses(left, histories[0])
            _draw_listening(right, histories[0])
        else:
            _check_alike(histories)
            _draw_several(left, right, histories)
        for axes in (left, right):
            axes.set(xlabel="step", xlim=(0, max(1, *(history.steps for history in histories))))
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def sample_rows(run: Path | str) -> NotebookFigure:
    """What was drawn at each validation: a row for each step, a column for each caption, which keeps its noise.

    Of more than 8 validations, 8 spread evenly over them. InputError where nothing was drawn.
    """
    history = History.read(run)
    steps = list(history.samples)
    if not steps:
        raise InputError("run", str(run), "give a training that drew samples: a unet's, after its first validation")
    places = np.linspace(0, len(steps) - 1, min(MOST_ROWS, len(steps))).round().astype(int)
    rows = {f"step {steps[place]:,}": _cut(history.samples[steps[place]]) for place in places}
    columns = min(map(len, rows.values()))
    captions = (history.captions or [""] * columns)[:columns]
    note = "along a row captions and noise differ; down a column both stay, and the model has learned more"
    return _picture_rows("What it drew on the way", note, [(captions, rows)])


def before_and_after(
    before: Sequence[Image.Image], after: Sequence[Image.Image], captions: Sequence[str]
) -> NotebookFigure:
    """Pictures of two models beneath their captions, six side by side, those of one caption one above the other."""
    if not len(before) == len(after) == len(captions) or not captions:
        raise ValueError(f"give as many pictures as captions, not {len(before)}, {len(after)} and {len(captions)}")
    parts = [slice(start, start + COLUMNS) for start in range(0, len(captions), COLUMNS)]
    blocks = [(captions[part], {"before": before[part], "after": after[part]}) for part in parts]
    return _picture_rows("Before and after", "both start from the same noise", blocks)


def shares(before: Sequence[Figure], after: Sequence[Figure], title: str, note: str) -> NotebookFigure:
    """Shares from 0 to 1 before and after, each with its 95% interval: a row for each name."""
    with style():
        figure, axes = new_axes(width=7.6, height=1.3 + 0.42 * len(after))
        for figures, shift, colour, name in ((before, -0.13, MUTED, "before"), (after, 0.13, ACCENT, "after")):
            places = np.arange(len(figures)) + shift
            values = np.array([[figure.value, figure.low, figure.high] for figure in figures]).T * 100
            reach = np.abs(values[1:] - values[0])
            axes.errorbar(values[0], places, xerr=reach, fmt="o", ms=6, lw=1.6, color=colour, label=name, clip_on=False)
        axes.set(xlim=(0, 100), ylim=(len(after) - 0.5, -0.5), xlabel="% right, with 95% interval")
        axes.set_yticks(range(len(after)), [figure.name for figure in after])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=FAINT, lw=0.8)
        axes.set_axisbelow(True)
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
        set_title(axes, title, note)
        sns.despine(ax=axes, left=True)
    return figure


def errors_by_timestep(evaluation: Evaluation) -> NotebookFigure:
    """A renderer's error in ten parts of its schedule, from little noise to little else, with captions and without.

    The bands are 95% intervals over pictures.
    """
    with style():
        figure, axes = new_axes(width=7.6, height=3.2)
        for name, colour, label in (("none", MUTED, "no caption"), ("loss", ACCENT, "its own caption")):
            parts = evaluation.by_timestep[name]
            places = (np.arange(len(parts)) + 0.5) * 100 / len(parts)
            value, low, high = np.array([_ends(part) for part in parts]).T
            axes.fill_between(places, low, high, color=colour, alpha=0.18, lw=0)
            axes.plot(places, value, "o-", color=colour, lw=2, ms=4.5, label=label)
        axes.set(xlabel="% of the noise schedule: little noise at the left, little else at the right", ylabel="loss")
        axes.set(xlim=(0, 100), ylim=(0, None))
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
        set_title(axes, "Where does it err?", "after the training, on held-out pictures, with 95% intervals")
    return figure


def _ends(part: Figure | None) -> tuple[float, float, float]:
    """Value, low and high, NaN where they are not known."""
    found = (part.value, part.low, part.high) if part else (math.nan,) * 3
    return tuple(value if math.isfinite(value) else math.nan for value in found)


def comparison(runs: Runs) -> NotebookFigure:
    """Runs named by the parameters in which they differ, the best first: how good, how attentive, how slow."""
    histories = [history for history in _histories(runs) if not history.validations.empty]
    if not histories:
        raise InputError("runs", str(runs), "give trainings that were validated at least once")
    _check_alike(histories)
    metric = histories[0].metric
    named = list(zip(differences(histories), histories, strict=True))
    named.sort(key=lambda item: item[1].best[metric], reverse=metric in HIGHER)
    columns = {
        f"{metric} on held-out {'texts' if histories[0].params.get('kind') == 'gpt2' else 'pictures'}": [
            history.best[metric] for _, history in named
        ],
        "how much the caption helps": [history.listens for _, history in named],
        "seconds a step": [history.seconds for _, history in named],
    }
    with style():
        figure = NotebookFigure(figsize=(10.6, 1.2 + 0.4 * len(named)), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True)
        for axes, (what, values) in zip(panels, columns.items(), strict=True):
            _draw_dots(axes, values)
            axes.set_xlabel(what)
        panels[0].set_yticks(range(len(named)), [legible(name) for name, _ in named])
        set_title(panels[0], "Which is best?", "named by what differs")
    return figure


def _histories(runs: Runs) -> list[History]:
    several = [runs] if isinstance(runs, (Path, str)) else list(runs)
    return [History.read(run) for run in several]


def _check_alike(histories: Sequence[History]) -> None:
    """InputError unless all histories' figures mean the same."""
    for name in ("kind", "prediction"):
        found = sorted({str(history.params[name]) for history in histories if history.params})
        if len(found) > 1:
            remedy = f"compare trainings of one {name}, not of {' and '.join(found)}: their figures mean other things"
            raise InputError("runs", ", ".join(str(history.folder) for history in histories), remedy)


def _draw_losses(axes: Axes, history: History) -> None:
    training, validations = history.training, history.validations
    if not training.empty:
        axes.scatter(training["step"], training["loss"], s=9, color=MUTED, alpha=0.4, lw=0)
        mean = training["loss"].rolling(max(1, len(training) // SMOOTH), center=True, min_periods=1).mean()
        axes.plot(training["step"], mean, color=MUTED, lw=1.4, label="training, smoothed")
    if not validations.empty:
        _line(axes, validations["step"], validations[history.metric], ACCENT, "held out")
    axes.set_ylabel(history.metric)
    set_title(axes, "Does it learn?", _progress_note(history))
    _legend(axes)


def _draw_listening(axes: Axes, history: History) -> None:
    looks = {"wrong": (ALARM, "another's caption"), "none": (MUTED, "no caption"), "loss": (ACCENT, "its own caption")}
    for name, (colour, label) in looks.items():
        if name in history.validations:
            _line(axes, history.validations["step"], history.validations[name], colour, label)
    axes.set_ylabel("loss on held-out pictures")
    set_title(axes, "Does it listen?", "the further apart, the more the words decide")
    _legend(axes)


def _draw_several(left: Axes, right: Axes, histories: Sequence[History]) -> None:
    colours = sns.color_palette("colorblind", len(histories))
    for history, name, colour in zip(histories, differences(histories), colours, strict=True):
        if history.validations.empty:
            continue
        _line(left, history.validations["step"], history.validations[history.metric], colour, name, value=False)
        if {"none", "loss"} <= set(history.validations):
            gap = history.validations["none"] - history.validations["loss"]
            _line(right, history.validations["step"], gap, colour, name, value=False)
    left.set_ylabel(f"{histories[0].metric} on held-out pictures")
    right.set_ylabel("loss without minus with its caption")
    set_title(left, "Which learns best?", "each on its own held-out pictures")
    set_title(right, "Which listens most?", "how much the right caption helps")
    left.figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=2, columnspacing=1.4)


def _line(axes: Axes, x: pd.Series, y: pd.Series, colour: Any, label: str, *, value: bool = True) -> None:
    """A line with a dot for each value; the last value is written beside it, unless many lines end close together."""
    axes.plot(x, y, "o-", color=colour, lw=2, ms=4.5, label=label, clip_on=False)
    if value:
        place, text = (x.iloc[-1], y.iloc[-1]), f"{y.iloc[-1]:.3g}"
        axes.annotate(text, place, xytext=(7, 0), textcoords="offset points", va="center", size=9, color=colour)


def _legend(axes: Axes) -> None:
    """Below the axes, where it covers nothing, if there is anything to name."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.18), ncols=3, borderaxespad=0, columnspacing=1.4)


def _progress_note(history: History) -> str:
    if not history.lines:
        return "the first steps are still to come"
    rest = f" of {history.params['steps']:,}" if history.params else ""
    return f"step {history.steps:,}{rest}; a dot is one batch, whose loss depends on its noise"


def _draw_dots(axes: Axes, values: Sequence[float]) -> None:
    """A row for each value, which is written beside its dot; one that is not known (NaN) has neither."""
    axes.scatter(values, range(len(values)), s=46, color=[ACCENT] + [MUTED] * (len(values) - 1))
    for place, value in enumerate(values):
        if math.isfinite(value):
            axes.annotate(
                f"{value:.3g}", (value, place), xytext=(8, 0), textcoords="offset points", va="center", size=9
            )
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.margins(x=0.25)
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=FAINT, lw=0.8)
    axes.set_axisbelow(True)
    sns.despine(ax=axes, left=True)


def _cut(sheet: Path) -> list[Image.Image]:
    """The square pictures that stand side by side on a sheet."""
    with Image.open(sheet) as opened:
        whole = opened.convert("RGB")
    side = whole.height
    return [whole.crop((left, 0, left + side, side)) for left in range(0, whole.width - side + 1, side)]


def _picture_rows(title: str, note: str, blocks: Sequence[Block]) -> NotebookFigure:
    """Blocks of pictures: above each column its caption, at the left of each row its name."""
    columns = max(len(captions) for captions, _ in blocks)
    width = 2 * MARGIN + LABEL + columns * (CELL + GAP) - GAP
    heights = [CAPTION * any(captions) + len(rows) * (CELL + GAP) + 2 * GAP for captions, rows in blocks]
    height = HEADER + sum(heights) + MARGIN - 3 * GAP
    canvas = Image.new("RGB", (width, height), "white")
    with style():
        figure, axes = pixel_axes(width, height)
        draw_wrapped(axes, [Span(title, INK, "bold")], MARGIN, MARGIN, width=width, lines=1, size=13)
        draw_wrapped(axes, [Span(note, MUTED)], MARGIN, MARGIN + 25, width=width - 2 * MARGIN, lines=1, size=9)
        top = HEADER
        for block, room in zip(blocks, heights, strict=True):
            _draw_block(axes, canvas, block, top)
            top += room
        axes.imshow(canvas, extent=(0, width, height, 0), interpolation="none", aspect="auto", zorder=0)
    return figure


def _draw_block(axes: Axes, canvas: Image.Image, block: Block, top: int) -> None:
    captions, rows = block
    lefts = [MARGIN + LABEL + column * (CELL + GAP) for column in range(len(captions))]
    for left, text in zip(lefts, captions, strict=True):
        draw_wrapped(axes, [Span(text, INK)], left, top, width=CELL, lines=CAPTION_LINES, size=8)
    for number, (name, pictures) in enumerate(rows.items()):
        y = top + CAPTION * any(captions) + number * (CELL + GAP)
        draw_wrapped(axes, [Span(name, MUTED, "bold")], MARGIN, y, width=LABEL - GAP, lines=3, size=10)
        for left, picture in zip(lefts, pictures, strict=False):
            canvas.paste(picture.convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS), (left, y))
