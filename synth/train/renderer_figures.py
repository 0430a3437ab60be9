"""Figures of a renderer on a prepared set: how well it removes noise, and how good what it draws is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from PIL import Image

from synth.errors import RenderError
from synth.jobs import Job
from synth.measure.clip import Clip
from synth.measure.intervals import Figure
from synth.measure.kid import SMALLEST, kid
from synth.models.devices import choose_device
from synth.models.loading import load
from synth.presets import advised, resolve
from synth.rendering import render
from synth.train.conditions import NO_CAPTION
from synth.train.data.prepared import PreparedSet
from synth.train.latents import cached_latents, weights_digest
from synth.train.learners import Scaled, cache_folder, cached_text
from synth.train.params import Evaluate
from synth.train.unet import UnetTask
from synth.vignettes.attributes import ATTRIBUTES
from synth.vignettes.captions import parse
from synth.vignettes.dataset import SIZE
from synth.vignettes.judge import Judge

BINS = 10
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Drawn:
    """Pictures that a renderer drew for validation captions, and the captions."""

    captions: Sequence[str]
    pictures: Sequence[Image.Image]


def denoising_figures(
    model: str, data: PreparedSet, how: Evaluate, device: str = "auto"
) -> tuple[list[Figure], dict[str, list[float | None]]]:
    """Mean squared errors of the UNet on validation pictures, with the caption and without, and their gap.

    Also the errors by timestep: means over ten equal parts of the schedule, None where none falls. Every picture is
    noised `how.noises` times, at timesteps spread evenly over the schedule. Intervals are over pictures.
    """
    task, places = _task(model, data, choose_device(device)), data.indices("validation")
    captions = [data.records[place].captions[0] for place in places]
    timesteps = _timesteps(len(places), how.noises, len(task.alphas))
    errors = {
        "loss": _errors(task, places, captions, timesteps, how.seed),
        "none": _errors(task, places, [NO_CAPTION] * len(places), timesteps, how.seed),
    }
    figures = [Figure.of_mean(name, values.mean(1)) for name, values in errors.items()]
    figures.append(Figure.of_mean("listens", (errors["none"] - errors["loss"]).mean(1)))
    parts = (timesteps * BINS // len(task.alphas)).ravel()
    by_timestep = {
        name: [float(found.mean()) if (found := values.ravel()[parts == part]).size else None for part in range(BINS)]
        for name, values in errors.items()
    }
    return figures, by_timestep


def draw(model: str, data: PreparedSet, how: Evaluate, device: str = "auto") -> Drawn:
    """The first caption of each of `how.pictures` validation pictures, drawn by the model; picture i from seed i.

    RenderError if one cannot be drawn.
    """
    places = data.indices("validation")[: how.pictures]
    captions = [data.records[place].captions[0] for place in places]
    size = data.params.size
    settings = advised(model).but(steps=how.steps, guidance_scale=how.guidance_scale, width=size, height=size)
    reference = resolve(model, "renderer")
    jobs = [
        Job(phrase=text, prompt=text, seed=how.seed + place, settings=settings, model=reference)
        for place, text in enumerate(captions)
    ]
    found = {}
    for result in render(jobs, device=device):
        if result.image is None:
            raise RenderError(f"{model} cannot be measured, since it cannot draw {result.job.prompt!r}: {result.error}")
        found[result.job.key] = result.image
    return Drawn(captions, [found[job.key] for job in jobs])


def drawn_figures(drawn: Drawn, data: PreparedSet, clip: Clip) -> list[Figure]:
    """CLIP score, KID against the validation pictures, and for vignettes each attribute's share right."""
    places = data.indices("validation")
    figures = [Figure.of_mean("clip_score", clip.score(drawn.pictures, drawn.captions))]
    if min(len(places), len(drawn.pictures)) >= SMALLEST:
        figures.append(kid(clip.features(data.pictures[places]), clip.features(drawn.pictures)))
    return figures + _attribute_figures(drawn, data)


def _attribute_figures(drawn: Drawn, data: PreparedSet) -> list[Figure]:
    places = data.indices("validation")[: len(drawn.pictures)]
    asked = [data.records[place].attributes for place in places]
    if data.params.size != SIZE or not all(set(ATTRIBUTES) <= set(item) for item in asked):
        return []
    readings = Judge.load().read(list(drawn.pictures))
    figures = []
    for name in ATTRIBUTES:
        named = [
            (want[name], seen[name])
            for want, seen, text in zip(asked, readings, drawn.captions, strict=True)
            if name in _named(text)
        ]
        if named:
            figures.append(Figure.of_share(f"draws_{name}", sum(a == b for a, b in named), len(named)))
    return figures


def _named(caption: str) -> set[str]:
    """The attributes that a caption says something of; many captions leave some open."""
    return set(parse(caption).values)


def _task(model: str, data: PreparedSet, device: str) -> UnetTask:
    pipeline = load(resolve(model, "renderer"), device, "float32", "none")
    cache = cache_folder(data)
    latents = cached_latents(pipeline.vae, data.pictures, cache / f"latents-{weights_digest(pipeline.vae)}.npy")
    return UnetTask(
        {"unet": pipeline.unet},
        cached_text(pipeline, data, cache),
        Scaled(latents, pipeline.vae.config.scaling_factor),
        lambda index, rng: data.records[index].captions[0],
        data.indices("train"),
        data.indices("validation"),
        DDIMScheduler.from_config(pipeline.scheduler.config),
    )


def _timesteps(pictures: int, noises: int, count: int) -> np.ndarray:
    """(pictures, noises), spread evenly for each picture and over all of them."""
    shift = (np.arange(pictures) * GOLDEN)[:, None] % 1
    return (((np.arange(noises) + shift) / noises % 1) * count).astype(np.int64)


@torch.inference_mode()
def _errors(
    task: UnetTask, places: np.ndarray, captions: Sequence[str], timesteps: np.ndarray, seed: int, at_once: int = 32
) -> np.ndarray:
    """(pictures, noises); the same noise whatever the captions and the model."""
    noises = timesteps.shape[1]
    rows, texts = np.repeat(places, noises), [text for text in captions for _ in range(noises)]
    generator, flat, found = torch.Generator().manual_seed(seed), torch.from_numpy(timesteps.ravel()), []
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        batch = task.batch(rows[part], texts[part], flat[part], generator)
        found.append(task.errors(batch, task.unet).cpu().numpy())
    return np.concatenate(found).reshape(-1, noises)


def save_pictures(drawn: Drawn, file: Path) -> None:
    """A contact sheet of what was drawn, with captions."""
    from synth.vignettes.sheet import contact_sheet

    if drawn.pictures:
        contact_sheet(list(drawn.pictures)[:24], list(drawn.captions)[:24], columns=6, side=160).save(file)
