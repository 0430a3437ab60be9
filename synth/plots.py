"""Figures of a study: the labelled image grid first, then what a teacher asks about prompts and time.

Every function takes a Study, or its frame, and returns a matplotlib Figure that belongs to nobody else: no pyplot
state, so nothing is shown twice in a notebook and nothing leaks. Colours, type and spacing come from `style()`.
"""

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from synth.layout.lettering import Span, draw_wrapped, families, shorten
from synth.measure.diversity import added_words, distinct, words
from synth.records.pictures import DAMAGE

INK, MUTED, FAINT, ACCENT, ALARM = "#1f2933", "#6b7280", "#e5e7eb", "#0b6b8a", "#b42318"
USABLE_TOKENS = 75  # CLIP reads 77, two of which mark start and end
DPI = 100
CELL, GAP, MARGIN, HEADER, LABEL, NARROWEST = 256, 8, 20, 112, 300, 720  # pixels
LARGEST, MOST = 10_000_000, 100  # pixels of one grid; its rows, and its columns
MOST_BARS = 60  # prompts with a bar each
LENGTH_TITLE = "How long are the prompts?", f"dashed: the renderer reads {USABLE_TOKENS} tokens and ignores the rest"
LEGIBLE, ACROSS = 96, 9  # pixels: smaller cells hold no text; of a character of a header at the most


class NotebookFigure(Figure):
    """A Figure that a notebook shows as PNG without pyplot and whatever its backend."""

    def png(self) -> bytes:
        """The figure as a PNG file, packed quickly: a sixth larger, and three times as fast."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", pil_kwargs={"compress_level": 3})
        return picture.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def style() -> AbstractContextManager:
    """The look of every figure; use it as `with style():` around figures of your own."""
    return matplotlib.rc_context({
        **sns.axes_style("ticks"),
        "font.family": families(), "font.size": 10, "text.color": INK, "text.parse_math": False,
        "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 10,
        "axes.labelcolor": MUTED, "axes.labelsize": 9, "axes.edgecolor": "#9ca3af", "axes.linewidth": 0.8,
        "axes.spines.top": False, "axes.spines.right": False,
        "xtick.color": "#9ca3af", "ytick.color": "#9ca3af", "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "xtick.labelsize": 9, "ytick.labelsize": 9, "legend.frameon": False, "legend.fontsize": 9,
        "figure.facecolor": "white", "axes.facecolor": "white", "figure.dpi": DPI, "savefig.dpi": DPI,
        "hatch.linewidth": 0.8,
    })  # fmt: skip


def set_title(axes: Axes, title: str, note: str) -> None:
    """A title at the left, and under it a note that is smaller and paler."""
    axes.set_title(title, pad=26)
    axes.annotate(
        note, (0, 1), xytext=(0, 9), xycoords="axes fraction", textcoords="offset points", size=9, color=MUTED
    )


def new_axes(width: float = 7.6, height: float = 3.0) -> tuple[NotebookFigure, Axes]:
    """A figure of some inches with one Axes."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def pixel_axes(width: int, height: int) -> tuple[NotebookFigure, Axes]:
    """A figure whose data units are its pixels, the origin at the top left."""
    figure = NotebookFigure(figsize=(width / DPI, height / DPI))
    FigureCanvasAgg(figure)  # which can measure text before it is drawn
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def image_grid(data: Any, rows: str = "prompt", columns: str = "seed", *, cell: int = CELL) -> NotebookFigure:
    """Pictures in a grid: one row for each value of the frame's column `rows`, one column for each of `columns`.

    A prompt at the left shows the phrase in black and the words that were added in colour. A picture that failed, or
    whose file is gone, is hatched and says why; one that is not rendered yet stays blank.
    cell: side of the square that holds a picture, in pixels; smaller where the whole would exceed 10 million pixels.
    At most the first 100 rows and columns are shown, and the title says so; `image_grids` shows more, in pages.
    """
    frame, folder = _frame(data)
    every_row, every_column = _values(frame, rows), _values(frame, columns)
    kept = frame[frame[rows].isin(every_row[:MOST]) & frame[columns].isin(every_column[:MOST])]
    notes = _left_out(rows, every_row) + _left_out(columns, every_column)
    return _grid(kept, folder, rows, columns, cell, notes)


def image_grids(
    data: Any,
    rows: str = "prompt",
    columns: str = "seed",
    *,
    pages: Sequence[str] = (),
    most_rows: int = 8,
    most_columns: int = 6,
    most_pages: int = 20,
) -> Iterator[NotebookFigure]:
    """`image_grid` in pages of at most `most_rows` x `most_columns` pictures, left to right, then down.

    pages: columns of the frame; each combination of their values begins a page of its own.
    At most the first `most_pages`, as a report of thousands of pictures opens in no browser; the titles say so.
    """
    frame, folder = _frame(data)
    every = [
        (named, page)
        for named, part in _parts(frame, pages)
        for page in _windows(part, rows, columns, most_rows, most_columns)
    ]
    rest = " (the rest is in images/)" if len(every) > most_pages else ""
    for number, (named, page) in enumerate(every[:most_pages], start=1):
        place = [f"page {number} of {len(every)}{rest}"] if len(every) > 1 else []
        yield _grid(page, folder, rows, columns, CELL, named + place)


def _parts(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[list[str], pd.DataFrame]]:
    """The rows that share their values in some columns, and what these values are called; in the order of the rows."""
    if not columns:
        yield [], frame
        return
    for values, part in frame.groupby(list(columns), sort=False, observed=True, dropna=False):
        names = [_name(column, value, part) for column, value in zip(columns, values, strict=True)]
        part.attrs = frame.attrs
        yield names, part


def _windows(frame: pd.DataFrame, rows: str, columns: str, most_rows: int, most_columns: int) -> Iterator[pd.DataFrame]:
    """The frame in pages, left to right, then down."""
    row_values, column_values = _values(frame, rows), _values(frame, columns)
    for top, left in product(range(0, len(row_values), most_rows), range(0, len(column_values), most_columns)):
        yield frame[
            frame[rows].isin(row_values[top : top + most_rows])
            & frame[columns].isin(column_values[left : left + most_columns])
        ]


def _grid(frame: pd.DataFrame, folder: Path, rows: str, columns: str, cell: int, notes: list[str]) -> NotebookFigure:
    row_values, column_values = _values(frame, rows), _values(frame, columns)
    cell = min(cell, int((LARGEST / (len(row_values) * len(column_values))) ** 0.5) - GAP)
    labels = {value: _label(frame, rows, value) for value in row_values}
    room = _label_room(rows, labels.values())
    lefts = {value: MARGIN + room + number * (cell + GAP) for number, value in enumerate(column_values)}
    tops = {value: HEADER + number * (cell + GAP) for number, value in enumerate(row_values)}
    width, height = max(max(lefts.values()) + cell + MARGIN, NARROWEST), max(tops.values()) + cell + MARGIN
    with style():
        figure, axes = pixel_axes(width, height)
        canvas = Image.new("RGB", (width, height), "white")
        _draw_title(axes, frame, "prompt" in (rows, columns), width - 2 * MARGIN, notes)
        _draw_headers(axes, columns, {x: _name(columns, value, frame) for value, x in lefts.items()}, cell + GAP)
        for value, y in tops.items():
            lines = max(1, cell // 21)
            draw_wrapped(axes, labels[value], MARGIN, y, width=room - 2 * MARGIN, lines=lines, size=11)
        for _, row in frame.iterrows():
            _draw_cell(axes, canvas, row, folder, (lefts[row[columns]], tops[row[rows]]), cell)
        axes.imshow(canvas, extent=(0, width, height, 0), interpolation="none", aspect="auto", zorder=0)
    return figure


def token_lengths(data: Any) -> Figure:
    """Tokens of each prompt in the renderer's tokenizer, against the 75 that CLIP can read.

    A bar for each of up to 60 prompts; how many prompts have which length where there are more.
    """
    prompts = _prompts(data)
    if len(prompts) > MOST_BARS:
        return _token_histogram(prompts["prompt_tokens"])
    labels = [f"{index + 1}  {_added(row, 34)}" for index, row in prompts.iterrows()]
    with style():
        figure, axes = new_axes(height=1.0 + 0.32 * len(prompts))
        read = prompts["prompt_tokens"].clip(upper=USABLE_TOKENS)
        sns.barplot(x=prompts["prompt_tokens"], y=labels, ax=axes, color="#f3c6c1", hatch="////", edgecolor=ALARM, lw=0)
        sns.barplot(x=read, y=labels, ax=axes, color=ACCENT, saturation=1)
        axes.axvline(USABLE_TOKENS, color=ALARM, lw=1, ls=(0, (4, 3)))
        for place, tokens in enumerate(prompts["prompt_tokens"]):
            axes.text(tokens + 0.7, place, f"{tokens}", va="center", size=9, color=MUTED)
        axes.set(xlabel="tokens", xlim=(0, max(80, prompts["prompt_tokens"].max() + 5)))
        set_title(axes, *LENGTH_TITLE)
        axes.tick_params(left=False)
        sns.despine(ax=axes, left=True)
    return figure


def _token_histogram(tokens: pd.Series) -> Figure:
    with style():
        figure, axes = new_axes()
        sns.histplot(x=tokens, discrete=True, ax=axes, color=ACCENT, alpha=1, edgecolor="white")
        axes.axvline(USABLE_TOKENS, color=ALARM, lw=1, ls=(0, (4, 3)))
        axes.set(xlabel="tokens", ylabel="prompts", xlim=(0, max(80, tokens.max() + 5)))
        axes.yaxis.get_major_locator().set_params(integer=True)
        set_title(axes, *LENGTH_TITLE)
    return figure


def diversity(data: Any) -> Figure:
    """How different the prompts are, two by two: the Jaccard distance of the words that were added to the phrase.

    0: the same words; 1: none in common. The note gives the mean, and distinct-2, the share of different pairs of
    neighbouring words among all such pairs (Li et al. 2016, "A diversity-promoting objective function").
    Of more than 100 prompts, the first 100 are compared, and the note says so.
    """
    prompts = _prompts(data)
    added = [added_words(row["phrase"], row["prompt"]) for _, row in prompts.head(MOST).iterrows()]
    distances = np.array([[_jaccard_distance(a, b) for b in added] for a in added])
    numbers, every = range(1, len(added) + 1), 1 if len(added) <= 20 else 10
    with style():
        figure, axes = new_axes(width=4.6, height=4.0)
        sns.heatmap(
            pd.DataFrame(distances, numbers, numbers), ax=axes, vmin=0, vmax=1, square=True,
            linewidths=1.5 if len(added) <= 20 else 0, linecolor="white", annot=len(added) <= 12,
            fmt=".2f", annot_kws={"size": 8}, xticklabels=every, yticklabels=every, mask=np.eye(len(added), dtype=bool),
            cmap=sns.light_palette(ACCENT, as_cmap=True),
            cbar_kws={"label": "0 same words, 1 none in common", "shrink": 0.7},
        )  # fmt: skip
        axes.tick_params(length=0, labelrotation=0)
        axes.set(xlabel="prompt", ylabel="prompt")
        first = f"the first {MOST}: " if len(prompts) > MOST else ""
        set_title(axes, "How different are the prompts?", first + _diversity_note(added, distances))
    return figure


def timing(data: Any) -> Figure:
    """Seconds per picture in the order in which they were finished, coloured by batch size."""
    frame, _ = _frame(data)
    done = frame[frame["status"] == "done"].sort_values("created").reset_index(drop=True)
    with style():
        figure, axes = new_axes(height=2.8)
        axes.set(xlabel="picture, in the order of rendering", ylabel="seconds")
        if done.empty:
            set_title(axes, "How long did each picture take?", "no picture was rendered")
            return figure
        sizes = sorted(done["batch_size"].unique(), reverse=True)
        palette = [ACCENT, *sns.color_palette("flare", len(sizes) - 1)]  # smaller batches stand out
        sns.scatterplot(
            x=done.index + 1, y=done["seconds"], hue=done["batch_size"].astype(str), hue_order=list(map(str, sizes)),
            ax=axes, palette=palette, s=40,
        )  # fmt: skip
        median, total = done["seconds"].median(), done["seconds"].sum()
        axes.axhline(median, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=0)
        set_title(axes, "How long did each picture take?", f"dashed: the median, {median:.2g} s; {total:.3g} s in all")
        axes.set_ylim(bottom=0, top=done["seconds"].max() * 1.15 or 1)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(title="in batches of", loc="center left", bbox_to_anchor=(1, 0.5), alignment="left")
    return figure


def _frame(data: Any) -> tuple[pd.DataFrame, Path]:
    """The frame of a study, and the folder that its paths are relative to."""
    if isinstance(data, pd.DataFrame):
        return data, Path(data.attrs.get("folder", "."))
    return data.frame(), Path(data.folder)


def _prompts(data: Any) -> pd.DataFrame:
    """One row a prompt, in order."""
    return _frame(data)[0].sort_values("prompt_index").drop_duplicates("prompt_index").reset_index(drop=True)


def _values(frame: pd.DataFrame, column: str) -> list:
    """The values of a column: prompts by their index, numbers by size, others as they come."""
    if column == "prompt":
        return list(dict.fromkeys(frame.sort_values("prompt_index")["prompt"]))
    values = list(dict.fromkeys(frame[column]))
    return sorted(values) if pd.api.types.is_numeric_dtype(frame[column]) else values


def name_value(column: str, value: Any) -> str:
    """A value as it is written in a label: an empty text as "none", a model by the last part of its path.

    >>> name_value("guidance_scale", 3.0), name_value("negative_prompt", "")
    ('3', 'none')
    """
    if isinstance(value, float):
        return f"{value:.10g}"
    return shorten(str(value).rstrip("/").rpartition("/")[2] if column == "model" else str(value), 28) or "none"


def _spaced(column: str) -> str:
    return column.replace("_", " ")


def _name(column: str, value: Any, frame: pd.DataFrame) -> str:
    if column == "prompt":
        row = frame[frame["prompt"] == value].iloc[0]
        return f"prompt {row['prompt_index'] + 1}  {_added(row, 18)}"
    return f"{_spaced(column)} {name_value(column, value)}"


def _label(frame: pd.DataFrame, column: str, value: Any) -> list[Span]:
    if column != "prompt":
        return [Span(f"{_spaced(column)} ", MUTED), Span(name_value(column, value), INK)]
    row = frame[frame["prompt"] == value].iloc[0]
    return [Span(f"{row['prompt_index'] + 1} ", MUTED, "bold"), *_told(row)]


def _told(row: pd.Series) -> list[Span]:
    """A prompt, the phrase in black and the words that were added in colour."""
    if row["phrase"] not in row["prompt"]:
        return [Span(row["prompt"], INK)]
    opening, phrase, added = row["prompt"].partition(row["phrase"])
    return [Span(opening, ACCENT), Span(phrase, INK), Span(added, ACCENT)]


def _label_room(column: str, labels: Iterable[list[Span]]) -> int:
    """Pixels that the rows' labels have, their margin included: little where all are short."""
    if column == "prompt":
        return LABEL
    longest = max(sum(len(span.text) for span in label) for label in labels)
    return min(LABEL, 2 * MARGIN + 9 * longest)


def _draw_cell(
    axes: Axes, canvas: Image.Image, row: pd.Series, folder: Path, corner: tuple[int, int], cell: int
) -> None:
    x, y = corner
    if row["status"] == "left":
        return
    if row["status"] == "done":
        try:
            with Image.open(folder / row["path"]) as picture:
                fitted = _fitted(picture.convert("RGB"), cell)
            canvas.paste(fitted, (x + (cell - fitted.width) // 2, y + (cell - fitted.height) // 2))
            return
        except DAMAGE:
            reason = "the picture's file is missing or damaged"
    else:
        reason = row["error"] or "no reason was recorded"
    axes.add_patch(Rectangle((x, y), cell, cell, fc="#f9fafb", ec="#c3c8cf", hatch="///", lw=0.8, zorder=1))
    if cell < LEGIBLE:
        return
    spans = [Span("failed ", ALARM, "bold"), Span(reason, INK)]
    height = draw_wrapped(axes, spans, x + 28, y + 28, width=cell - 56, lines=max(1, (cell - 56) // 18), size=9)
    axes.add_patch(Rectangle((x + 16, y + 18), cell - 32, height + 16, fc="white", ec="#c3c8cf", lw=0.8, zorder=2))


def _draw_headers(axes: Axes, column: str, names: dict[int, str], room: int) -> None:
    """The columns' names, by their place in pixels; long ones on two lines, of narrow columns only every so many."""
    if max(map(len, names.values())) * ACROSS > room:
        names = {x: f"{_spaced(column)}\n{name.removeprefix(_spaced(column)).strip()}" for x, name in names.items()}
    longest = max(len(line) for name in names.values() for line in name.split("\n"))
    for x, name in list(names.items())[:: math.ceil(longest * ACROSS / room)]:
        axes.text(x, HEADER - GAP, name, size=10, color=MUTED, va="bottom")


def _left_out(name: str, values: list[Any]) -> list[str]:
    return [f"the first {MOST} of {len(values):,} {name}s"] if len(values) > MOST else []


def _draw_title(axes: Axes, frame: pd.DataFrame, labelled: bool, width: int, notes: list[str]) -> None:
    """The pictures' prompt, if no label has it, or phrase; under it notes, never cut off, and what they share."""
    shared = {name: values.iloc[0] for name, values in frame.items() if values.nunique() == 1}
    phrase = [Span(shared["phrase"], INK, "bold")] if "phrase" in shared else []
    title = phrase if labelled or "prompt" not in shared else _told(frame.iloc[0])
    draw_wrapped(axes, title, MARGIN, MARGIN, width=width, lines=1, size=16)
    forms = {"model": "{}", "scheduler": "{}", "steps": "{} steps", "guidance_scale": "guidance {:g}"}
    facts = [form.format(shared[name]) for name, form in forms.items() if name in shared]
    if "width" in shared and "height" in shared:
        facts.append(f"{shared['width']} x {shared['height']} px")
    draw_wrapped(axes, [Span(", ".join(notes + facts), MUTED)], MARGIN, MARGIN + 34, width=width, lines=1, size=10)


def _fitted(picture: Image.Image, cell: int) -> Image.Image:
    """The picture scaled to a square of `cell` pixels, its proportions kept."""
    scale = cell / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)


def _added(row: pd.Series, characters: int) -> str:
    added = row["prompt"].removeprefix(row["phrase"]).strip(" ,") or row["prompt"]
    return shorten(added, characters)


def _jaccard_distance(a: str, b: str) -> float:
    one, other = set(words(a)), set(words(b))
    return 1 - len(one & other) / len(one | other) if one | other else 0.0


def _diversity_note(added: list[str], distances: np.ndarray) -> str:
    if len(added) < 2:
        return "one prompt: nothing to compare"
    mean = distances[~np.eye(len(added), dtype=bool)].mean()
    return f"mean distance {mean:.2f}, distinct-2 {distinct(added, 2) or 0:.2f}"
