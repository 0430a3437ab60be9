"""Noise becomes pictures: the sampling loop for Stable Diffusion 1, 2 and XL, with a batch of unlike pictures.

Each row has its own prompt, negative prompt, guidance, scheduler, steps and generator; only the size is the batch's.
With equal rows it computes what the pipelines' own `__call__` does, in the same order.
Notation: B pictures, G of them guided, C latent channels, h x w latent size, D text width.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from PIL import Image

from synth.diffusion.courses import Course, steps_alike
from synth.diffusion.embedding import Embedder, Embedding
from synth.jobs import Job, Settings
from synth.models.families import StableDiffusion, StableDiffusionXLPipeline

UNGUIDED = Settings(guidance_scale=1.0)  # of padding
CACHED = 2**17  # bytes: of one channel of all pictures that a CPU decodes together

OnStep = Callable[[Sequence[Job], int, int, torch.Tensor], None]
OnPredict = Callable[[Course, torch.Tensor], None]


@torch.inference_mode()
def denoise(
    pipeline: StableDiffusion,
    embedder: Embedder,
    jobs: Sequence[Job],
    *,
    rows: int | None = None,
    pictures: Mapping[str, Image.Image] | None = None,
    on_step: OnStep | None = None,
    on_predict: OnPredict | None = None,
) -> torch.Tensor:
    """The final latents of `jobs`, (B, C, h, w), the first len(jobs) rows of which count.

    Jobs of one size may mix everything else: those that take the same steps go together, and each step of all courses
    that have not ended is one pass through the UNet.
    rows: B, exactly, all of them guided, padded with empty ones (strict mode, for jobs that take the same steps); None:
    as many as there are jobs. pictures: by `Job.source` and `Job.mask`, what jobs are drawn over.
    on_step is called for a course after each step with (its jobs, step from 1, steps, latents); steps counts the
    model's evaluations, of which second-order schedulers need two per step. on_predict is called before each step with
    the course and what the model predicted for its rows, guidance included, (B, C, h, w).
    """
    padding = (rows or len(jobs)) - len(jobs)
    alike: dict[object, list[int]] = {}
    for place, job in enumerate(jobs):
        alike.setdefault(steps_alike(job), []).append(place)
    courses = [
        Course(pipeline, [jobs[place] for place in places], pictures or {}, padding) for places in alike.values()
    ]
    everywhere = rows is not None
    while running := [course for course in courses if not course.ended]:
        guided = _guided(running, everywhere)
        guide = _Guide(pipeline, embedder, running, guided)
        while not any(course.ended for course in running) and _guided(running, everywhere) == guided:
            _step(guide, running, on_step, on_predict)
    latents = torch.cat([course.latents for course in courses])
    order = [place for places in alike.values() for place in places]
    return latents if len(courses) == 1 else latents[torch.tensor(order).argsort()]


def _guided(courses: Sequence[Course], everywhere: bool) -> list[bool]:
    """For each row of all courses, whether guidance is on at the next step."""
    return [on for course in courses for on in course.guided(everywhere=everywhere)]


def _step(guide: "_Guide", courses: Sequence[Course], on_step: OnStep | None, on_predict: OnPredict | None) -> None:
    """One step of each course, in one pass through the UNet."""
    latents, timesteps = zip(*(course.inputs() for course in courses), strict=True)
    predicted = guide.predict(torch.cat(latents), torch.cat(timesteps))
    for course, part in zip(courses, predicted.split([course.rows for course in courses]), strict=True):
        if on_predict is not None:
            on_predict(course, part)
        course.step(part)
        if on_step is not None:
            on_step(course.jobs, course.number, len(course), course.latents[: len(course.jobs)])


@torch.inference_mode()
def decode(pipeline: StableDiffusion, latents: torch.Tensor) -> torch.Tensor:
    """Latents (B, C, h, w) as pictures (B, 3, H, W) in float32 from 0 to 1, on the CPU; NaN stays NaN."""
    vae = pipeline.vae
    latents = latents.to(vae.dtype)
    mean, std = vae.config.get("latents_mean"), vae.config.get("latents_std")
    if mean is not None and std is not None:
        mean, std = (torch.tensor(values).view(1, -1, 1, 1).to(latents) for values in (mean, std))
        latents = latents * std / vae.config.scaling_factor + mean
    else:
        latents = latents / vae.config.scaling_factor
    parts = latents.split(_decoded_together(pipeline, latents))
    pictures = torch.cat([vae.decode(part, return_dict=False)[0] for part in parts])
    return (pictures * 0.5 + 0.5).clamp(0, 1).float().cpu()


def _decoded_together(pipeline: StableDiffusion, latents: torch.Tensor) -> int:
    """How many rows a decoder takes at once: on a CPU few, as layers that outgrow its caches take twice as long."""
    if latents.device.type != "cpu":
        return len(latents)
    height, width = latents.shape[-2:]
    channel = height * width * pipeline.vae_scale_factor**2 * latents.element_size()
    return max(1, CACHED // channel)


class _Guide:
    """Predicts a batch's noise with classifier-free guidance (Ho & Salimans 2022), as strong as each job wants it.

    guided: which rows of the courses are computed with their negative prompt too, (B,).
    """

    def __init__(
        self, pipeline: StableDiffusion, embedder: Embedder, courses: Sequence[Course], guided: Sequence[bool]
    ) -> None:
        jobs = [job for course in courses for job in (*course.jobs, *[None] * course.padding)]
        device = pipeline._execution_device
        self.unet, self.count, self.all = pipeline.unet, sum(guided), all(guided)
        self.guided = torch.tensor(guided, device=device)  # (B,)
        settings = [job.settings if job else UNGUIDED for job in jobs]
        chosen = [item for item, on in zip(settings, guided, strict=True) if on]
        self.scale = _column([item.guidance_scale for item in chosen], device)
        self.off = self.scale <= 1
        rescale = _column([item.guidance_rescale for item in chosen], device)
        self.rescale = rescale if rescale.any() else None
        texts = embedder.prompts([job.prompt if job else "" for job in jobs])
        against = embedder.negatives([item.negative_prompt for item in chosen]) if chosen else []
        rows = against + texts  # G negative, then B prompts
        self.states = torch.stack([item.tokens for item in rows]).to(pipeline.unet.dtype)  # (G+B, 77, D)
        self.added = _size_conditions(pipeline, rows, courses[0].jobs[0].settings)

    def predict(self, latents: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """The guided prediction (B, C, h, w), in float32, for what `Course.inputs` gives: latents and timesteps."""
        if self.count:  # G+B of both
            again = slice(None) if self.all else self.guided
            latents, timesteps = torch.cat([latents[again], latents]), torch.cat([timesteps[again], timesteps])
        noise = self.unet(
            latents, timesteps, encoder_hidden_states=self.states, added_cond_kwargs=self.added, return_dict=False
        )[0].float()
        if not self.count:
            return noise
        without, text = noise[: self.count], noise[self.count :]
        if self.all:
            return self._guide(without, text)
        text[self.guided] = self._guide(without, text[self.guided])
        return text

    def _guide(self, without: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        guided = without + self.scale * (text - without)
        if self.rescale is not None:
            dims = (1, 2, 3)
            matched = guided * (text.std(dims, keepdim=True) / guided.std(dims, keepdim=True))
            guided = self.rescale * matched + (1 - self.rescale) * guided
        return torch.where(self.off, text, guided)


def _column(values: Sequence[float], device: torch.device) -> torch.Tensor:
    """(G, 1, 1, 1)."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1, 1)


def _size_conditions(
    pipeline: StableDiffusion, rows: list[Embedding], settings: Settings
) -> dict[str, torch.Tensor] | None:
    """What SDXL's UNet also wants: the pooled text (G+B, P), and original size, crop and target size (G+B, 6)."""
    if not isinstance(pipeline, StableDiffusionXLPipeline):
        return None
    pooled = torch.stack([item.pooled for item in rows]).to(pipeline.unet.dtype)
    sizes = [settings.height, settings.width, 0, 0, settings.height, settings.width]
    return {"text_embeds": pooled, "time_ids": torch.tensor([sizes] * len(rows)).to(pooled)}
