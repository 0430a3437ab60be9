"""The expansion tree as a figure: left to right, thick where GPT-2 is sure, coloured where it went."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from PIL import Image

from synth.explain.tree import Branch, Tree
from synth.layout.lettering import Span, draw_wrapped, families, shorten
from synth.plots import ACCENT, INK, MARGIN, MUTED, NotebookFigure, pixel_axes, style

ROW, SMALL_ROW, PICTURE = 26, 20, 72  # pixels
HEADER, ROOM, TAIL = 92, 60, 400  # above the tree; for the lines between two layers; of the longest text
LINE = "#cbd0d6"
SIZE, LEADING = 10.5, 20.4  # of the type, in points; of a line of it, in pixels
LEAST_WIDTH = 720
SHOWN = 0.005  # other words with a smaller share are not worth a line


@dataclass
class _Place:
    """Where a branch stands: its left end, and the middle of its line, in pixels. others: y of "other words"."""

    branch: Branch
    depth: int
    y: float = 0.0
    others: float | None = None
    following: list["_Place"] = field(default_factory=list)


def tree_figure(tree: Tree, pictures: Mapping[int, list[Image.Image]] | None = None) -> NotebookFigure:
    """A figure of the tree. pictures: of a prompt, by its number from 0; its first four are shown at its end."""
    pictures = pictures or {}
    with style():
        _, probe = pixel_axes(100, 100)
        root = _Place(tree.root, 0)
        bottom = _arrange(root, HEADER, pictures, probe)
        lefts = _columns(root, probe)
        right = max(lefts[place.depth] + _width(probe, place, pictures) for place in _all(root))
        width = max(LEAST_WIDTH, int(right + MARGIN))
        figure, axes = pixel_axes(width, int(bottom + MARGIN))
        _draw_title(axes, tree, width)
        for place in _all(root):
            _draw(axes, place, lefts, pictures)
    return figure


def percent(chance: float) -> str:
    """A probability as people read it: "27%", "0.4%", "1 in 52,000".

    >>> percent(0.265), percent(0.004), percent(1 / 52_000), percent(1.0)
    ('26%', '0.4%', '1 in 52,000', '100%')
    """
    if chance >= 0.00095:
        return f"{100 * chance:.0f}%" if chance >= 0.0095 else f"{100 * chance:.1f}%"
    return f"1 in {float(f'{1 / max(chance, 1e-30):.2g}'):,.0f}" if chance > 1e-9 else "under 1 in a billion"


def _arrange(place: _Place, top: float, pictures: Mapping[int, list[Image.Image]], probe: Axes) -> float:
    """Give a branch and all that follow it their lines; returns where the next may begin."""
    branch, began = place.branch, top
    shown = any(pictures.get(number) for number in branch.ends)
    for following in branch.branches:
        place.following.append(_Place(following, place.depth + 1))
        top = _arrange(place.following[-1], top, pictures, probe)
    if branch.others >= SHOWN:
        place.others, top = top + SMALL_ROW / 2, top + SMALL_ROW
    if shown:
        top = max(top, began) + PICTURE + 6
        place.y = top - PICTURE / 2 - 3 if branch.branches else (began + top) / 2
    elif branch.branches:
        place.y = (place.following[0].y + place.following[-1].y) / 2
    else:
        top = began + ROW + LEADING * (_lines(probe, branch) - 1)
        place.y = (began + top) / 2
    return top


def _lines(probe: Axes, branch: Branch) -> int:
    return min(3, math.ceil(_ink(probe, branch) / TAIL))


def _all(place: _Place) -> list[_Place]:
    return [place, *(found for following in place.following for found in _all(following))]


def _columns(root: _Place, probe: Axes) -> dict[int, float]:
    """The left ends of the layers: each leaves room for the texts before it that something follows."""
    places, lefts = _all(root), {0: float(MARGIN)}
    for depth in range(max(place.depth for place in places)):
        inner = [_text_width(probe, place.branch) for place in places if place.depth == depth and place.following]
        numbers = [_number_width(place.branch) for place in places if place.depth == depth + 1]
        lefts[depth + 1] = lefts[depth] + max(inner) + ROOM + max(numbers)
    return lefts


def _number_width(branch: Branch) -> float:
    return 6.2 * len(percent(branch.chance)) + 20


def _ink(probe: Axes, branch: Branch) -> float:
    font = FontProperties(family=families(), size=SIZE, weight="bold" if branch.prompts else "normal")
    return probe.figure.canvas.get_renderer().get_text_width_height_descent(_label(branch), font, ismath=False)[0]


def _text_width(probe: Axes, branch: Branch) -> float:
    return min(1.1 * TAIL, _ink(probe, branch)) + 8


def _width(probe: Axes, place: _Place, pictures: Mapping[int, list[Image.Image]]) -> float:
    shown = sum(len(pictures.get(number, [])[:4]) for number in place.branch.ends)
    ends = 74 * len(place.branch.ends)
    return _text_width(probe, place.branch) + ends + shown * (PICTURE + 6) + 10


def _label(branch: Branch) -> str:
    return shorten(branch.text, 110).strip() or "(end)"


def _draw_title(axes: Axes, tree: Tree, width: int) -> None:
    draw_wrapped(
        axes, [Span("What could GPT-2 have said?", INK, "bold")], MARGIN, MARGIN, width=width, lines=1, size=16
    )
    note = f"chance of each word after those before it, {tree.model.name}; coloured: what it said"
    draw_wrapped(axes, [Span(note, MUTED)], MARGIN, MARGIN + 34, width=width - 2 * MARGIN, lines=1, size=10)


def _draw(axes: Axes, place: _Place, lefts: dict[int, float], pictures: Mapping[int, list[Image.Image]]) -> None:
    """The text of a branch, the lines to those that follow, and what ends here."""
    branch, x = place.branch, lefts[place.depth]
    chosen = bool(branch.prompts)
    wide = _text_width(axes, branch)
    lines = _lines(axes, branch)
    spans = [Span(_label(branch), ACCENT if chosen and place.depth else INK, "bold" if chosen else "normal")]
    draw_wrapped(axes, spans, x, place.y + 2 - lines * LEADING / 2, width=1.1 * TAIL, lines=lines, size=SIZE)
    right = x + wide
    for number in branch.ends:
        axes.text(right + 6, place.y, f"prompt {number + 1}", size=9, color=MUTED, va="center")
        right += 74
        for picture in pictures.get(number, [])[:4]:
            _draw_picture(axes, picture, right, place.y)
            right += PICTURE + 6
    start = (x + wide, place.y)
    for following in place.following:
        _draw_line(axes, start, (lefts[place.depth + 1], following.y), following.branch)
    if place.others is not None:
        _draw_others(axes, start, (lefts[place.depth + 1], place.others), branch.others)


def _draw_line(axes: Axes, start: tuple[float, float], end: tuple[float, float], branch: Branch) -> None:
    colour = ACCENT if branch.prompts else LINE
    axes.add_patch(_curve(start, (end[0] - _number_width(branch), end[1]), colour, 1 + 6 * branch.chance))
    axes.text(end[0] - 6, end[1], percent(branch.chance), size=8, color=MUTED, va="center", ha="right")


def _draw_others(axes: Axes, start: tuple[float, float], end: tuple[float, float], share: float) -> None:
    axes.add_patch(_curve(start, (end[0] - 40, end[1]), LINE, 0.8, ls=(0, (2, 2))))
    axes.text(end[0] - 6, end[1], percent(share), size=8, color=MUTED, va="center", ha="right")
    axes.text(end[0], end[1], "other words", size=8, color=MUTED, va="center")


def _curve(
    start: tuple[float, float], end: tuple[float, float], colour: str, width: float, **look: object
) -> PathPatch:
    middle = (start[0] + end[0]) / 2
    points = [start, (middle, start[1]), (middle, end[1]), end]
    codes = [Outline.MOVETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4]
    return PathPatch(Outline(points, codes), fc="none", ec=colour, lw=width, capstyle="round", zorder=0, **look)


def _draw_picture(axes: Axes, picture: Image.Image, x: float, y: float) -> None:
    side, limits = PICTURE / 2, (axes.get_xlim(), axes.get_ylim())
    axes.imshow(picture, extent=(x, x + PICTURE, y + side, y - side), aspect="auto", interpolation="lanczos")
    axes.set(xlim=limits[0], ylim=limits[1])
