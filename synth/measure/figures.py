"""How the measures of a study are distributed: a panel for each of its pictures, and the figures of its groups below.

As in synth.plots, a function takes a Study, or its frame, and returns a figure that belongs to nobody else.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from synth.errors import StudyError
from synth.layout.lettering import shorten
from synth.measure.diversity import added_words
from synth.measure.studies import GROUPED, drawn_by, mean_of, measured
from synth.plots import ACCENT, INK, MUTED, NotebookFigure, set_title, style

LABELS = {
    "clip_phrase": "CLIP score, phrase",
    "clip_prompt": "CLIP score, prompt",
    "attributes_phrase": "Attributes right, phrase",
    "attributes_prompt": "Attributes right, prompt",
    "near_duplicates": "Near-duplicates",
    "vendi_pictures": "Vendi score, pictures",
    "vendi_prompts": "Vendi score, prompts",
    "distinct_1": "Distinct-1",
    "distinct_2": "Distinct-2",
    "self_bleu": "Self-BLEU",
    "kid": "KID",
}
ACROSS = 4
MOST_PROMPTS = 10  # with a row each
ROW, HEAD, FACTS, TITLE = 0.26, 1.3, 1.3, 0.7  # inches: of a prompt, a panel's head, the groups, the figure's head


def label(measure: str) -> str:
    """A measure as it is written in a figure."""
    return LABELS.get(measure, measure.replace("_", " ").capitalize())


def distributions(data: Any) -> NotebookFigure:
    """A panel for each measure of pictures: a dot for each, in the row of its prompt; of many prompts, a histogram.

    Dashed is the mean; the note has its 95% interval over the seeds, or over the prompts where there are more of these.
    Below is what was measured of groups.
    StudyError where nothing was measured.
    """
    frame = data if isinstance(data, pd.DataFrame) else data.frame()
    frame = frame[frame["status"] == "done"]
    names = [name for name in measured(frame) if frame[name].notna().any()]
    if not names:
        raise StudyError("nothing was measured yet; run `synth measure STUDY`")
    pictures, groups = ([name for name in names if (name in GROUPED) == grouped] for grouped in (False, True))
    few = frame["prompt_index"].nunique() <= MOST_PROMPTS
    heights = [HEAD + ROW * (frame["prompt_index"].nunique() if few else 6)] * math.ceil(len(pictures) / ACROSS)
    heights += [FACTS] * bool(groups)
    size = 12.0, TITLE + sum(heights)
    with style():
        figure = NotebookFigure(figsize=size, layout="constrained")
        figure.get_layout_engine().set(rect=(0, 0, 1, 1 - TITLE / size[1]), h_pad=0.12)
        _write_title(figure, frame, few)
        grid = figure.add_gridspec(len(heights), ACROSS, height_ratios=heights)
        for place, name in enumerate(pictures):
            axes = figure.add_subplot(grid[divmod(place, ACROSS)])
            _draw_values(axes, frame, name, few, labelled=place % ACROSS == 0)
        if groups:
            _write_facts(figure.add_subplot(grid[-1, :]), frame, groups)
    return figure


def _draw_values(axes: Axes, frame: pd.DataFrame, name: str, few: bool, labelled: bool) -> None:
    values = frame[name].dropna()
    mean = mean_of(frame, name)
    if few:
        _draw_rows(axes, frame, name, labelled)
    else:
        axes.hist(values, bins=30, color=ACCENT, edgecolor="white", lw=0.5)
        axes.set_ylabel("pictures")
    axes.axvline(mean.value, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=0)
    scale(axes, name)
    interval = f" ({mean.low:.3g} to {mean.high:.3g})" if math.isfinite(mean.low) else ""
    set_title(axes, label(name), f"mean {mean.value:.3g}{interval}")


def scale(axes: Axes, name: str) -> None:
    """Lay out the axis across for the values of a measure that are drawn already: shares from 0 to 1, counts from 0."""
    axes.margins(x=0.06)
    axes.locator_params(axis="x", nbins=4, integer=name == "near_duplicates")
    if name.startswith("attributes"):
        axes.set_xlim(-0.05, 1.05)
    elif name == "near_duplicates":
        axes.set_xlim(-0.2, max(2.2, axes.get_xlim()[1]))


def _write_title(figure: NotebookFigure, frame: pd.DataFrame, few: bool) -> None:
    height = figure.get_size_inches()[1]
    dot = "a dot is a picture, in the row of its prompt; " if few else ""
    over = "the seeds" if drawn_by(frame) == "seed" else "the prompts"
    title = f"What was measured of {len(frame):,} pictures"
    note = f"{dot}dashed: the mean, with its 95% interval over {over}"
    figure.text(0.01, 1 - 0.3 / height, title, size=14, weight="bold", va="center")
    figure.text(0.01, 1 - 0.55 / height, note, size=9, color=MUTED, va="center")


def _draw_rows(axes: Axes, frame: pd.DataFrame, name: str, labelled: bool) -> None:
    """A row for each prompt, its pictures slightly apart from one another by their place in the frame."""
    prompts = frame.drop_duplicates("prompt_index").sort_values("prompt_index")
    rows = {index: row for row, index in enumerate(prompts["prompt_index"])}
    within = frame.groupby("prompt_index").cumcount() % 5 - 2
    axes.scatter(frame[name], frame["prompt_index"].map(rows) + 0.08 * within, s=18, color=ACCENT, alpha=0.65, lw=0)
    texts = [f"{index + 1}  {shorten(added_words(*text), 26)}" for index, *text in _texts(prompts)]
    axes.set_yticks(range(len(rows)), texts if labelled else [""] * len(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _texts(prompts: pd.DataFrame) -> zip:
    return zip(prompts["prompt_index"], prompts["phrase"], prompts["prompt"], strict=True)


def _write_facts(axes: Axes, frame: pd.DataFrame, names: Sequence[str]) -> None:
    """What was measured of groups, side by side; from the least to the most where there are several groups."""
    axes.set_axis_off()
    several = any(frame[name].nunique() > 1 for name in names)
    set_title(
        axes, "Of the pictures together", "least to most of the groups compared" if several else "one value for all"
    )
    shown = [name for name in names if name not in ("kid_low", "kid_high")]
    for place, name in enumerate(shown):
        x = place / max(6, len(shown))
        axes.text(x, 0.68, label(name), size=9, color=MUTED, transform=axes.transAxes)
        axes.text(x, 0.24, _range(frame[name]), size=14, weight="bold", color=INK, transform=axes.transAxes)
        if name == "kid" and not several:
            interval = f"{_range(frame['kid_low'])} to {_range(frame['kid_high'])}"
            axes.text(x, -0.05, interval, size=9, color=MUTED, transform=axes.transAxes)


def _range(values: pd.Series) -> str:
    low, high = f"{np.nanmin(values):.3g}", f"{np.nanmax(values):.3g}"
    return low if low == high else f"{low} to {high}"
