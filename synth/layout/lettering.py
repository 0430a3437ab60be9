"""Users' text in figures: any script, never mathtext, wrapped, in more than one colour.

Matplotlib warns about each glyph that no font has, takes $...$ for mathematics and draws a text in one colour. Here a
missing glyph becomes a box, a dollar is a dollar, and a label is laid out word by word.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

PREFERRED = (
    "Inter", "Source Sans 3", "Helvetica Neue", "Arial", "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Noto Sans Arabic", "Noto Sans Devanagari",
    "Noto Sans Thai", "Noto Emoji", "Segoe UI Symbol",
)  # fmt: skip
MISSING = "\N{WHITE SQUARE}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Span:
    """A stretch of text in one look; weight is "normal" or "bold"."""

    text: str
    colour: str
    weight: str = "normal"


@cache
def families() -> list[str]:
    """The preferred font families that this machine has; DejaVu Sans comes with matplotlib and is always among them."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in PREFERRED if name in installed]


def legible(text: str) -> str:
    """`text` on one line with a box for each character that no font at hand can draw."""
    return "".join(_drawable(character) for character in " ".join(text.split()))


def _drawable(character: str) -> str:
    if ord(character) in _glyphs():
        return character
    joins = unicodedata.category(character) in ("Cf", "Mn", "Me", "Sk")  # joiners, accents, emoji modifiers
    return "" if joins else MISSING


@cache
def _glyphs() -> frozenset[int]:
    fonts = (font_manager.get_font(font_manager.findfont(name)) for name in families())
    return frozenset().union(*(font.get_charmap() for font in fonts))


def shorten(text: str, characters: int) -> str:
    """`text`, legible, cut at a word to at most `characters`."""
    text = legible(text)
    if len(text) <= characters:
        return text
    words, _, _ = text[:characters].rpartition(" ")
    return (words or text[: characters - 1]).rstrip(" ,.;:") + ELLIPSIS


def draw_wrapped(axes: Axes, spans: list[Span], x: float, y: float, *, width: float, lines: int, size: float) -> float:
    """Draw spans as one paragraph with its top left corner at (x, y), in an Axes whose data units are pixels.

    width: of a line, in pixels; lines: the most that are drawn, then comes an ellipsis; size: of the type, in points.
    Where a span ends within a word, the next one goes on without a space. Returns the paragraph's height in pixels.
    The figure's canvas must be Agg's, which measures the words.
    """
    ruler = _Ruler(axes.figure.canvas.get_renderer(), size)
    rows = _wrap(spans, width, ruler)
    if len(rows) > lines:
        rows = [*rows[: lines - 1], [*rows[lines - 1][:-1], [Span(ELLIPSIS, rows[lines - 1][-1][-1].colour)]]]
    for number, row in enumerate(rows):
        offset = 0.0
        for span in _merged(row):
            axes.text(
                x + offset, y + number * ruler.leading, span.text.strip(), color=span.colour, weight=span.weight,
                size=size, va="top", ha="left", parse_math=False, family=families(),
            )  # fmt: skip
            offset += ruler.width(span)
    return len(rows) * ruler.leading


class _Ruler:
    """Measures words in pixels, as the renderer will draw them."""

    def __init__(self, renderer: RendererAgg, size: float) -> None:
        self._renderer = renderer
        self._fonts = {
            weight: FontProperties(family=families(), weight=weight, size=size) for weight in ("normal", "bold")
        }
        self.leading = 1.4 * size * renderer.dpi / 72
        self.space = self.width(Span(" ", ""))

    def width(self, span: Span) -> float:
        """Of the span, with a space at its end if it has one."""
        bar = self._ink("|", span.weight)  # a trailing space has no ink of its own
        return self._ink(f"{span.text}|", span.weight) - bar

    def _ink(self, text: str, weight: str) -> float:
        return self._renderer.get_text_width_height_descent(text, self._fonts[weight], ismath=False)[0]


def _wrap(spans: list[Span], width: float, ruler: _Ruler) -> list[list[list[Span]]]:
    """Lines of words, each line at most `width` pixels wide."""
    rows: list[list[list[Span]]] = [[]]
    used = 0.0
    for word in _words(spans, width, ruler):
        needs = sum(map(ruler.width, word)) + ruler.space
        if rows[-1] and used + needs > width:
            rows.append([])
            used = 0.0
        rows[-1].append(word)
        used += needs
    return rows


def _words(spans: list[Span], width: float, ruler: _Ruler) -> Iterator[list[Span]]:
    """Words, each of one span, or of several where looks change within it; one wider than `width` is broken."""
    word: list[Span] = []
    for span in spans:
        for text in re.findall(r"\s+|\S+", span.text):
            pieces = [] if text.isspace() else _pieces(Span(legible(text), span.colour, span.weight), width, ruler)
            if word and (text.isspace() or sum(map(ruler.width, word + pieces[:1])) > width):
                yield word
                word = []
            for piece in pieces[:-1]:
                yield [*word, piece]
                word = []
            word += pieces[-1:]
    if word:
        yield word


def _pieces(word: Span, width: float, ruler: _Ruler) -> list[Span]:
    whole = ruler.width(word)
    size = max(1, len(word.text) if whole <= width else int(len(word.text) * width / whole * 0.9))
    return [Span(word.text[start : start + size], word.colour, word.weight) for start in range(0, len(word.text), size)]


def _merged(row: list[list[Span]]) -> list[Span]:
    """A line's words with their spaces, neighbours of one look joined: kerning and right-to-left order are the font
    engine's."""
    spaced = [Span(span.text + " " * (span is word[-1]), span.colour, span.weight) for word in row for span in word]
    looks = groupby(spaced, key=lambda span: (span.colour, span.weight))
    return [Span("".join(span.text for span in group), *look) for look, group in looks]
