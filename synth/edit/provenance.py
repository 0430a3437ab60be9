"""Edited pictures as PNG files that tell what was done to what: whoever has the source can do it again.

The text chunk `synth_edit` holds, as JSON, the digest of the source's pixels, the steps in their order, the job that
rendered the source where Synth did, and the digest of the pixels as they were saved. A picture that is edited again
keeps its source and adds steps.
"""

import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from PIL import Image, PngImagePlugin

from synth import __version__
from synth.errors import InputError, StudyError
from synth.jobs import Job, ModelRef, canonical_json, check_text
from synth.postprocessing import check_postprocess
from synth.records.files import write_atomically
from synth.records.pictures import COMPRESS_LEVEL, infotext, pixel_digest, read_picture
from synth.records.sources import open_picture

CHUNK = "synth_edit"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that was done to all of a picture: it was enlarged by a model, or its pixels were processed.

    scale: 2 or 4 with a model, 1 without. postprocess: as `synth.postprocessing` writes it, or empty.
    facts: what else could matter to the last bit, such as the device; not compared.
    InputError for any other value, as a picture from elsewhere may carry anything.
    """

    model: ModelRef | None = None
    scale: int = 1
    postprocess: str = ""
    facts: dict[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "postprocess", check_postprocess(self.postprocess))
        scales = (2, 4) if self.model else (1,)
        if type(self.scale) is not int or self.scale not in scales:
            raise InputError("scale", self.scale, f"use {' or '.join(map(str, scales))}")
        if self.model:
            check_text("model", self.model.name)
            for pin in (self.model.revision, self.model.digest):
                check_text("model", pin or "", empty=True)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The step that `asdict` described."""
        model = None if data["model"] is None else ModelRef(**data["model"] | {"loras": ()})
        return cls(**data | {"model": model})

    def __str__(self) -> str:
        return f"enlarged {self.scale} times by {self.model.name}" if self.model else self.postprocess


@dataclass(frozen=True)
class Edited:
    """A picture (RGB) and where it comes from.

    source: SHA-256 of the pixels that the first step was done to. steps: none for a picture as it was brought.
    job: what rendered the source, where Synth did. recorded: the digest of the pixels that were saved.
    """

    image: Image.Image
    source: str
    steps: tuple[Step, ...] = ()
    job: Job | None = None
    recorded: str = ""

    def after(self, image: Image.Image, step: Step) -> "Edited":
        """The picture that a step made of this one."""
        return Edited(image, self.source, (*self.steps, step), self.job, pixel_digest(image))

    def save(self, path: Path) -> None:
        """Write it as a PNG, whole or not at all; StudyError, as for a full disk."""
        facts = {
            "source": self.source, "steps": [asdict(step) for step in self.steps], "synth": __version__,
            "job": self.job and self.job.as_dict(), "pixels_sha256": pixel_digest(self.image),
        }  # fmt: skip
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text(CHUNK, canonical_json(facts))
        if self.job:
            chunks.add_text("parameters", infotext(self.job))
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG", pnginfo=chunks, compress_level=COMPRESS_LEVEL)
        write_atomically(path, buffer.getvalue())


def read(path: Path | str, field: str = "picture") -> Edited:
    """Any picture, decoded safely: one that was edited here, one that Synth rendered, or anyone's.

    What a picture says of itself counts only while its pixels are those that it was saved with. InputError for what is
    no picture, StudyError where what it says of itself is damaged.
    """
    image = open_picture(path, field)
    said = image.info
    digest = pixel_digest(image)
    if CHUNK in said:
        edited = _parse(path, image, said[CHUNK])
        if edited.recorded == digest:
            return edited
    elif "synth" in said:
        rendered = read_picture(path)
        if rendered.recorded_digest == digest:
            return Edited(image, digest, (), rendered.job, digest)
    return Edited(image, digest, recorded=digest)


def _parse(path: Path | str, image: Image.Image, chunk: str) -> Edited:
    try:
        data = json.loads(chunk)
        steps = tuple(Step.from_dict(step) for step in data["steps"])
        job = data["job"] and Job.from_dict(data["job"])
        return Edited(image, str(data["source"]), steps, job, str(data["pixels_sha256"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StudyError(f"{path} carries steps that are not whole ({error}); use another copy of it") from None
