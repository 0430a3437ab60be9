"""What a UNet in training can draw: the same captions from the same noise, again and again."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image

from synth.models.families import DiffusionPipeline
from synth.train.data.prepared import PreparedSet
from synth.train.params import Evaluate

SHOWN = 6


def shown_captions(data: PreparedSet) -> list[str]:
    """The first caption of each of a few validation pictures, which are the same whenever they are asked for."""
    places = data.indices("validation")[:SHOWN]
    return [data.records[place].captions[0] for place in places]


def drawing(
    pipeline: DiffusionPipeline, data: PreparedSet, how: Evaluate
) -> Callable[[], tuple[Image.Image | None, dict[str, float]]]:
    """A function that draws the shown captions, side by side."""
    captions, size = shown_captions(data), data.params.size

    def draw() -> tuple[Image.Image, dict[str, float]]:
        pictures = draw_captions(pipeline, captions, how, size=size)
        return Image.fromarray(np.concatenate([np.asarray(picture) for picture in pictures], axis=1)), {}

    return draw


@torch.no_grad()
def draw_captions(
    pipeline: DiffusionPipeline, captions: Sequence[str], how: Evaluate, *, size: int, batch_size: int = 16
) -> list[Image.Image]:
    """A picture for each caption, picture i from noise how.seed + i, drawn by the pipeline's own code."""
    pipeline.set_progress_bar_config(disable=True)
    pictures: list[Image.Image] = []
    for start in range(0, len(captions), batch_size):
        part = list(captions[start : start + batch_size])
        noises = [torch.Generator().manual_seed(how.seed + start + place) for place in range(len(part))]
        pictures += pipeline(
            part, num_inference_steps=how.steps, guidance_scale=how.guidance_scale, generator=noises,
            height=size, width=size,
        ).images  # fmt: skip
    return pictures
