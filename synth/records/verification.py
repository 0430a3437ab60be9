"""Render a picture again from nothing but its file, and say whether it came out the same."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synth import presets
from synth.errors import InputError, RenderError, StudyError
from synth.jobs import Job, ModelRef, Result, check_whole
from synth.records.pictures import Picture, read_picture
from synth.records.rows import versions
from synth.records.sources import kept

HOW = {"device", "dtype", "batch_size", "strict"}  # facts without which nothing can be rendered the same way


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What became of a picture that was rendered again.

    equal: every pixel is the same. max_difference, mean_difference: over all channels, in levels of 0 to 255.
    modified: the file's pixels are not those that were saved with its job.
    differences: what is otherwise here than when it was made: name -> (then, now).
    base: the model that the picture's own, a training's checkpoint, was laid over; empty for any other model.
    image: the picture as rendered now.
    """

    path: Path
    equal: bool
    max_difference: int
    mean_difference: float
    modified: bool
    differences: dict[str, tuple[str, str]]
    image: Image.Image
    base: str = ""

    def __str__(self) -> str:
        levels = f"differs by up to {self.max_difference} of 255, {self.mean_difference:.3f} on average"
        parts = ["equal" if self.equal else levels]
        parts += ["its pixels were changed after it was saved"] if self.modified else []
        parts += [f"its model is a training's checkpoint, over {self.base}"] if self.base else []
        parts += [f"{name} was {then or 'unknown'}, is {now}" for name, (then, now) in self.differences.items()]
        return f"{self.path}: {'; '.join(parts)}"


def verify(path: str | Path, *, device: str = "auto") -> Verification:
    """Read a PNG that Synth saved, from anywhere, render its job again and compare the pixels.

    Arithmetic differs with the shape of a batch, so the picture is rendered in a batch as large as its own was, with
    the dtype and, where this machine has it, the device of then. Raises StudyError for a file that is damaged or not
    Synth's, ModelError where its model is not to be had, RenderError where rendering fails. A model of the hub that is
    not on this machine is downloaded, at the commit that the picture names. What a picture was drawn over is looked for
    in its study's folder, in sources/.
    """
    picture = read_picture(path)
    if missing := HOW - picture.facts.keys():
        raise StudyError(
            f"{path} does not tell its {', '.join(sorted(missing))}; give a PNG that a study of Synth saved"
        )
    model = _model_here(picture.job.model)
    pictures = kept(Path(path).absolute().parent.parent, picture.job)
    result = _render_again(replace(picture.job, model=model), picture.facts, device, pictures)
    if picture.image.size != result.image.size:
        sizes = [f"{image.width} x {image.height}" for image in (picture.image, result.image)]
        raise StudyError(f"{path} was resized after it was saved (it has {sizes[0]} pixels, its job makes {sizes[1]})")
    then, now = _levels(picture.image), _levels(result.image)
    base = presets.base_of(Path(model.name))
    difference = np.abs(then - now)
    return Verification(
        path=Path(path),
        equal=not difference.any(),
        max_difference=int(difference.max()),
        mean_difference=float(difference.mean()),
        modified=picture.digest != picture.recorded_digest,
        differences=dict(_differences(picture, model, result)),
        image=result.image,
        base=base.name if base else "",
    )


def _model_here(model: ModelRef) -> ModelRef:
    """The model of that name as it is on this machine; a hub model stays at its commit."""
    if model.digest is None:
        return model
    return presets.resolve(model.name, "renderer", loras=model.loras)


def _render_again(job: Job, facts: dict[str, Any], device: str, pictures: dict[str, Image.Image]) -> Result:
    from synth.models.devices import (
        choose_device,  # here, because torch takes seconds and a foreign file should fail at once
    )
    from synth.rendering import render

    if device == "auto":
        try:
            device = choose_device(str(facts["device"]))
        except InputError:
            device = choose_device()
    dtype = facts["dtype"] if device == facts["device"] else "auto"
    size, strict = check_whole("batch_size", facts["batch_size"], 1, 256), facts["strict"]
    how = {"device": device, "dtype": dtype, "batch_size": size, "strict": strict}
    with closing(render([job] * size, pictures=pictures, **how)) as results:
        result = next(results)
    if result.image is None:
        raise RenderError(f"the picture could not be rendered again: {result.error}")
    return result


def _differences(picture: Picture, model: ModelRef, result: Result) -> Iterator[tuple[str, tuple[str, str]]]:
    facts = picture.facts
    pairs = {name: (facts.get(name), now) for name, now in versions().items()}
    pairs |= {name: (facts.get(name), getattr(result, name)) for name in ("device", "dtype", "batch_size")}
    pairs["weights"] = picture.job.model.digest, model.digest
    for name, (then, now) in pairs.items():
        if then != now:
            yield name, (str(then), str(now))


def _levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), dtype=np.int16)  # (height, width, 3)
