"""What is done to all of a finished picture: a model enlarges it, or its pixels are processed; it can be replayed."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from synth.edit.provenance import Edited, Step, read
from synth.edit.tiles import count
from synth.errors import InputError
from synth.jobs import ModelRef
from synth.models import hub
from synth.postprocessing import postprocess
from synth.presets import HUB_ID, INDICES, PRESETS, resolve
from synth.records.sources import LONGEST_SIDE
from synth.studies import check_root

BUNDLED = "vignettes-upscaler"
FOLDER = "edited"
SCALES = (2, 4)


def upscale(
    picture: Edited | Path | str,
    scale: int = 2,
    model: str = BUNDLED,
    *,
    device: str = "auto",
    progress: bool = False,
) -> Edited:
    """A picture at 2 or 4 times its size; a model that enlarges twice is applied twice for 4.

    model: a preset, hub id or folder of a Swin2SR or of Stable Diffusion's upscaler. Large pictures are enlarged in
    tiles. InputError for what is no picture, another scale, or a result too large to be read again; ModelError for what
    is no upscaler. Nothing is loaded before all that is checked.
    """
    return _done(picture, upscaling(scale, model), device, progress)


def upscaling(scale: int = 2, model: str = BUNDLED) -> Step:
    """The step that enlarges; errors as from `upscale`."""
    if not isinstance(scale, int) or scale not in SCALES:
        raise InputError("scale", scale, "use 2 or 4")
    step = Step(model=resolve(model, "upscaler"), scale=scale)
    _passes(step)
    return step


def retouch(picture: Edited | Path | str, steps: str) -> Edited:
    """A picture after the steps on its pixels that a text names, such as "sharpen=0.5" (synth.postprocessing)."""
    return _done(picture, retouching(steps), "cpu", False)


def retouching(steps: str) -> Step:
    """The step that processes pixels; InputError where it would do nothing."""
    step = Step(postprocess=steps)
    if not step.postprocess:
        raise InputError("postprocess", steps, "give at least one step, such as sharpen=0.5")
    return step


def finish_files(
    pictures: Sequence[Path],
    step: Step,
    out: Path | None = None,
    *,
    device: str = "auto",
    progress: bool = True,
) -> list[Path]:
    """Write pictures after a step as <out>/<name>-x2.png or <name>-retouched.png; the paths.

    out: by default the folder `edited` beside each picture. All is checked before anything is computed: InputError for
    what is no picture, for two of one name, and where another picture has the place. What is there already stays.
    """
    ending = f"x{step.scale}" if step.model else "retouched"
    targets = [(out or path.parent / FOLDER) / f"{path.stem}-{ending}.png" for path in pictures]
    for target, times in Counter(targets).items():
        if times > 1:
            raise InputError("pictures", target.name, "give pictures of different names, or one folder at a time")
    missing = [pair for pair in zip(pictures, targets, strict=True) if not _is_there(*pair, step)]
    for folder in dict.fromkeys(target.parent for target in targets):
        check_root(folder)
    for path, target in missing:
        _done(path, step, device, progress).save(target)
    return targets


@dataclass(frozen=True)
class Replay:
    """What became of an edit that was done again. max_difference: of any channel, in levels of 0 to 255."""

    path: Path
    equal: bool
    max_difference: int

    def __str__(self) -> str:
        return f"{self.path}: {'equal' if self.equal else f'differs by up to {self.max_difference} of 255'}"


def replay(
    path: Path | str, source: Path | str, *, device: str = "auto", yes: bool = False, progress: bool = False
) -> Replay:
    """Do to its source what an edited picture says was done, and compare the pixels.

    yes: agree to fetch models from the hub that are neither presets nor on this machine: a picture may name any.
    InputError where the picture carries no steps, the source is another, or nobody agreed; ModelError where a model has
    changed.
    """
    edited, picture = read(path), read(source, "source")
    if not edited.steps:
        raise InputError("picture", str(path), "give one that `synth edit` wrote and nobody has changed since")
    if picture.source != edited.source or picture.steps != edited.steps[: len(picture.steps)]:
        raise InputError("source", str(source), f"give the picture whose pixels' SHA-256 is {edited.source}")
    steps = edited.steps[len(picture.steps) :]
    for step in steps:
        if step.model and not yes and _would_be_fetched(step.model):
            remedy = "the picture names it and it would be fetched from the hub: agree with --yes (yes=True)"
            raise InputError("model", step.model.name, remedy)
    for step in steps:
        picture = _done(picture, step, device, progress)
    then, now = (np.asarray(side.image, np.int16) for side in (edited, picture))
    difference = int(np.abs(then - now).max()) if then.shape == now.shape else 255
    return Replay(Path(path), difference == 0, difference)


def _would_be_fetched(model: ModelRef) -> bool:
    """Whether a model is the hub's, no preset, and not on this machine yet."""
    here = os.path.exists(model.name)  # noqa: PTH110 - Path's raises over names that are too long
    if here or model.name in PRESETS or not HUB_ID.fullmatch(model.name):
        return False
    return not any(hub.cached(model.name, model.revision, index) for index in INDICES)


def _done(picture: Edited | Path | str, step: Step, device: str, progress: bool) -> Edited:
    picture = picture if isinstance(picture, Edited) else read(picture)
    if step.model is None:
        return picture.after(postprocess(picture.image, step.postprocess), step)
    passes = _passes(step)
    _check_size(picture.image, step)
    return picture.after(*_enlarged(picture.image, step, passes, device, progress))


def _enlarged(image: Image.Image, step: Step, passes: int, device: str, progress: bool) -> tuple[Image.Image, Step]:
    from synth.edit.upscalers import load_upscaler  # here, because torch takes seconds
    from synth.models.devices import choose_device

    device = choose_device(device)
    upscaler = load_upscaler(step.model, device)
    sizes = [(image.height * upscaler.scale**done, image.width * upscaler.scale**done) for done in range(passes)]
    pixels = np.asarray(image)
    total = sum(count(*size) for size in sizes)
    with tqdm(total=total, desc="enlarging", unit=" tiles", disable=not progress) as bar:
        for _ in range(passes):
            pixels = upscaler(pixels, bar.update)
    facts = {"device": device, "dtype": upscaler.dtype}
    return Image.fromarray(pixels), Step(model=step.model, scale=step.scale, facts=facts)


def _passes(step: Step) -> int:
    """How often the step's model is applied. InputError where it doesn't enlarge as asked."""
    from synth.edit.upscalers import check_upscaler

    _, native = check_upscaler(step.model)
    if step.scale < native:
        raise InputError("scale", step.scale, f"use {native}: {step.model.name} enlarges {native} times")
    return 1 if step.scale == native else 2


def _check_size(image: Image.Image, step: Step) -> None:
    """InputError for a result that Synth itself wouldn't open again."""
    width, height = image.width * step.scale, image.height * step.scale
    if width * height > Image.MAX_IMAGE_PIXELS or max(width, height) > LONGEST_SIDE:
        remedy = f"give a smaller one, or a smaller scale: {width:,} x {height:,} pixels are too many"
        raise InputError("picture", f"{image.width} x {image.height}", remedy)


def _is_there(path: Path, target: Path, step: Step) -> bool:
    """Whether the result is at its place. InputError where anything else is, and where it cannot be made."""
    picture = read(path)
    _check_size(picture.image, step)
    if not target.exists():
        return False
    found = read(target, "out")
    if (found.source, found.steps) != (picture.source, (*picture.steps, step)):
        raise InputError("out", str(target), "another picture is there: choose another folder")
    return True
