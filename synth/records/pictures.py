"""PNG files that carry their row: whoever finds the picture can read how it was made, and make it again.

Two text chunks: `synth`, JSON with the job, the facts of its making and the SHA-256 of the pixels; and `parameters`,
the AUTOMATIC1111 infotext that the tools of the community read.
"""

import hashlib
import io
import json
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from synth import __version__
from synth.errors import StudyError
from synth.jobs import Job, canonical_json
from synth.records.files import write_atomically

COMPRESS_LEVEL = 4  # measured on 768 px: a quarter of level 6's time for 1% more bytes

SAMPLERS = {
    "ddim": "DDIM", "ddpm": "DDPM", "pndm": "PLMS", "lms": "LMS", "heun": "Heun", "euler": "Euler", "lcm": "LCM",
    "euler-a": "Euler a", "dpm2": "DPM2", "dpm2-a": "DPM2 a", "dpm++2m": "DPM++ 2M", "tcd": "TCD", "deis": "DEIS",
    "dpm++2m-karras": "DPM++ 2M Karras", "dpm++2m-sde": "DPM++ 2M SDE", "dpm++2m-sde-karras": "DPM++ 2M SDE Karras",
    "dpm++sde": "DPM++ SDE", "unipc": "UniPC", "native": "Automatic",
}  # fmt: skip

END = b"IEND\xaeB`\x82"

# What Pillow raises over damaged files, and over a few bytes that claim to be a picture of gigabytes.
DAMAGE = (
    OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A picture read back: the image, its job, the facts of its making, and the pixel digest it was saved with."""

    image: Image.Image
    job: Job
    facts: dict[str, Any]
    recorded_digest: str

    @property
    def digest(self) -> str:
        """`pixel_digest` of the pixels as they are now."""
        return pixel_digest(self.image)


def pixel_digest(image: Image.Image) -> str:
    """SHA-256 over mode, size and raw pixels, in 64 hexadecimal digits; metadata and compression don't matter."""
    header = f"{image.mode} {image.width}x{image.height}\n".encode()
    return hashlib.sha256(header + image.tobytes()).hexdigest()


def save_picture(image: Image.Image, path: Path, job: Job, extra: dict[str, Any]) -> str:
    """Write `image` as a PNG that carries `job` and `extra` (plain values); returns its `pixel_digest`.

    The file appears whole or not at all. Raises StudyError, as for a full disk.
    """
    digest = pixel_digest(image)
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("synth", canonical_json({"job": job.as_dict(), "facts": extra, "pixels_sha256": digest}))
    chunks.add_text("parameters", infotext(job))  # Pillow writes Latin-1 as tEXt and everything else as UTF-8 iTXt
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=chunks, compress_level=COMPRESS_LEVEL)
    write_atomically(path, buffer.getvalue())
    return digest


def read_picture(path: str | Path) -> Picture:
    """The picture in a PNG that Synth saved, wherever it lies now; a StudyError if it is damaged or foreign."""
    try:
        data = Path(path).read_bytes()
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            image.load()
        if END not in data:
            raise ValueError("its end is missing")
        chunk = image.info.get("synth")
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist; give the path of a PNG that Synth saved") from None
    except DAMAGE as error:
        remedy = "use another copy, or delete it and run its study again"
        reason = "it doesn't begin like one" if isinstance(error, UnidentifiedImageError) else error
        raise StudyError(f"{path} is no whole PNG ({getattr(error, 'strerror', None) or reason}); {remedy}") from None
    if chunk is None:
        raise StudyError(f"{path} carries no Synth job; give a PNG that Synth saved and no other program has rewritten")
    return _parse(path, image, chunk)


def is_whole(path: Path) -> bool:
    """Whether a PNG is there to its last byte; cheap, as its pixels are not looked at."""
    try:
        with path.open("rb") as file:
            file.seek(-len(END), io.SEEK_END)
            return file.read() == END
    except OSError:
        return False


def is_intact(path: Path) -> bool:
    """Whether a PNG is as it was written, by the checksums that PNG files carry; reads all of it, decodes nothing."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.verify()
    except DAMAGE:
        return False
    return is_whole(path)


def read_job(path: str | Path) -> Job:
    """The job that a PNG carries; raises as `read_picture` does."""
    return read_picture(path).job


def _parse(path: str | Path, image: Image.Image, chunk: str) -> Picture:
    try:
        data = json.loads(chunk)
        job, facts, digest = Job.from_dict(data["job"]), dict(data["facts"]), str(data["pixels_sha256"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StudyError(f"{path} carries a job that is not whole ({error}); use another copy of it") from None
    return Picture(image.copy(), job, facts, digest)


def infotext(job: Job) -> str:
    """The job as AUTOMATIC1111 writes it: prompt, negative prompt, and a last line of settings.

    The format has no escape for its own marker, so a prompt's "Negative prompt:" gets a space before the colon here.
    """
    settings, lines = job.settings, [_plain(job.prompt)]
    if settings.negative_prompt.strip():
        lines.append(f"Negative prompt: {_plain(settings.negative_prompt)}")
    fields = {
        "Steps": settings.steps,
        "Sampler": SAMPLERS[settings.scheduler],
        "CFG scale": f"{settings.guidance_scale:g}",
        "Seed": job.seed,
        "Size": f"{settings.width}x{settings.height}",
        "Model hash": (job.model.digest or job.model.revision or "").removeprefix("sha256:")[:10],
        "Model": "".join("_" if mark in ",:\n" else mark for mark in job.model.name),
        "CFG Rescale": f"{settings.guidance_rescale:g}" if settings.guidance_rescale else "",
        "Eta": f"{settings.eta:g}" if settings.eta else "",
        "Version": f"Synth {__version__}",
    }
    lines.append(", ".join(f"{name}: {value}" for name, value in fields.items() if value != ""))
    return "\n".join(lines)


def _plain(text: str) -> str:
    return text.strip().replace("Negative prompt:", "Negative prompt :")
