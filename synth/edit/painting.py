"""Draw over a picture that is there: image-to-image and inpainting, as a study like any other.

Image-to-image begins with the noised picture instead of noise (Meng et al. 2022, "SDEdit"); with a mask, only what is
white in it is drawn anew.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth import presets
from synth.edit.figures import before_after
from synth.jobs import Settings
from synth.records.files import write_atomically
from synth.records.sources import Given, open_picture
from synth.studies import Study, study

LONGEST = 4.0  # times the shorter side


def paint(
    picture: Given,
    prompts: Sequence[str],
    *,
    mask: Given | None = None,
    settings: Settings | None = None,
    fit: bool | None = None,
    model: str = "vignettes",
    **how: Any,
) -> Study:
    """A study of pictures drawn over `picture` as each prompt says, and its before-after.png.

    mask: of the picture's size, white where it is drawn anew. settings: `strength` says how much; by default as the
    model is advised. fit: draw in the picture's proportions (`fitting`); by default where no settings are given.
    how: what else `synth.study` takes, such as seeds.
    Errors as from `synth.study`.
    """
    opened = open_picture(picture, "source")
    fit = settings is None if fit is None else fit
    settings = settings or presets.advised(model)
    settings = fitting(settings, opened.size) if fit else settings
    painted = study(prompts=prompts, source=opened, mask=mask, settings=settings, model=model, **how)
    write_atomically(before_after_path(painted), before_after(painted).png())
    return painted


def before_after_path(painted: Study) -> Path:
    """Where `paint` leaves its figure."""
    return painted.folder / "before-after.png"


def fitting(settings: Settings, size: tuple[int, int]) -> Settings:
    """Settings with about as many pixels as they have, in the proportions of a picture (width, height).

    Sides are multiples of 8, from 64 up; of proportions beyond 1:4 the middle is used.

    >>> fitting(Settings(width=768, height=768), (3000, 2000)).width
    944
    """
    ratio = min(max(size[0] / size[1], 1 / LONGEST), LONGEST)
    pixels = settings.width * settings.height
    width, height = (max(64, round(math.sqrt(pixels * share) / 8) * 8) for share in (ratio, 1 / ratio))
    return settings.but(width=width, height=height)
