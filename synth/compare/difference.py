"""Where two pictures differ: the absolute difference of their pixels, amplified, with a scale."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image

from synth.compare.pairs import Pair
from synth.plots import MUTED, NotebookFigure, style

GAINS = (32, 16, 8, 4, 2, 1)
SATURATED = 0.03  # of all pixels may differ by more than the scale shows
VISIBLE = 8  # levels: about what an eye tells apart in two pictures that take turns
COLOURS = "magma"


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    """How far apart two RGB pictures of one size are, uint8 (H, W), 0 to 255: of the channel that differs most."""
    first, second = (np.asarray(picture, np.int16) for picture in (a, b))
    return np.abs(first - second).max(axis=2).astype(np.uint8)


def gain(differences: Sequence[np.ndarray]) -> int:
    """By how much to multiply differences, one factor for all: the largest that spares all but 3% of the pixels."""
    every = np.concatenate([part.ravel() for part in differences])
    return next((factor for factor in GAINS if np.mean(every > 255 / factor) <= SATURATED), 1)


def coloured(difference: np.ndarray, factor: int) -> Image.Image:
    """A difference (H, W) as a picture: black where there is none, bright from 255 / factor levels on."""
    amplified = np.minimum(difference.astype(int) * factor, 255).astype(np.uint8)
    return Image.fromarray((matplotlib.colormaps[COLOURS](amplified)[..., :3] * 255).round().astype(np.uint8))


def in_words(difference: np.ndarray) -> str:
    """What two pictures do: differ by so much on average, and visibly in so many pixels."""
    if not difference.any():
        return "are equal in every pixel"
    share = f"{np.mean(difference > VISIBLE):.0%} of the pixels by more than {VISIBLE}"
    mean = difference.mean()
    return f"differ by {mean:.{0 if mean >= 10 else 1}f} of 255 levels on average, {share}"


def pair_figure(pair: Pair, names: tuple[str, str] = ("A", "B")) -> NotebookFigure:
    """Both pictures and their difference, with its scale. Errors as from `Pair.pictures`."""
    a, b = pair.pictures()
    apart = difference(a, b)
    top = 255 / gain([apart])
    with style():
        figure = NotebookFigure(figsize=(10.2, 3.9), layout="constrained")
        *both, third = figure.subplots(1, 3)
        for axes, picture, name in zip(both, (a, b), names, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(name, size=10, weight="normal")
        shown = third.imshow(apart, cmap=COLOURS, vmin=0, vmax=top, interpolation="nearest")
        third.set_title("difference", size=10, weight="normal")
        scale = figure.colorbar(shown, ax=third, fraction=0.046, extend="max" if apart.max() > top else "neither")
        scale.set_label("levels of 255")
        scale.outline.set_visible(False)
        for axes in (*both, third):
            axes.set_axis_off()
        heading = f"{pair.label}: they {in_words(apart)}" if pair.label else f"They {in_words(apart)}"
        figure.suptitle(heading, x=0.01, ha="left", size=10, color=MUTED)
    return figure
