"""People's votes in figures: the pictures as they rank, beside automatic measures, and which measures agree."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from synth.errors import InputError, StudyError
from synth.layout.lettering import shorten
from synth.measure.agreement import agreement
from synth.measure.diversity import added_words
from synth.measure.figures import label, scale
from synth.plots import ACCENT, INK, MUTED, NotebookFigure, name_value, new_axes, set_title, style
from synth.records.pictures import read_picture

if TYPE_CHECKING:
    from synth.studies import Study

MOST_ROWS = 16
BESIDE = ("clip_prompt", "clip_phrase", "attributes_prompt")
ROW, HEAD, FOOT = 0.52, 1.15, 0.55  # inches
NAMES, STRENGTH, MEASURE, GAP = 3.3, 3.0, 1.85, 0.25  # inches: the panels' widths


def ranks(study: "Study", phrase: str | None = None, beside: Sequence[str] | None = None) -> NotebookFigure:
    """The pictures of a phrase as people's votes rank them, each strength with its 95% interval, beside its measures.

    phrase: by default the first that has votes. beside: measures, by default those of BESIDE that there are.
    The best 16 are shown, and the note says so. StudyError where nobody voted, InputError for a phrase without votes.
    """
    frame = study.frame()
    rows, total = _ranked(frame, phrase)
    beside = [name for name in (BESIDE if beside is None else beside) if name in rows and rows[name].notna().any()]
    widths = [NAMES, STRENGTH, *[MEASURE] * len(beside)]
    size = sum(widths) + GAP * len(widths) + 0.2, HEAD + ROW * len(rows) + FOOT
    lefts = [0.2 + sum(widths[:place]) + GAP * place for place in range(len(widths))]
    with style():
        figure = NotebookFigure(figsize=size)
        panels = [_panel(figure, left, width, len(rows)) for left, width in zip(lefts, widths, strict=True)]
        _draw_names(panels[0], rows, study)
        _draw_strengths(panels[1], rows)
        for axes, name in zip(panels[2:], beside, strict=True):
            _draw_measure(axes, rows, name)
        some = f"the best {len(rows)} of {total} pictures" if total > len(rows) else f"{total} pictures"
        note = f"{some}; bars: 95% intervals of people's preference; 0 is the average picture"
        figure.text(0.2 / size[0], 1 - 0.36 / size[1], shorten(rows["phrase"].iloc[0], 90), size=13, weight="bold")
        figure.text(0.2 / size[0], 1 - 0.6 / size[1], note, size=9, color=MUTED)
    return figure


def agreements(data: "Study | pd.DataFrame") -> NotebookFigure:
    """Spearman's rank correlation of each automatic measure with people's votes, with its 95% interval.

    StudyError where nobody voted, and where nothing varies from picture to picture.
    """
    table = agreement(data if isinstance(data, pd.DataFrame) else data.frame())
    if table.empty:
        raise StudyError("no measure can be compared with the votes; run `synth measure STUDY` first")
    with style():
        figure, axes = new_axes(width=7.6, height=1.3 + 0.34 * len(table))
        for x, width in ((0, 1.2), (-1, 0.6), (1, 0.6)):
            axes.axvline(x, color="#c3c8cf", lw=width, zorder=0)
        axes.hlines(table.index, table["low"], table["high"], color=ACCENT, lw=2)
        axes.scatter(table["rho"], table.index, s=42, color=ACCENT, zorder=2)
        for row in table.itertuples():
            axes.text(1.06, row.Index, f"{row.rho:.2f}", va="center", size=9, color=INK)
        axes.set_yticks(table.index, [label(name) for name in table["measure"]])
        axes.set(xlim=(-1.02, 1.18), ylim=(len(table) - 0.5, -0.5), xlabel="rank correlation with people's votes")
        axes.set_xticks((-1, -0.5, 0, 0.5, 1), ("-1", "-0.5", "0", "0.5", "1"))
        axes.tick_params(axis="y", length=0)
        note = f"{table['pictures'].max()} pictures; 1: the same order, 0: no relation; bars: 95% intervals"
        set_title(axes, "Which measures rank pictures as people do?", note)
    return figure


def voted_phrases(frame: pd.DataFrame) -> list[str]:
    """The phrases whose pictures were voted on. StudyError where there are none."""
    if "bt_rank" not in frame or frame["bt_rank"].isna().all():
        raise StudyError("nobody's votes are in the log yet; merge some with `synth votes merge STUDY FILES`")
    return list(frame.dropna(subset=["bt_rank"])["phrase"].unique())


def _ranked(frame: pd.DataFrame, phrase: str | None) -> tuple[pd.DataFrame, int]:
    """The best rows of a phrase, the first first, and how many have votes."""
    phrases = voted_phrases(frame)
    phrase = phrases[0] if phrase is None else phrase
    if phrase not in phrases:
        raise InputError("phrase", phrase, f"give one whose pictures were voted on, such as {phrases[0]!r}")
    rows = frame[frame["phrase"] == phrase].dropna(subset=["bt_rank"]).sort_values("bt_rank")
    return rows.head(MOST_ROWS).reset_index(drop=True), len(rows)


def _panel(figure: NotebookFigure, left: float, width: float, rows: int) -> Axes:
    """Axes at a place in inches, whose rows, from 0 at the top, all panels share."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, FOOT / down, width / across, ROW * rows / down))
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for row in range(0, rows, 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f6f7f9", lw=0, zorder=-1)
    return axes


def _draw_names(axes: Axes, rows: pd.DataFrame, study: "Study") -> None:
    """Rank, picture, prompt and settings. The axes' unit across is a row's height."""
    told = _settings(rows, study)
    for place, row in rows.iterrows():
        picture, left, right = _thumbnail(study.folder / row["path"]), 0.95, 1.87
        added = shorten(added_words(row["phrase"], row["prompt"]), 30)
        axes.text(0.45, place, f"{row['bt_rank']:.0f}", ha="center", va="center", size=11, weight="bold")
        axes.imshow(picture, extent=(left, right, place + 0.46, place - 0.46), aspect="auto")
        axes.text(2.05, place - 0.17, added, va="center", size=9)
        axes.text(2.05, place + 0.2, shorten(told[place], 40), va="center", size=8, color=MUTED)
    axes.set(xlim=(0, NAMES / ROW), ylim=(len(rows) - 0.5, -0.5), xticks=[])
    axes.spines["bottom"].set_visible(False)


def _settings(rows: pd.DataFrame, study: "Study") -> list[str]:
    """What tells the pictures apart: prompt, seed, and their place on the study's axes."""
    names = [axis.name for axis in study.plan.axes]
    places = study.coordinates().set_index("key").loc[rows["key"], names].to_dict("records")
    return [
        ", ".join(
            [f"prompt {index + 1}", f"seed {seed}"]
            + [f"{name.replace('_', ' ')} {name_value(name, value)}" for name, value in place.items()]
        )
        for index, seed, place in zip(rows["prompt_index"], rows["seed"], places, strict=True)
    ]


def _thumbnail(path: Path) -> Image.Image:
    picture = read_picture(path).image.convert("RGB")
    picture.thumbnail((128, 128))
    return picture


def _draw_strengths(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axvline(0, color="#c3c8cf", lw=1, zorder=0)
    axes.hlines(rows.index, rows["bt_low"], rows["bt_high"], color=ACCENT, lw=2)
    axes.scatter(rows["bt_score"], rows.index, s=42, color=ACCENT, zorder=2)
    axes.set_title("People's preference", size=10, pad=6)
    axes.set_xlabel("log odds (1: by 73% preferred to the average)")


def _draw_measure(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    axes.scatter(rows[name], rows.index, s=30, color=MUTED)
    axes.set_title(label(name), size=10, pad=6)
    scale(axes, name)
