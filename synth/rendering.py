"""Jobs become pictures, in batches that mix prompts, seeds, negative prompts and guidance, streamed as they finish.

It knows nothing of files and studies. Noise belongs to the picture (one CPU generator per job); in strict mode the
arithmetic does too, since every batch has the same shape.
"""

import gc
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageChops, ImageFilter

from synth.diffusion.courses import evaluations, steps_alike
from synth.diffusion.denoising import OnStep, decode, denoise
from synth.diffusion.embedding import Embedder, count_tokens
from synth.diffusion.generic import paint
from synth.errors import InputError, SynthError
from synth.jobs import Job, ModelRef, Result, Settings, check_choice, check_whole
from synth.models.devices import DTYPES, choose_device, choose_dtype, free_memory, is_out_of_memory, release_memory
from synth.models.families import DiffusionPipeline, check_settings, is_stable_diffusion
from synth.models.loading import check_model, check_offload, configs, first_line, load
from synth.postprocessing import postprocess

STRICT_ROWS = 8
FEATHER = 2  # pixels
LARGEST_BATCH = {"cpu": 16, "cuda": 32, "mps": 8}
BYTES_PER_VALUE = 2048  # a cautious guess of the peak: pixels x bytes per value x 2048 (768 px in fp16: 2.4 GB)
NOT_FINITE = "the model's numbers overflowed (NaN or infinity); try dtype float32 or a lower guidance scale"
BLACK = "the picture is black in every pixel; try dtype float32 or another scheduler"
SPOILT = (NOT_FINITE, BLACK)
HALVED = "batch halved after out of memory"
RETRIED = "rendered again in float32"


def render(
    jobs: Iterable[Job],
    *,
    device: str = "auto",
    dtype: str = "auto",
    batch_size: int | None = None,
    strict: bool = False,
    offload: str = "auto",
    pictures: Mapping[str, Image.Image] | None = None,
    on_step: OnStep | None = None,
) -> Iterator[Result]:
    """Yield a Result per job as pictures finish; jobs may mix models, settings, prompts and seeds.

    device: auto, cuda, cuda:N, mps, cpu. dtype: auto, float32, float16, bfloat16. batch_size: 1 to 256, or None to
    choose by memory. offload: auto, none, model, sequential (where weights wait while they are not needed).
    strict: a job's pixels are the same to the last bit whatever the batch size, the order and the other jobs.
    pictures: by the SHA-256 of their pixels, the sources and masks of jobs that are drawn over a picture.
    on_step(jobs, step, steps, latents) is called after every step, latents (B, C, h, w), for the jobs of a batch that
    take the same steps.

    Settings that cannot be used raise InputError and models that cannot be loaded ModelError, here and now, before
    anything is rendered. After that a job that fails (out of memory, NaN, a black picture) is a Result with status
    "failed" and its reason, and the others go on.
    """
    jobs = list(jobs)
    device = choose_device(device)
    check_choice("dtype", dtype, DTYPES)
    check_offload(offload, device)
    if batch_size is not None:
        check_whole("batch_size", batch_size, 1, 256)
    models = list(dict.fromkeys(job.model for job in jobs))
    for model in models:
        folder = configs(check_model(model))
        for settings, over in {(job.settings, bool(job.source)): None for job in jobs if job.model == model}:
            check_settings(folder, settings, strict=strict, over_picture=over)
    for job in jobs:
        _check_pictures(job, pictures or {})
    groups: dict[tuple[ModelRef, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.model, choose_dtype(dtype, device, job.settings.precision)), []).append(job)
    if groups:
        load(*next((model, device, exact, offload) for model, exact in groups))
    return _stream(groups, _How(device, dtype, batch_size, strict, offload, pictures or {}, on_step))


@dataclass(frozen=True)
class _How:
    """The arguments of one call of `render`, checked."""

    device: str
    dtype: str
    batch_size: int | None
    strict: bool
    offload: str
    pictures: Mapping[str, Image.Image]
    on_step: OnStep | None


def _stream(groups: dict[tuple[ModelRef, str], list[Job]], how: _How) -> Iterator[Result]:
    for (model, dtype), jobs in groups.items():
        spoilt, how = [], replace(how, dtype=dtype)
        for result in _render_model(model, jobs, how):
            if result.error in SPOILT and how.dtype != "float32":
                spoilt.append(result.job)
            else:
                yield result
        if spoilt:
            for result in _render_model(model, spoilt, replace(how, dtype="float32")):
                yield replace(result, notes=(*result.notes, RETRIED))


def _render_model(model: ModelRef, jobs: list[Job], how: _How) -> Iterator[Result]:
    try:
        renderer = _Renderer(load(model, how.device, how.dtype, how.offload), how)
    except Exception as error:
        yield from _failed(jobs, how, _reason(error))
        return
    for group in renderer.alike(jobs):
        while group:
            size = renderer.batch_size(group[0])
            yield from renderer.render(group[:size])
            del group[:size]


def _check_pictures(job: Job, pictures: Mapping[str, Image.Image]) -> None:
    """InputError unless what a job is drawn over is there, in the picture's size."""
    size = job.settings.width, job.settings.height
    for name in ("source", "mask"):
        digest = getattr(job, name)
        if digest and digest not in pictures:
            raise InputError(name, digest, "give the picture with these pixels in `pictures`")
        if digest and pictures[digest].size != size:
            raise InputError(name, pictures[digest].size, f"make it {size[0]} x {size[1]} pixels, as the settings are")


class _Renderer:
    """Renders batches of like-shaped jobs with one pipeline, smaller ones once memory has run out."""

    def __init__(self, pipeline: DiffusionPipeline, how: _How) -> None:
        self.pipeline, self.how = pipeline, how
        self.rows = STRICT_ROWS if how.strict else None
        self.embedder = Embedder(pipeline, self.rows) if is_stable_diffusion(type(pipeline)) else None
        self.limits: dict[Hashable, int] = {}

    def alike(self, jobs: list[Job]) -> list[list[Job]]:
        """The jobs in groups whose pictures can be computed together."""
        groups: dict[Hashable, list[Job]] = {}
        for job in jobs:
            groups.setdefault(self.shape(job), []).append(job)
        return [_full_batches_first(group, self.batch_size(group[0])) for group in groups.values()]

    def shape(self, job: Job) -> Hashable:
        """What the pictures of one batch must have in common: every setting where the pipeline calls itself."""
        if self.embedder is None:
            return job.settings
        size = job.settings.width, job.settings.height
        return (size, steps_alike(job), job.settings.guidance_interval) if self.how.strict else size

    def batch_size(self, job: Job) -> int:
        """How many pictures like this one to compute together."""
        size = self.how.batch_size or _fitting(job.settings, self.how)
        return min(size, self.rows or size, self.limits.get(self.shape(job), size))

    def render(self, batch: list[Job]) -> list[Result]:
        """A Result for each job, whatever happens: a batch that fails is tried again in parts."""
        try:
            return self._render(batch)
        except Exception as error:
            short, reason = is_out_of_memory(error), _reason(error)
        # Out of the except block: the traceback held on to the tensors of the failed batch.
        if short:
            self._make_room()
            if len(batch) == 1 or self.how.strict:
                return _failed(batch, self.how, self._remedy(batch[0].settings))
            self.limits[self.shape(batch[0])] = (len(batch) + 1) // 2
        elif len(batch) == 1:
            return _failed(batch, self.how, reason)
        size = (len(batch) + 1) // 2 if short else 1
        parts = [batch[start : start + size] for start in range(0, len(batch), size)]
        return [result for part in parts for result in self.render(part)]

    def _render(self, batch: list[Job]) -> list[Result]:
        started = time.perf_counter()
        pictures, finite = self._compute(batch)
        pixels = (pictures.nan_to_num() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        wall, whole = time.perf_counter() - started, sum(map(evaluations, batch))
        results = []
        for job, ok, array in zip(batch, finite.tolist(), pixels, strict=True):
            error = NOT_FINITE if not ok else "" if array.any() else BLACK
            tokens, truncated = count_tokens(self.pipeline, job.prompt)
            results.append(
                Result(
                    job=job,
                    status="failed" if error else "done",
                    image=None if error else _finish(array, job, self.how.pictures),
                    error=error,
                    seconds=wall * evaluations(job) / whole,
                    device=self.how.device,
                    dtype=self.how.dtype,
                    batch_size=len(batch),
                    prompt_tokens=tokens,
                    truncated=truncated,
                    notes=(HALVED,) if self.shape(job) in self.limits else (),
                )
            )
        return results

    def _compute(self, batch: list[Job]) -> tuple[torch.Tensor, torch.Tensor]:
        """The pictures (B, 3, H, W) from 0 to 1, and which of them (B,) came of finite numbers."""
        if self.embedder is None:
            pictures = paint(self.pipeline, batch, self.how.on_step)
            return pictures, _finite(pictures)
        how = {"pictures": self.how.pictures, "on_step": self.how.on_step}
        latents = denoise(self.pipeline, self.embedder, batch, rows=self.rows, **how)
        pictures = decode(self.pipeline, latents)[: len(batch)]
        self.pipeline.maybe_free_model_hooks()
        return pictures, _finite(latents[: len(batch)].cpu()) & _finite(pictures)

    def _make_room(self) -> None:
        if hasattr(getattr(self.pipeline, "vae", None), "enable_slicing"):
            self.pipeline.vae.enable_slicing()
        gc.collect()
        release_memory(self.how.device)

    def _remedy(self, settings: Settings) -> str:
        size = f"{settings.width} x {settings.height} pixels"
        if self.how.strict:
            return f"out of memory: strict mode computes {STRICT_ROWS} pictures of {size} together; turn it off"
        return f"out of memory for one picture of {size} on {self.how.device}; choose a smaller size or offload"


def _full_batches_first(jobs: list[Job], size: int) -> list[Job]:
    """In this order jobs that take the same steps fill whole batches; what is left of them shares batches."""
    courses: dict[Hashable, list[Job]] = {}
    for job in jobs:
        courses.setdefault(steps_alike(job), []).append(job)
    whole = {key: len(course) // size * size for key, course in courses.items()}
    full = [job for key, course in courses.items() for job in course[: whole[key]]]
    rest = [job for key, course in courses.items() for job in course[whole[key] :]]
    return full + sorted(rest, key=lambda job: job.settings.steps, reverse=True)


def _finish(array: np.ndarray, job: Job, pictures: Mapping[str, Image.Image]) -> Image.Image:
    """The picture of its pixels: what the mask protects is the source's, then the settings' own steps follow."""
    picture = Image.fromarray(array)
    if job.mask:
        picture = Image.composite(picture, pictures[job.source].convert("RGB"), _feathered(pictures[job.mask]))
    return postprocess(picture, job.settings.postprocess)


def _feathered(mask: Image.Image) -> Image.Image:
    """A mask (L) that fades to black within its white parts, over some pixels, so that no seam is seen."""
    blurred = mask.convert("L").filter(ImageFilter.BoxBlur(FEATHER))
    inner = blurred.point(lambda level: max(0, 2 * level - 255))
    return ImageChops.darker(inner, mask.convert("L"))


def _finite(rows: torch.Tensor) -> torch.Tensor:
    """Which rows hold neither NaN nor infinity: (B, ...) -> (B,)."""
    return rows.isfinite().flatten(1).all(1)


def _fitting(settings: Settings, how: _How) -> int:
    """A power of two of pictures that should fit into six tenths of the free memory."""
    each = BYTES_PER_VALUE * settings.width * settings.height * getattr(torch, how.dtype).itemsize
    fits = max(1, int(0.6 * free_memory(how.device) / each))
    return min(LARGEST_BATCH[how.device.split(":")[0]], 2 ** (fits.bit_length() - 1))


def _failed(jobs: Sequence[Job], how: _How, reason: str) -> list[Result]:
    return [Result(job=job, status="failed", error=reason, device=how.device, dtype=how.dtype) for job in jobs]


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, SynthError) else f"{type(error).__name__}: {first_line(error)}"
