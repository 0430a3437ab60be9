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


@dataclass(frozen=True)
class Denoising:
    """How well a UNet removes noise from validation pictures.

    figures: its mean squared error with the caption ("loss") and without ("none"), and how much the caption helps
    ("listens"), with intervals over pictures. values: of these, one for each picture. by_timestep: the errors in ten
    equal parts of the schedule; None where none falls. units: what the errors are measured in.
    """

    figures: list[Figure]
    values: dict[str, list[float]]
    by_timestep: dict[str, list[Figure | None]]
    units: dict[str, str]


def denoising_figures(model: str, data: PreparedSet, how: Evaluate, device: str = "auto") -> Denoising:
    """The errors of a model's UNet; every picture is noised `how.noises` times, over the whole of the schedule."""
    task, units = _task(model, data, choose_device(device))
    places = data.indices("validation")
    captions = [data.records[place].captions[0] for place in places]
    timesteps = _timesteps(len(places), how.noises, len(task.alphas))
    errors = {
        "loss": _errors(task, places, captions, timesteps, how.seed),
        "none": _errors(task, places, [NO_CAPTION] * len(places), timesteps, how.seed),
    }
    parts = timesteps * BINS // len(task.alphas)
    by_timestep = {
        name: [_in_part(name, found, parts == part) for part in range(BINS)] for name, found in errors.items()
    }
    means = {name: found.mean(1) for name, found in errors.items()}
    means["listens"] = means["none"] - means["loss"]
    figures = [mean_figure(name, values) for name, values in means.items()]
    return Denoising(figures, {name: values.tolist() for name, values in means.items()}, by_timestep, units)


def mean_figure(name: str, values: np.ndarray) -> Figure:
    """The mean of values, (n,), with its interval, which is infinite for a single one."""
    return Figure.of_mean(name, values) if len(values) > 1 else Figure.of_few(name, values)


def _in_part(name: str, errors: np.ndarray, chosen: np.ndarray) -> Figure | None:
    """The mean over pictures of their errors, (pictures, noises), at the chosen of their timesteps."""
    counts = chosen.sum(1)
    there = counts > 0
    return mean_figure(name, (errors * chosen).sum(1)[there] / counts[there]) if there.any() else None


def draw(model: str, data: PreparedSet, how: Evaluate, device: str = "auto") -> Drawn:
    """The first caption of each of `how.pictures` validation pictures, drawn by the model; picture i from seed i.

    RenderError if one cannot be drawn.
    """
    places = data.indices("validation")[: how.pictures]
    captions = [data.records[place].captions[0] for place in places]
    size = data.params.size
    settings = advised(model, "exact").but(steps=how.steps, guidance_scale=how.guidance_scale, width=size, height=size)
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


def drawn_figures(drawn: Drawn, data: PreparedSet, clip: Clip) -> tuple[list[Figure], dict[str, list[float]]]:
    """CLIP score, KID against the validation pictures, and for vignettes each attribute's share right.

    Also one value for each picture of those that are means of such values, which KID is not.
    """
    places = data.indices("validation")
    scores = clip.score(drawn.pictures, drawn.captions)
    figures = [mean_figure("clip_score", scores)]
    if min(len(places), len(drawn.pictures)) >= SMALLEST:
        figures.append(kid(clip.features(data.pictures[places]), clip.features(drawn.pictures)))
    rights = _rights(drawn, data)
    figures += [Figure.of_share(name, sum(right), len(right)) for name, right in rights.items()]
    return figures, {"clip_score": scores.tolist()} | {name: list(map(float, right)) for name, right in rights.items()}


def _rights(drawn: Drawn, data: PreparedSet) -> dict[str, list[bool]]:
    """For each attribute, in order of the captions that name it, whether the judge sees it in the picture too."""
    places = data.indices("validation")[: len(drawn.pictures)]
    asked = [data.records[place].attributes for place in places]
    if data.params.size != SIZE or not all(set(ATTRIBUTES) <= set(item) for item in asked):
        return {}
    seen = Judge.load().read(list(drawn.pictures))
    pairs = [(_named(text), want, there) for text, want, there in zip(drawn.captions, asked, seen, strict=True)]
    found = {
        f"draws_{name}": [want[name] == there[name] for named, want, there in pairs if name in named]
        for name in ATTRIBUTES
    }
    return {name: rights for name, rights in found.items() if rights}


def _named(caption: str) -> set[str]:
    """The attributes that a caption says something of; many captions leave some open."""
    return set(parse(caption).values)


def _task(model: str, data: PreparedSet, device: str) -> tuple[UnetTask, dict[str, str]]:
    """What measures a model's UNet, and the units of its errors: what it predicts, of which autoencoder's latents."""
    pipeline = load(resolve(model, "renderer"), device, "float32", "none")
    cache = cache_folder(data)
    autoencoder = weights_digest(pipeline.vae)
    latents = cached_latents(pipeline.vae, data.pictures, cache / f"latents-{autoencoder}.npy")
    task = UnetTask(
        {"unet": pipeline.unet},
        cached_text(pipeline, data, cache),
        Scaled(latents, pipeline.vae.config.scaling_factor),
        lambda index, rng: data.records[index].captions[0],
        data.indices("train"),
        data.indices("validation"),
        DDIMScheduler.from_config(pipeline.scheduler.config),
    )
    return task, {"prediction": "v_prediction" if task.predicts_v else "epsilon", "latents": autoencoder}


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
