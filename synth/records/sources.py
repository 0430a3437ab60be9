"""Pictures that people bring: decoded safely, made to fit, and kept in the study by the digest of their pixels."""

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageOps

from synth.errors import InputError, StudyError
from synth.jobs import Job, Settings
from synth.records.files import write_atomically
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
    """A picture in RGB, turned as its EXIF says, on white where it lets through, cut about its middle to a size.

    InputError, which names the field, for a file that is missing, no picture, damaged, or larger than is safe.
    """
    return ImageOps.fit(upright(open_picture(picture, field)), (width, height), Image.Resampling.LANCZOS)


def read_mask(picture: Given, width: int, height: int, like: Image.Image) -> Image.Image:
    """A mask (L, 0 or 255) for a picture of the size of `like`, cut as that is: white where it is to be drawn anew.

    InputError where its size is another than that of `like`, or where it is black all over.
    """
    mask = open_picture(picture, "mask")
    if mask.size != like.size:
        sizes = [f"{image.width} x {image.height}" for image in (mask, like)]
        raise InputError("mask", sizes[0], f"give a mask of the source's size, {sizes[1]} pixels")
    fitted = ImageOps.fit(upright(mask).convert("L"), (width, height), Image.Resampling.NEAREST)
    black_or_white = fitted.point(lambda level: 255 if level >= 128 else 0)
    if not black_or_white.getbbox():
        raise InputError("mask", str(picture), "make white what is to be drawn anew; it is black all over")
    return black_or_white


def open_picture(picture: Given, field: str) -> Image.Image:
    """A picture decoded whole, whatever its file holds; InputError with the reason otherwise."""
    if isinstance(picture, Image.Image):
        return picture
    try:
        with Image.open(io.BytesIO(Path(picture).read_bytes()), formats=FORMATS) as opened:
            most = Image.MAX_IMAGE_PIXELS or float("inf")
            if max(opened.size) > LONGEST_SIDE or opened.width * opened.height > most:
                size = f"{opened.width:,} x {opened.height:,} pixels"
                raise InputError(field, str(picture), f"it has {size}; make it smaller")
            opened.load()
            return ImageOps.exif_transpose(opened)
    except InputError:
        raise
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or f"none of {', '.join(FORMATS)}, or damaged"
        raise InputError(field, str(picture), f"give a picture that can be read ({reason})") from None


def upright(picture: Image.Image) -> Image.Image:
    """A picture in RGB, on white where it lets through."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    clear = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def keep(folder: Path, pictures: Mapping[str, Image.Image]) -> None:
    """Write pictures, each whole or not at all, to <folder>/sources/<first 16 digits of the digest>.png."""
    for digest, picture in pictures.items():
        path = source_path(folder, digest)
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
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
