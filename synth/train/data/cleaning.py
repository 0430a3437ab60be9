"""Pictures made ready: decoded safely, turned upright, put on white, resized and cropped; captions made plain."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from synth.jobs import MAX_TEXT
from synth.records.pictures import pixel_digest
from synth.records.sources import LONGEST_SIDE, too_large, upright
from synth.train.data.entries import FORMATS, Entry

# Controls that are no white space, lone surrogates, and marks that nobody sees but that turn or join text.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


class LeftOut(Exception):
    """Why a picture is left out: a word or two that name the kind of reason, then, after a colon, the details."""


@dataclass(frozen=True)
class Cleaned:
    """A picture made ready.

    pixels: uint8 (size, size, 3).
    digest: SHA-256 of them. content: SHA-256 of the whole upright picture before it was resized, so that it is the same
        whatever the size and crop.
    width, height: in pixels, before it was resized.
    """

    pixels: np.ndarray
    digest: str
    content: str
    width: int
    height: int


def clean(entry: Entry, *, size: int, crop: str, smallest: int) -> Cleaned | LeftOut:
    """The picture of an entry made ready, or why it is left out; nothing that a file can hold raises.

    size: pixels of a side. crop: "centre" or "pad", as in `fit`. smallest: pixels that the shorter side needs.
    """
    try:
        with entry.open() as opened:
            _check_size(opened)
            picture = upright(opened)
    except LeftOut as reason:
        return reason
    except Image.DecompressionBombError:
        return LeftOut(f"too large: more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels")
    except UnidentifiedImageError:
        return LeftOut(f"unreadable: damaged from its first bytes, or none of {', '.join(FORMATS)}")
    except Exception as error:  # Pillow raises nearly anything on a damaged file
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
        return LeftOut(f"damaged: {reason}")
    if min(picture.size) < smallest:
        return LeftOut(f"too small: {picture.width} x {picture.height} pixels, and {smallest} are the least")
    fitted = fit(picture, size, crop)
    return Cleaned(np.asarray(fitted), pixel_digest(fitted), pixel_digest(picture), picture.width, picture.height)


def fit(picture: Image.Image, size: int, crop: str) -> Image.Image:
    """An RGB picture as a square of `size` pixels, resized with Lanczos' filter.

    centre: the shorter side becomes `size`, and the middle is kept. pad: the longer side becomes `size`, and the rest
    is filled with the picture's mean colour.
    """
    if crop == "centre":
        return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
    mean = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    scale = size / max(picture.size)
    inner = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    square = Image.new("RGB", (size, size), mean)
    square.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return square


def plain(captions: Iterable[str]) -> tuple[str, ...]:
    """The captions normalised, each once, without empty ones."""
    return tuple(dict.fromkeys(filter(None, map(normalise, captions))))


def normalise(caption: str) -> str:
    """A caption in Unicode's composed form (NFC), without invisible characters, words one space apart.

    It is cut at a word to 2,000 characters, the longest prompt; no model reads half of that.
    """
    text = " ".join(unicodedata.normalize("NFC", INVISIBLE.sub("", caption)).split())
    return text if len(text) <= MAX_TEXT else (text[: MAX_TEXT + 1].rpartition(" ")[0] or text[:MAX_TEXT])


def _check_size(picture: Image.Image) -> None:
    if too_large(picture):
        limits = f"sides of {LONGEST_SIDE:,} and {Image.MAX_IMAGE_PIXELS or np.inf:,} in all are the most"
        raise LeftOut(f"too large: {picture.width:,} x {picture.height:,} pixels, and {limits}")
    if picture.mode == "F":
        raise LeftOut("unreadable: its pixels are floating-point numbers")
