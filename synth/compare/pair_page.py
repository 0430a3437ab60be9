"""A comparison as a web page: one file that opens offline, with a slider, a flicker view and a map of the differences.

Its only script is Synth's own, named by its digest in the page's policy; what users typed is escaped.
"""

import re
from difflib import SequenceMatcher
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image

from synth.compare.difference import COLOURS, coloured, difference, gain, in_words
from synth.compare.pairs import MACHINE, Comparison, Pair
from synth.compare.panels import spelled
from synth.errors import StudyError
from synth.layout.inlining import digest_of, embedded
from synth.layout.publishing import LAYOUTS, fill
from synth.measure.intervals import Figure
from synth.records.files import write_atomically

MOST_PAIRS, MOST_BYTES = 60, 30_000_000  # on a page; phones open no more


def write_page(comparison: Comparison, path: Path) -> Path:
    """Write the page: at most 60 pairs and about 30 MB of pictures, and it says so. StudyError where there are none."""
    write_atomically(path, page(comparison).encode())
    return path


def page(comparison: Comparison) -> str:
    """The page's HTML; see `write_page`."""
    chosen, pictures = _chosen(comparison.pairs)
    apart = [difference(a, b) for a, b in pictures]
    factor = gain(apart)
    script = (LAYOUTS / "pair" / "viewer.js").read_text(encoding="utf-8")
    return fill(
        "pair/page.html.j2",
        names=comparison.names,
        pairs=[_shown(*parts, factor) for parts in zip(chosen, pictures, apart, strict=True)],
        total=len(comparison.pairs),
        left_out=comparison.left_out,
        differences=[_marked(*row) for row in comparison.differences()],
        machine=comparison.differences(MACHINE),
        measured=[_told(*figures) for figures in comparison.measured()],
        factor=factor,
        top=round(255 / factor),
        gradient=", ".join(_stops()),
        script=script,
        script_digest=digest_of(script),
    )


def _chosen(pairs: tuple[Pair, ...]) -> tuple[list[Pair], list[tuple[Image.Image, Image.Image]]]:
    """The first pairs that a page can hold, and their pictures."""
    if not pairs:
        raise StudyError("no picture was rendered on both sides; `synth log STUDY` says why")
    chosen, pictures, size = [], [], 0
    for pair in pairs[:MOST_PAIRS]:
        size += sum(row["file"].stat().st_size for row in (pair.a, pair.b) if row["file"].is_file())
        if chosen and size > MOST_BYTES:
            break
        chosen.append(pair)
        pictures.append(pair.pictures())
    return chosen, pictures


def _shown(pair: Pair, pictures: tuple[Image.Image, Image.Image], apart: np.ndarray, factor: int) -> dict[str, Any]:
    """What the page tells of a pair."""
    a, b = pictures
    return {
        "label": pair.label,
        "prompts": (pair.a["prompt"], pair.b["prompt"]),
        "width": a.width,
        "height": a.height,
        "a": embedded(a),
        "b": embedded(b),
        "difference": embedded(coloured(apart, factor)),
        "words": in_words(apart),
    }


def _stops(count: int = 9) -> list[str]:
    """The colours of the scale, for CSS."""
    colours = matplotlib.colormaps[COLOURS](np.linspace(0, 1, count))
    return [matplotlib.colors.to_hex(colour) for colour in colours]


def _marked(field: str, a: str, b: str) -> tuple[str, str, str]:
    """A row of the table of differences, as HTML; in texts the words that only one side has are marked."""
    if field not in ("phrase", "prompt", "negative_prompt"):
        return spelled(field), escape(a), escape(b)
    words = [re.findall(r"\s+|\w+|[^\w\s]", text) for text in (a, b)]
    blocks = SequenceMatcher(None, *words, autojunk=False).get_opcodes()
    first = "".join(_words(words[0][low:high], kind) for kind, low, high, _, _ in blocks)
    second = "".join(_words(words[1][low:high], kind) for kind, _, _, low, high in blocks)
    return spelled(field), first, second


def _words(words: list[str], kind: str) -> str:
    text = escape("".join(words))
    return f"<mark>{text}</mark>" if kind != "equal" and text else text


def _told(a: Figure, b: Figure, apart: Figure) -> tuple[str, str, str, str]:
    interval = f"{apart.value:+.3g} ({apart.low:+.3g} to {apart.high:+.3g})"
    return spelled(a.name), f"{a.value:.4g}", f"{b.value:.4g}", interval
