"""What each phrase does to the picture: it is left out, the noise stays, and the two pictures are compared.

The pictures without a phrase are a study of own prompts in the study's folder explain/: each is rendered once, kept,
and can be verified. Two measures tell how much changes, the distance of the pictures in CLIP and the mean difference of
their pixels; a difference map tells where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from synth import presets, studies
from synth.errors import InputError, ModelError, StudyError
from synth.explain.parts import Part, find_parts, parts
from synth.explain.studied import folder_of, jobs_of, pictures_of, sources_of
from synth.jobs import Job, ModelRef
from synth.measure.clip import Clip, check_clip
from synth.measure.intervals import Figure

MEASURES = ("clip_distance", "pixel_difference")

BySeed = Mapping[int, Image.Image]


@dataclass(frozen=True)
class Effects:
    """What leaving out parts of one prompt does, seed by seed.

    whole: the pictures of the whole prompt. parts: what was left out, in the prompt's order; without: the pictures
    without each. frame: a row for each part and seed: part, added, seed, clip_distance, pixel_difference.
    clip_distance: 1 - cosine, 0 to 2. pixel_difference: the mean over pixels and colours, 0 to 1. other_seed: the mean
    of both between two seeds of the whole prompt, to judge the others by; NaN with one seed.
    clip: the CLIP that measured, and its version.
    """

    prompt: str
    whole: BySeed
    parts: tuple[Part, ...]
    without: tuple[BySeed, ...]
    frame: pd.DataFrame
    other_seed: Mapping[str, float]
    clip: str

    def figures(self, measure: str) -> list[Figure]:
        """For each part the mean of a measure over the seeds, with its 95% interval."""
        values = [group[measure] for _, group in self.frame.groupby("place")]
        return [Figure.of_few(part.text, group) for part, group in zip(self.parts, values, strict=True)]

    def table(self) -> pd.DataFrame:
        """A row for each part: part, added, seeds, and each measure with the ends of its interval."""
        table = self.frame.groupby("place").agg(
            part=("part", "first"), added=("added", "first"), seeds=("seed", "size")
        )
        for measure in MEASURES:
            found = self.figures(measure)
            table[measure] = [item.value for item in found]
            table[f"{measure}_low"] = [item.low for item in found]
            table[f"{measure}_high"] = [item.high for item in found]
        return table.reset_index(drop=True)

    def where(self, place: int, seed: int) -> np.ndarray:
        """How much each pixel of a seed's picture changes without part number `place`, (height, width), 0 to 1."""
        return difference(self.whole[seed], self.without[place][seed])


def effects(
    study: studies.Study,
    prompt_index: int = 0,
    words: Sequence[str] = (),
    *,
    clip: str = "vignettes-clip",
    device: str = "auto",
    **how: Any,
) -> Effects:
    """Leave out what GPT-2 added to a prompt, part by part, or each of `words`, and compare the pictures of all seeds.

    To leave words out also moves those after them, and changes what the text encoder makes of these: what is measured
    is what the prompt does with them less what it does without.
    Of the prompts without a part, only pictures that are not there yet are rendered. clip: a CLIP's preset, hub id or
    folder. how: dtype, batch_size, yes and progress, as `synth.study` takes them.
    InputError, before anything is loaded, where there is no such prompt or word, or nothing to leave out.
    """
    base = jobs_of(study, prompt_index)
    prompt, phrase = base[0].prompt, base[0].phrase
    chosen = find_parts(prompt, phrase, words) if words else parts(prompt, phrase)
    rests = _rests(prompt, chosen)
    check_clip(clip)
    whole = _by_seed(base, pictures_of(study, base))
    variants = _variants(study, base[0], list(dict.fromkeys(rests)), device, how)
    measurer = Clip.load(clip, device)
    without = _without(variants, rests)
    return Effects(
        prompt, whole, tuple(chosen), without, _compare(whole, chosen, without, measurer),
        _between_seeds(whole, measurer), measurer.identity,
    )  # fmt: skip


def difference(a: Image.Image, b: Image.Image) -> np.ndarray:
    """The mean absolute difference of the colours of two pictures of one size, (height, width), from 0 to 1."""
    first, second = (np.asarray(picture.convert("RGB"), np.float32) / 255 for picture in (a, b))
    return np.abs(first - second).mean(2)


def _rests(prompt: str, chosen: Sequence[Part]) -> list[str]:
    """The prompt without each of its parts."""
    if not chosen:
        raise InputError("prompt", prompt, "nothing was added to it: say which of its words to leave out")
    rests = [part.left_out(prompt) for part in chosen]
    for part, rest in zip(chosen, rests, strict=True):
        if not rest:
            raise InputError("word", part.text, "leave something of the prompt")
    return rests


def _variants(study: studies.Study, job: Job, prompts: list[str], device: str, how: dict[str, Any]) -> studies.Study:
    """The study of the prompts that are left, with the noise, settings and model of `job`."""
    _check_unchanged(job.model)
    sources = sources_of(study)
    over = {name: sources[digest] for name in ("source", "mask") if (digest := getattr(job, name))}
    return studies.study(
        job.phrase, prompts=prompts, seeds=study.plan.seeds, settings=job.settings, model=job.model.name,
        loras=job.model.loras, strict=study.plan.strict, out=folder_of(study), device=device, **over, **how,
    )  # fmt: skip


def _check_unchanged(model: ModelRef) -> None:
    if presets.resolve(model.name, "renderer", loras=model.loras) != model:
        raise ModelError(f"The weights of {model.name} have changed since the study was made; make it again.")


def _by_seed(jobs: Sequence[Job], pictures: Mapping[str, Image.Image]) -> dict[int, Image.Image]:
    return {job.seed: pictures[job.key] for job in jobs if job.key in pictures}


def _without(variants: studies.Study, rests: Sequence[str]) -> tuple[BySeed, ...]:
    found = pictures_of(variants, variants.jobs)
    without = tuple(_by_seed([job for job in variants.jobs if job.prompt == rest], found) for rest in rests)
    if not all(without):
        raise StudyError(f"some pictures could not be made; `synth log {variants.folder}` says why")
    return without


def _compare(whole: BySeed, chosen: Sequence[Part], without: Sequence[BySeed], clip: Clip) -> pd.DataFrame:
    before = _vectors(whole, clip)
    rows = []
    for place, (part, pictures) in enumerate(zip(chosen, without, strict=True)):
        for seed, vector in _vectors(pictures, clip).items():
            if seed in whole:
                distances = _distances(before[seed], vector, whole[seed], pictures[seed])
                rows.append({"place": place, "part": part.text, "added": part.added, "seed": seed} | distances)
    return pd.DataFrame(rows).astype({"part": "string"})


def _between_seeds(whole: BySeed, clip: Clip) -> dict[str, float]:
    vectors = _vectors(whole, clip)
    pairs = [_distances(vectors[a], vectors[b], whole[a], whole[b]) for a, b in combinations(whole, 2)]
    return {name: float(np.mean([pair[name] for pair in pairs])) if pairs else float("nan") for name in MEASURES}


def _vectors(pictures: BySeed, clip: Clip) -> dict[int, np.ndarray]:
    return dict(zip(pictures, clip.embed_pictures(list(pictures.values())), strict=True))


def _distances(a: np.ndarray, b: np.ndarray, first: Image.Image, second: Image.Image) -> dict[str, float]:
    values = max(0.0, 1 - float(a @ b)), float(difference(first, second).mean())
    return dict(zip(MEASURES, values, strict=True))
