"""Pictures from any text-to-image pipeline of diffusers, by its own `__call__`.

Synth adds what makes a picture its job's own: one CPU generator for each, and nothing else that is random.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from synth.diffusion.schedulers import make_scheduler
from synth.errors import ModelError
from synth.jobs import Job, Settings
from synth.models.families import DiffusionPipeline, guidance_name, parameters
from synth.models.quiet import quiet


def paint(pipeline: DiffusionPipeline, jobs: Sequence[Job], on_step: Callable[..., None] | None = None) -> torch.Tensor:
    """The pictures (B, 3, H, W) of jobs with equal settings, in float32 from 0 to 1, on the CPU; NaN stays NaN.

    on_step: see `synth.rendering.render`; latents have the form that the pipeline gives them, and pipelines that cannot
    be watched never call it. Raises ModelError if the pictures are not of the size that was asked for.
    """
    settings, known = jobs[0].settings, parameters(type(pipeline))
    generators = [torch.Generator().manual_seed(job.seed) for job in jobs]
    options = _options(pipeline, settings, len(jobs))
    if on_step is not None and "callback_on_step_end" in known:
        options["callback_on_step_end"] = _reporter(jobs, on_step)
    with quiet(), _scheduler(pipeline, settings.scheduler):
        pictures = pipeline(
            prompt=[job.prompt for job in jobs],
            generator=generators if len(jobs) > 1 else generators[0],  # a few pipelines know no lists
            num_inference_steps=settings.steps,
            height=settings.height,
            width=settings.width,
            output_type="np",
            **options,
        ).images
    pictures = torch.from_numpy(np.stack(pictures)).float().permute(0, 3, 1, 2)
    _check_size(pictures, settings)
    return pictures


def _options(pipeline: DiffusionPipeline, settings: Settings, count: int) -> dict[str, Any]:
    known, guidance = parameters(type(pipeline)), guidance_name(type(pipeline))
    wishes = {guidance: settings.guidance_scale, "guidance_rescale": settings.guidance_rescale, "eta": settings.eta}
    if settings.negative_prompt or guidance == "true_cfg_scale":  # which guides only away from some text
        wishes["negative_prompt"] = [settings.negative_prompt] * count
    return {name: value for name, value in wishes.items() if name in known}


def _reporter(jobs: Sequence[Job], on_step: Callable[..., None]) -> Callable[..., dict[str, Any]]:
    def report(pipeline: DiffusionPipeline, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        on_step(jobs, step + 1, pipeline.num_timesteps, tensors["latents"])
        return tensors

    return report


@contextmanager
def _scheduler(pipeline: DiffusionPipeline, name: str) -> Iterator[None]:
    """Exchange the pipeline's own scheduler for another inside the block."""
    if name == "native":
        yield
        return
    own = pipeline.scheduler
    pipeline.scheduler = make_scheduler(name, own.config)
    try:
        yield
    finally:
        pipeline.scheduler = own


def _check_size(pictures: torch.Tensor, settings: Settings) -> None:
    height, width = pictures.shape[-2:]
    if (width, height) != (settings.width, settings.height):
        asked = f"{settings.width} x {settings.height}"
        raise ModelError(f"the model makes {width} x {height} pixels of {asked}; choose a size in multiples of 32")
