"""What a page holds within itself, so that it opens offline: pictures, and the script that its policy names."""

import base64
import hashlib
import io
from typing import Any

from PIL import Image


def embedded(picture: Image.Image, kind: str = "PNG", longest: int | None = None, **options: Any) -> str:
    """A picture's pixels, without its metadata, as a data URI.

    longest: most pixels of a side, None for all; options: for Pillow's writer of that kind.
    """
    small = picture.copy() if kind == "PNG" else picture.convert("RGB")
    small.info.clear()
    if longest:
        small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def digest_of(script: str) -> str:
    """A script's digest as a page's Content-Security-Policy has it, after `sha256-`."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
