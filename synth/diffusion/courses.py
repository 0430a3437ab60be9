"""A course: from noise, or from a noised picture, to the latents of one. Rows that take the same steps go together."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image

from synth.diffusion.schedulers import schedule
from synth.jobs import Job, Settings
from synth.models.families import StableDiffusion
from synth.timesteps import interval

SECOND_ORDER = ("heun", "dpm2", "dpm2-a")


def steps_alike(job: Job) -> tuple[object, ...]:
    """What jobs of one course have in common, besides the size of the picture."""
    settings = job.settings
    visits = settings.timestep_spacing, settings.respacing, settings.timesteps, settings.sigmas
    return settings.scheduler, settings.steps, settings.eta, visits, bool(job.source) and settings.strength


def evaluations(job: Job) -> float:
    """About how often the UNet is asked for a job: at each step, again where it guides, and twice by second orders."""
    settings = job.settings
    times = settings.steps * (settings.strength if job.source else 1.0)
    low, high = interval(settings.guidance_interval)
    guided = high - low if settings.guidance_scale > 1 else 0.0
    return times * (1 + guided) * (2 if settings.scheduler in SECOND_ORDER else 1)


def within(settings: Settings, share: float) -> bool:
    """Whether guidance may be on at a timestep that is this share, 0 to 1, of the noise schedule."""
    low, high = interval(settings.guidance_interval)
    return low <= share <= high


class Course:
    """The rows of a batch that share scheduler, steps and where they begin.

    latents: (B, C, h, w) in float32, the jobs' first, then as many as padding asks for. number: of steps taken, of
    len(self).
    """

    def __init__(
        self, pipeline: StableDiffusion, jobs: Sequence[Job], pictures: Mapping[str, Image.Image], padding: int = 0
    ) -> None:
        settings, device = jobs[0].settings, pipeline._execution_device
        self.jobs, self.padding, self.number = jobs, padding, 0
        self.scheduler, self._told = schedule(settings, pipeline.scheduler.config, device)
        self._generators = [torch.Generator().manual_seed(seed) for seed in [job.seed for job in jobs] + [0] * padding]
        self._noise = _noise(pipeline, self._generators, settings).to(device)
        self._extra = _step_options(self.scheduler, self._generators, settings.eta)
        self._timesteps, self._over = self.scheduler.timesteps, None
        self._total, self._dtype = pipeline.scheduler.config.num_train_timesteps, pipeline.unet.dtype
        if jobs[0].source:
            self._skip(settings)
            self._over = _Over(pipeline, jobs, pictures, padding)
        self.latents = self._begin()

    def __len__(self) -> int:
        return len(self._timesteps)

    @property
    def rows(self) -> int:
        """B."""
        return len(self.latents)

    @property
    def ended(self) -> bool:
        """Whether all steps are taken."""
        return self.number == len(self)

    def guided(self, *, everywhere: bool = False) -> list[bool]:
        """For each row, whether guidance is on at the next step. everywhere: also where the scale is 1, and padding."""
        share = float(self._told[self.number]) / self._total
        if everywhere:
            return [within(self.jobs[0].settings, share)] * self.rows
        on = [job.settings.guidance_scale > 1 and within(job.settings, share) for job in self.jobs]
        return on + [False] * self.padding

    def inputs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What the UNet is given at the next step: latents (B, C, h, w) and timesteps (B,)."""
        scaled = self.scheduler.scale_model_input(self.latents, self._timesteps[self.number])
        if self._over is not None and self._over.channels is not None:
            scaled = torch.cat([scaled, self._over.channels], dim=1)
        return scaled.to(self._dtype), self._told[self.number].expand(self.rows)

    def step(self, predicted: torch.Tensor) -> None:
        """Take a step with what the UNet predicted, (B, C, h, w)."""
        timestep = self._timesteps[self.number]
        stepped = self.scheduler.step(predicted, timestep, self.latents, **self._extra, return_dict=False)[0]
        self.latents = stepped.to(self._noise.dtype)
        self.number += 1
        if self._over is not None and self._over.free is not None:
            known = self._over.latents if self.ended else self._noised(self._over.latents, self.number)
            self.latents = torch.where(self._over.free, self.latents, known)

    def _begin(self) -> torch.Tensor:
        if self._over is None:
            return self._noise * self.scheduler.init_noise_sigma
        return self._noised(self._over.latents, 0)

    def _noised(self, latents: torch.Tensor, number: int) -> torch.Tensor:
        return self.scheduler.add_noise(latents, self._noise, self._timesteps[number : number + 1])

    def _skip(self, settings: Settings) -> None:
        """Leave out the first steps, so that `strength` of them remain (Meng et al. 2022, "SDEdit")."""
        kept = max(1, min(round(settings.steps * settings.strength), settings.steps))
        first = (settings.steps - kept) * self.scheduler.order
        self._timesteps, self._told = self._timesteps[first:], self._told[first:]
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(first)


class _Over:
    """What a course is drawn over.

    latents: (B, C, h, w). free: (B, 1, h, w), where they may change, or None for everywhere. channels: what an
    inpainting UNet of 9 channels is given beside the latents, (B, 5, h, w), or None.
    """

    def __init__(
        self, pipeline: StableDiffusion, jobs: Sequence[Job], pictures: Mapping[str, Image.Image], padding: int
    ) -> None:
        pixels = torch.stack([_pixels(pictures[job.source].convert("RGB")) for job in jobs]) * 2 - 1  # (B, 3, H, W)
        white = Image.new("L", (pixels.shape[-1], pixels.shape[-2]), 255)
        masks = [pictures[job.mask].convert("L") if job.mask else white for job in jobs]
        mask = torch.stack([_pixels(picture) for picture in masks])  # (B, 1, H, W)
        self.latents = _padded(encode(pipeline, pixels), padding)
        free = (torch.nn.functional.max_pool2d(mask, pipeline.vae_scale_factor) > 0.5).to(self.latents)
        self.free = self.channels = None
        if pipeline.unet.config.in_channels > self.latents.shape[1]:
            hidden = encode(pipeline, pixels * (mask <= 0.5))
            self.channels = torch.cat([_padded(free, padding), _padded(hidden, padding)], dim=1)
        elif not free.all():
            self.free = _padded(free, padding).bool()


@torch.inference_mode()
def encode(pipeline: StableDiffusion, pixels: torch.Tensor) -> torch.Tensor:
    """Latents (B, C, h, w) in float32 of pictures (B, 3, H, W) from -1 to 1, scaled for the UNet; of a posterior its
    mode."""
    vae = pipeline.vae
    encoded = vae.encode(pixels.to(pipeline._execution_device, vae.dtype))
    latents = encoded.latents if isinstance(vae, AutoencoderTiny) else encoded.latent_dist.mode()
    mean, std = vae.config.get("latents_mean"), vae.config.get("latents_std")
    if mean is not None and std is not None:
        mean, std = (torch.tensor(values).view(1, -1, 1, 1).to(latents) for values in (mean, std))
        latents = (latents - mean) / std
    return (latents * vae.config.scaling_factor).float()


def _pixels(picture: Image.Image) -> torch.Tensor:
    """(channels, H, W) from 0 to 1."""
    levels = np.asarray(picture, np.float32).reshape(picture.height, picture.width, -1)
    return torch.from_numpy(levels / 255).permute(2, 0, 1)


def _padded(rows: torch.Tensor, padding: int) -> torch.Tensor:
    return torch.cat([rows, rows[:1].expand(padding, *rows.shape[1:])]) if padding else rows


def _noise(pipeline: StableDiffusion, generators: list[torch.Generator], settings: Settings) -> torch.Tensor:
    """Standard normal noise (B, C, h, w), drawn in float32 on the CPU, so that every device starts from the same."""
    factor = pipeline.vae_scale_factor
    channels = pipeline.unet.config.out_channels
    shape = (1, channels, settings.height // factor, settings.width // factor)
    return torch.cat([torch.randn(shape, generator=generator) for generator in generators])


def _step_options(scheduler: Any, generators: list[torch.Generator], eta: float) -> dict[str, Any]:
    accepted = inspect.signature(scheduler.step).parameters
    options = {"eta": eta, "generator": generators}
    return {name: value for name, value in options.items() if name in accepted}
