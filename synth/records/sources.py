"""Pictures that people bring: decoded safely, made to fit, and kept in the study by the digest of their pixels."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from synth.errors import InputError, StudyError
from synth.jobs import Job, Settings
from synth.records.files import made_folder, write_atomically
from synth.records.pictures import DAMAGE, pixel_digest

FOLDER = "sources"
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
LONGEST_SIDE = 20_000  # pixels; Pillow's MAX_IMAGE_PIXELS bounds the whole picture

Given = Image.Image | Path | str


def drawn_over(source: Given | None, mask: Given | None, settings: Settings) -> dict[str, Image.Image]:
    """Source and mask in the size of the settings, by the digests of their pixels, in this order.

    Nothing without a source. InputError as from `read_source` and `read_mask`.
    """
    if source is None:
        if mask is not None:
            raise InputError("mask", str(mask), "give the source picture too")
        return {}
    opened = open_picture(source, "source")
    pictures = [read_source(opened, settings.width, settings.height)]
    if mask is not None:
        pictures.append(read_mask(mask, settings.width, settings.height, like=opened))
    return {pixel_digest(picture): picture for picture in pictures}


def read_source(picture: Given, width: int, height: int, field: str = "source") -> Image.Image:
    """A picture in RGB, upright, cut about its middle to a size.

    InputError, which names the field, for a file that is missing, no picture, damaged, or larger than is safe.
    """
    return ImageOps.fit(open_picture(picture, field), (width, height), Image.Resampling.LANCZOS)


def read_mask(picture: Given, width: int, height: int, like: Image.Image) -> Image.Image:
    """A mask (L, 0 or 255) for a picture of the size of `like`, cut as that is: white where it is to be drawn anew.

    InputError where its size is another than that of `like`, or where it is black all over.
    """
    mask = open_picture(picture, "mask")
    if mask.size != like.size:
        sizes = [f"{image.width} x {image.height}" for image in (mask, like)]
        raise InputError("mask", sizes[0], f"give a mask of the source's size, {sizes[1]} pixels")
    fitted = ImageOps.fit(mask.convert("L"), (width, height), Image.Resampling.NEAREST)
    black_or_white = fitted.point(lambda level: 255 if level >= 128 else 0)
    if not black_or_white.getbbox():
        raise InputError("mask", str(picture), "make white what is to be drawn anew; it is black all over")
    return black_or_white


def open_picture(picture: Given, field: str) -> Image.Image:
    """A picture decoded whole and `upright`, whatever its file holds; InputError with the reason otherwise."""
    try:
        if isinstance(picture, Image.Image):
            return upright(picture)
        with Image.open(io.BytesIO(Path(picture).read_bytes()), formats=FORMATS) as opened:
            if too_large(opened):
                remedy = f"it has {opened.width:,} x {opened.height:,} pixels; make it smaller"
                raise InputError(field, str(picture), remedy)
            return upright(opened)
    except InputError:
        raise
    except Image.DecompressionBombError:  # Pillow's, which it raises before the size can be asked for
        raise InputError(field, str(picture), "it has too many pixels to be safe; make it smaller") from None
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or f"none of {', '.join(FORMATS)}, or damaged"
        raise InputError(field, str(picture), f"give a picture that can be read ({reason})") from None


def too_large(picture: Image.Image) -> bool:
    """Whether a picture, of which no more than the header was read, has more pixels than is safe to decode."""
    most = Image.MAX_IMAGE_PIXELS or float("inf")
    return max(picture.size) > LONGEST_SIDE or picture.width * picture.height > most


def upright(picture: Image.Image) -> Image.Image:
    """A picture in RGB, its first frame if it moves, turned as its EXIF says, on white where it lets through.

    ValueError where its pixels are floating-point numbers.
    """
    turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I"):
        return _from_16_bits(turned)
    if turned.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if not turned.has_transparency_data:
        return turned.convert("RGB")
    clear = turned.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _from_16_bits(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits in 8, which Pillow's own conversion would cut off at white instead."""
    values = np.asarray(picture).astype(np.int64)
    if picture.mode != "I" or values.max() > 255:
        values >>= 8
    return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")


def keep(folder: Path, pictures: Mapping[str, Image.Image]) -> None:
    """Write pictures, each whole or not at all, to <folder>/sources/<first 16 digits of the digest>.png."""
    for digest, picture in pictures.items():
        path = source_path(folder, digest)
        if not path.is_file():
            made_folder(path.parent)
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            write_atomically(path, buffer.getvalue())


def kept(folder: Path, job: Job) -> dict[str, Image.Image]:
    """What a job of a study's folder is drawn over, by digest; StudyError where it is missing or was changed."""
    found = {}
    for digest in filter(None, (job.source, job.mask)):
        path = source_path(folder, digest)
        try:
            with Image.open(path, formats=["PNG"]) as picture:
                picture.load()
        except DAMAGE as error:
            raise StudyError(f"{path}, which the picture was drawn over, cannot be read ({error})") from None
        if pixel_digest(picture) != digest:
            raise StudyError(f"{path} has other pixels than those that the picture was drawn over")
        found[digest] = picture
    return found


def source_path(folder: Path, digest: str) -> Path:
    """Where a study keeps what its pictures are drawn over."""
    return folder / FOLDER / f"{digest[:16]}.png"
