"""The noise schedule of a model, which of its timesteps a sampler visits, and what leaving out the others costs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from synth.diffusion.schedulers import schedule
from synth.errors import InputError, StudyError
from synth.explain.film import kept_shares
from synth.jobs import ModelRef, Settings, check_whole
from synth.models.families import is_stable_diffusion, pipeline_class
from synth.models.loading import check_model, configs
from synth.models.weights import read_json
from synth.records.pictures import read_picture
from synth.studies import Study, study

MEASURE = "error_of_steps"
AXES = ("steps", "respacing", "timesteps", "sigmas", "timestep_spacing", "scheduler")  # the way from noise to picture

# Ways to choose timesteps, by the names of the figure's lines; those of GLIDE have as many steps as they say.
WAYS: dict[str, dict[str, Any]] = {
    "the model's own": {},
    "leading": {"timestep_spacing": "leading"},
    "linspace": {"timestep_spacing": "linspace"},
    "trailing": {"timestep_spacing": "trailing"},
    "Karras (dpm++2m-karras)": {"scheduler": "dpm++2m-karras"},
    "10,10,3,2,2": {"respacing": "10,10,3,2,2"},
    "fast27": {"respacing": "fast27"},
    "ddim50": {"respacing": "ddim50"},
}


def scheduler_config(model: ModelRef) -> dict[str, Any]:
    """The config of a model's own scheduler; reads no weights. InputError for one that Synth's loop does not render."""
    folder = configs(check_model(model))
    kind = pipeline_class(folder)
    if not is_stable_diffusion(kind):
        raise InputError("model", model.name, f"use Stable Diffusion 1, 2 or XL: a {kind.__name__} has other noise")
    return read_json(folder / "scheduler" / "scheduler_config.json")


def noise_schedule(config: Mapping[str, Any]) -> pd.DataFrame:
    """What the noise does at each timestep, a row each.

    kept: alpha-bar, the picture's share of the variance (Ho et al. 2020, section 2), 0 to 1; noise: the rest.
    snr: the signal-to-noise ratio, kept / noise (Kingma et al. 2021, "Variational diffusion models").
    sigma: the noise's standard deviation where the picture's is left as it is, sqrt(noise / kept) (Karras et al. 2022).
    """
    kept = kept_shares(config)
    snr = kept / (1 - kept)
    return pd.DataFrame({
        "timestep": np.arange(len(kept)), "kept": kept, "noise": 1 - kept, "snr": snr, "sigma": snr**-0.5,
    })  # fmt: skip


def visits(settings: Settings, config: Mapping[str, Any]) -> list[float]:
    """The timesteps that the UNet is told, one after the other; between two of them in some schedulers."""
    return [float(timestep) for timestep in schedule(settings, dict(config))[1]]


def ways(config: Mapping[str, Any], steps: int = 27) -> dict[str, list[float]]:
    """The timesteps that each of WAYS visits, in `steps` steps where the choice is free; none that cannot be had."""
    found = {}
    for name, changes in WAYS.items():
        try:
            found[name] = visits(Settings(steps=steps).but(**changes), config)
        except InputError:
            continue  # a schedule too short for it
    return found


def errors(found: Study, *, reference_steps: int = 200, device: str = "auto", progress: bool = True) -> pd.DataFrame:
    """How far each picture of a study is from the one that very many steps give: a row for each that is finished.

    Columns: those of `Study.coordinates`; `steps`, how many timesteps are visited, which a respacing such as
    "10,10,3,2,2" decides as well; `way`, what the axes say besides steps; `error`, the root mean square of the pixels'
    differences in grey levels of 255. The error is also kept in the study's log, as `error_of_steps`.

    The reference is the study's own prompts, seeds and settings without its axes, at `reference_steps` (50 to 1,000) of
    the scheduler in its settings; it is a study beside the other, so it is rendered once. It stands for the exact
    solution of the sampling equation (Song et al. 2021, "Score-based generative modeling"), to which deterministic
    samplers come closer with each step. Samplers that add noise of their own arrive elsewhere, by right.
    InputError for a study that is drawn over a picture, or has another axis than AXES.
    """
    check_whole("reference_steps", reference_steps, 50, 1000)
    _check_study(found)
    reference = _reference(found, reference_steps, device, progress)
    exact = {(row["prompt"], row["seed"]): row["path"] for row in _done(reference)}
    rows = {row["key"]: row for row in _done(found)}
    values: dict[str, float | None] = {}
    for key, row in rows.items():
        other = exact.get((row["prompt"], row["seed"]))
        if other is not None:
            values[key] = difference(_picture(found.folder / row["path"]), _picture(reference.folder / other))
    if not values:
        raise StudyError(f"{found.folder} has no finished picture to compare; `synth log {found.folder}` says why")
    found.measure(
        MEASURE, values, model=f"RMS difference to {reference_steps} steps of {reference.plan.settings.scheduler}"
    )
    return _table(found, values)


def difference(a: Image.Image, b: Image.Image) -> float:
    """The root mean square of two pictures' differences, in grey levels of 255. InputError for unlike sizes."""
    if a.size != b.size:
        raise InputError("size", a.size, f"give pictures of one size; the other has {b.size}")
    apart = np.asarray(a.convert("RGB"), np.float64) - np.asarray(b.convert("RGB"), np.float64)
    return float(np.sqrt((apart**2).mean()))


def _check_study(found: Study) -> None:
    """InputError where pictures differ from the reference by more than their steps."""
    if found.plan.source:
        raise InputError("study", found.name, "give one whose pictures begin with noise alone")
    for axis in found.plan.axes:
        if axis.name not in AXES:
            remedy = f"one reference fits all pictures only where nothing but these varies: {', '.join(AXES)}"
            raise InputError("axis", axis.name, remedy)


def _table(found: Study, values: dict[str, float]) -> pd.DataFrame:
    """What `errors` returns, of errors by key."""
    ways = [axis.name for axis in found.plan.axes if axis.name != "steps"]
    table = found.coordinates().assign(steps=[job.settings.steps for job in found.jobs])
    table = table[table["key"].isin(values)].reset_index(drop=True)
    return table.assign(way=table[ways].agg(", ".join, axis=1) if ways else "", error=table["key"].map(values))


def _reference(found: Study, steps: int, device: str, progress: bool) -> Study:
    plan = found.plan
    cleared = {"timestep_spacing": "", "respacing": "", "timesteps": "", "sigmas": ""}
    return study(
        plan.phrase or None, prompts=[prompt.text for prompt in found.expansion], seeds=plan.seeds,
        settings=plan.settings.but(**cleared).but(steps=steps), model=plan.model.name, loras=plan.model.loras,
        out=found.folder.parent, device=device, strict=plan.strict, progress=progress, yes=True,
    )  # fmt: skip


def _done(found: Study) -> list[dict[str, Any]]:
    frame = found.frame()
    return frame[frame["status"] == "done"].to_dict("records")


def _picture(path: Path) -> Image.Image:
    return read_picture(path).image
