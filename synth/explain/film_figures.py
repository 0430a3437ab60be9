"""Films as strips of pictures, side by side, and how far two of them are apart."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from synth.errors import InputError
from synth.explain.film import Film, Studio
from synth.explain.sheets import Cell, Row, sheet
from synth.layout.lettering import Span
from synth.plots import ACCENT, ALARM, INK, MUTED, NotebookFigure, new_axes, set_title, style

CELL, LABEL = 112, 150  # pixels
SHOWN = 8  # frames of a strip, besides the finished picture
HALF = 0.5


def film_strip(studio: Studio, film: Film, *, shown: int = SHOWN) -> NotebookFigure:
    """How a picture forms: what some steps begin with, decoded, and the finished picture that is expected there."""
    places = film.chosen(shown)
    frames = [film.frames[place] for place in places]
    pictures = studio.develop(
        [frame.latents for frame in frames] + [frame.expected for frame in frames] + [film.finished]
    )
    finished, count = pictures[-1], len(frames)
    rows = [
        ("What the step begins with", [*pictures[:count], finished]),
        ("The finished picture that the model expects", [*pictures[count : 2 * count], finished]),
    ]
    settings = film.job.settings
    note = f"{settings.scheduler}, {len(film)} steps, guidance scale {settings.guidance_scale:g}, seed {film.job.seed}"
    return strips(rows, _headings(film, places), film.job.prompt, note)


def film_strips(
    studio: Studio, films: Sequence[Film], names: Sequence[str], title: str, *, shown: int = SHOWN
) -> NotebookFigure:
    """Films of one length below each other: the picture that the model expects at some steps, and the finished one."""
    _check_lengths(films)
    places = films[0].chosen(shown)
    latents = [[*(film.frames[place].expected for place in places), film.finished] for film in films]
    pictures = iter(studio.develop([item for row in latents for item in row]))
    rows = [(name, [next(pictures) for _ in row]) for name, row in zip(names, latents, strict=True)]
    seeds = {film.job.seed for film in films}
    note = "the finished picture that the model expects at each step" + (
        f"; all from the same noise (seed {seeds.pop()})" if len(seeds) == 1 else ""
    )
    return strips(rows, _headings(films[0], places), title, note)


def strips(
    rows: Sequence[tuple[str, list[Image.Image]]], headings: Sequence[str], title: str, note: str
) -> NotebookFigure:
    """Rows of pictures, each with a label at its left; headings: of the columns."""
    captions = [[(Span(heading, MUTED),) for heading in headings], *[[()] * len(headings)] * (len(rows) - 1)]
    return sheet(
        [
            Row([Cell(*pair) for pair in zip(pictures, above, strict=True)], (Span(label, INK),))
            for (label, pictures), above in zip(rows, captions, strict=True)
        ],
        title, note, cell=CELL, label=LABEL,
    )  # fmt: skip


def distances(a: Film, b: Film) -> pd.DataFrame:
    """How far two films are apart at each step, against the distance of their finished latents, which is 1.

    Columns: step (from 1), timestep, latents, expected. InputError for films of different lengths, or equal ones.
    """
    _check_lengths([a, b])
    whole = _distance(a.finished, b.finished)
    if not whole:
        raise InputError("prompt", b.job.prompt, "give two prompts whose pictures differ")
    return pd.DataFrame([
        {
            "step": number, "timestep": one.timestep,
            "latents": _distance(one.latents, two.latents) / whole,
            "expected": _distance(one.expected, two.expected) / whole,
        }
        for number, (one, two) in enumerate(zip(a.frames, b.frames, strict=True), start=1)
    ])  # fmt: skip


def parted(distance: pd.Series) -> int | None:
    """The step, from 1, from which on a distance is at least HALF of that of the finished pictures; None: never."""
    stays = list(accumulate(reversed(list(distance >= HALF)), lambda so_far, apart: so_far and apart))
    return len(stays) - sum(stays) + 1 if any(stays) else None


def parting_curve(a: Film, b: Film) -> NotebookFigure:
    """The distance of two films over their steps, with the step at which they part, by `distances` and `parted`."""
    table = distances(a, b)
    lines = {"latents": ("what the steps begin with", ACCENT), "expected": ("what the model expects", "#c2762b")}
    with style():
        figure, axes = new_axes(height=3.4)
        axes.axhline(HALF, color=MUTED, lw=1, ls=(0, (4, 3)), zorder=0)
        for column, (name, colour) in lines.items():
            axes.plot(table["step"], table[column], color=colour, lw=2, marker="o", ms=4, label=name)
            step = parted(table[column])
            if step is not None:
                axes.plot(step, table[column][step - 1], "o", ms=11, mfc="none", mec=ALARM, mew=1.8)
        apart = parted(table["latents"])
        title = f"They part at step {apart} of {len(a)}" if apart else "They never part"
        set_title(axes, title, "circles: from here on at least half as far apart as the finished pictures (dashed)")
        axes.set(xlabel="step", ylabel="distance, finished = 1", ylim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def latent_channels(studio: Studio, film: Film) -> NotebookFigure:
    """A finished picture, and the channels of its latents, from which the autoencoder's decoder paints it."""
    [picture] = studio.develop([film.finished])
    channels = [_grey(channel.numpy()) for channel in film.finished]
    count, height, width = film.finished.shape
    share = 3 * picture.width * picture.height / film.finished.numel()
    size = f"{picture.width} x {picture.height} pixels"
    note = f"{count} channels of {width} x {height} numbers: {share:.0f} times fewer than {size} have in three colours"
    headings = ["decoded", *(f"channel {number}" for number in range(1, count + 1))]
    return strips(
        [("The picture and its latents", [picture, *channels])], headings, "What the UNet really works on", note
    )


def _headings(film: Film, places: Sequence[int]) -> list[str]:
    return [f"step {place + 1}, t {film.frames[place].timestep:.0f}" for place in places] + ["finished"]


def _grey(channel: np.ndarray) -> Image.Image:
    """A channel from -3 standard deviations (black) to 3 (white), each number a square."""
    levels = (channel - channel.mean()) / (channel.std() or 1)
    grey = Image.fromarray(((levels / 6 + 0.5).clip(0, 1) * 255).astype(np.uint8))
    return grey.resize((8 * grey.width, 8 * grey.height), Image.Resampling.NEAREST)


def _distance(a: Tensor, b: Tensor) -> float:
    """The root mean square of a difference."""
    return float((a - b).square().mean().sqrt())


def _check_lengths(films: Sequence[Film]) -> None:
    lengths = {len(film) for film in films}
    if len(lengths) > 1:
        raise InputError("steps", sorted(lengths), "give films of one number of steps")
