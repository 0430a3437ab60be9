"""Pictures that clients send to be drawn over: decoded safely, and kept as PNG by the digest of their pixels."""

import io
from pathlib import Path

from PIL import Image

from synth.errors import InputError
from synth.records.files import made_folder, write_atomically
from synth.records.pictures import DAMAGE, pixel_digest
from synth.records.sources import FORMATS, open_picture, too_large
from synth.serve.limits import Limits

FOLDER = "uploads"


def receive(data: bytes, folder: Path, limits: Limits) -> str:
    """Keep a picture in a client's folder; returns the SHA-256 of its pixels, by which requests name it.

    InputError for what is no picture, or has more pixels than is safe; of those the header alone was read. The oldest
    uploads of a client make room for new ones.
    """
    picture = _decoded(data, limits.upload_pixels)
    digest, buffer = pixel_digest(picture), io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    write_atomically(made_folder(made_folder(folder) / FOLDER) / f"{digest}.png", buffer.getvalue())
    for path in _by_age(folder)[limits.uploads :]:
        path.unlink(missing_ok=True)
    return digest


def find(digest: str | None, folder: Path, field: str) -> Path | None:
    """Where an upload lies; None without a digest, InputError for one that this client did not upload."""
    if not digest:
        return None
    kept = {path.stem: path for path in _by_age(folder)}
    if digest not in kept:
        raise InputError(field, digest, "upload the picture first, and give the digest that is answered")
    return kept[digest]


def _by_age(folder: Path) -> list[Path]:
    """A client's uploads, the latest first."""
    return sorted((folder / FOLDER).glob("*.png"), key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _decoded(data: bytes, most_pixels: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if too_large(opened) or opened.width * opened.height > most_pixels:
                size = f"{opened.width:,} x {opened.height:,} pixels"
                raise InputError("picture", size, f"make it smaller: at most {most_pixels:,} in all")
            return open_picture(opened, "picture")
    except DAMAGE as error:
        if isinstance(error, InputError):
            raise
        reason = f"none of {', '.join(FORMATS)}, or damaged"
        raise InputError("picture", f"{len(data):,} bytes", f"send a picture that can be read ({reason})") from None
