"""How pictures form: what each step begins with, and the finished picture that the model expects there.

At timestep t, the noisy latents are x_t = sqrt(kept) x_0 + sqrt(1 - kept) noise, where `kept` (alpha-bar) is the share
of the variance that is the picture's. What the UNet predicts from x_t tells which x_0 it expects: `expected`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from synth.diffusion.courses import Course
from synth.diffusion.denoising import decode, denoise
from synth.diffusion.embedding import Embedder
from synth.diffusion.schedulers import make_scheduler
from synth.errors import InputError
from synth.jobs import Job, ModelRef
from synth.models.devices import choose_device, choose_dtype
from synth.models.families import StableDiffusion, check_settings, is_stable_diffusion, pipeline_class
from synth.models.loading import check_model, configs, load

TOGETHER = 8  # pictures that are decoded at a time
LEAST_KEPT = 2**-24  # where a schedule ends in nothing but noise; as in diffusers


@dataclass(frozen=True)
class Frame:
    """What a step begins with. latents, expected: (C, h, w) in float32 on the CPU, the latents in the form of x_t.

    timestep: of the noise schedule, as the UNet is told. kept: the picture's share of the variance, 0 to 1.
    """

    timestep: float
    kept: float
    latents: Tensor
    expected: Tensor


@dataclass(frozen=True)
class Film:
    """The making of a picture: a frame for each evaluation of the model, and the finished latents (C, h, w)."""

    job: Job
    frames: list[Frame]
    finished: Tensor

    def __len__(self) -> int:
        return len(self.frames)

    def chosen(self, count: int) -> list[int]:
        """The numbers, from 0, of at most `count` frames, evenly spread from the first to the last."""
        return sorted({round(place) for place in np.linspace(0, len(self) - 1, min(count, len(self)))})


class Studio:
    """Where one model's pictures are filmed. It is loaded when that is first needed.

    InputError for a model that does not show its steps: Stable Diffusion 1, 2 and XL do.
    """

    def __init__(self, model: ModelRef, *, device: str = "auto", dtype: str = "auto") -> None:
        self.model, self.device = model, choose_device(device)
        self.dtype = choose_dtype(dtype, self.device)
        self.configs = configs(check_model(model))
        kind = pipeline_class(self.configs)
        if not is_stable_diffusion(kind):
            remedy = f"use Stable Diffusion 1, 2 or XL: a {kind.__name__} does not show its steps"
            raise InputError("model", model.name, remedy)

    @property
    def pipeline(self) -> StableDiffusion:
        """The model, loaded."""
        return load(self.model, self.device, self.dtype)

    def film(self, jobs: Sequence[Job], pictures: Mapping[str, Image.Image] | None = None) -> list[Film]:
        """A film of each job, in their order; they may mix all settings but the size.

        pictures: by the SHA-256 of their pixels, what jobs are drawn over. InputError for settings that cannot be used.
        """
        for job in jobs:
            check_settings(self.configs, job.settings, over_picture=bool(job.source))
        distinct = list({job.key: job for job in jobs}.values())
        pipeline = self.pipeline
        recorder = _Recorder(kept_shares(pipeline.scheduler.config))
        latents = denoise(pipeline, Embedder(pipeline), distinct, pictures=pictures, on_predict=recorder).float().cpu()
        finished = dict(zip((job.key for job in distinct), latents, strict=True))
        return [Film(job, recorder.frames[job.key], finished[job.key]) for job in jobs]

    def develop(self, latents: Sequence[Tensor]) -> list[Image.Image]:
        """Latents, each (C, h, w) and of one size, as pictures."""
        pictures: list[Image.Image] = []
        for start in range(0, len(latents), TOGETHER):
            batch = torch.stack(list(latents[start : start + TOGETHER])).to(self.pipeline._execution_device)
            levels = (decode(self.pipeline, batch).nan_to_num() * 255).round().byte().permute(0, 2, 3, 1)
            pictures += [Image.fromarray(array) for array in levels.numpy()]
        return pictures


def expected(latents: Tensor, predicted: Tensor, kept: float, prediction_type: str) -> Tensor:
    """The x_0 that follows from a prediction at x_t; all tensors of one shape.

    epsilon, the noise: Ho et al. 2020 ("DDPM"), equation 15. v_prediction, sqrt(kept) noise - sqrt(1 - kept) x_0:
    Salimans & Ho 2022 ("Progressive distillation"), appendix D. sample: x_0 itself.
    """
    signal, noise = kept**0.5, (1 - kept) ** 0.5
    if prediction_type == "v_prediction":
        return signal * latents - noise * predicted
    if prediction_type == "epsilon":
        return (latents - noise * predicted) / signal
    return predicted


def kept_shares(config: Mapping[str, Any]) -> np.ndarray:
    """The picture's share of the variance (alpha-bar) at each timestep, (T,), by a model's scheduler config."""
    shares = make_scheduler("ddim", dict(config)).alphas_cumprod
    return np.asarray(shares, np.float64).clip(LEAST_KEPT)


def kept_at(shares: np.ndarray, timestep: float) -> float:
    """The same between two timesteps: the logarithm of the noise level is interpolated (Karras et al. 2022)."""
    levels = np.log(shares / (1 - shares))
    return float(1 / (1 + np.exp(-np.interp(timestep, np.arange(len(shares)), levels))))


class _Recorder:
    """Adds, before each step of a course, a frame to those of its jobs."""

    def __init__(self, shares: np.ndarray) -> None:
        self.shares, self.frames = shares, {}

    def __call__(self, course: Course, predicted: Tensor) -> None:
        given, timesteps = course.inputs()
        timestep = float(timesteps[0])
        kept, kind = kept_at(self.shares, timestep), course.scheduler.config.prediction_type
        latents = given[:, : predicted.shape[1]].float()
        clean = expected(latents, predicted.float(), kept, kind).cpu()
        for job, noisy, picture in zip(course.jobs, latents.cpu().clone(), clean, strict=False):
            self.frames.setdefault(job.key, []).append(Frame(timestep, kept, noisy, picture))
