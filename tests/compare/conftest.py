"""Sweeps without models: real folders, plans and journals, with made-up pictures, times and measures."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from synth.compare.sweeps import Sweep, prepare
from synth.jobs import Job, Result, Settings
from synth.journal import Journal
from synth.studies import Study
from synth.writing.prompts import Expansion, Prompt

PROMPTS = ("a red house", "a blue <b>boat</b>")


def colour(job: Job) -> tuple[int, int, int]:
    """Of a made-up picture: no two of a sweep are alike."""
    settings = job.settings
    return (
        int(10 * settings.guidance_scale) % 256,
        settings.steps % 256,
        (40 * job.seed + 9 * len(settings.scheduler)) % 256,
    )


def fill(made: Sweep, failed: Callable[[Job], bool], seconds: Callable[[Job], float]) -> None:
    """Write the pictures and rows of a sweep."""
    study = made.study
    places = study.plan.coordinates(len(study.expansion))
    with Journal(study.folder) as journal:
        for job, place in zip(study.jobs, places, strict=True):
            bad = failed(job)
            result = Result(
                job=job, status="failed" if bad else "done", error="out of memory" if bad else "",
                image=None if bad else Image.new("RGB", (job.settings.width, job.settings.height), colour(job)),
                seconds=seconds(job), device="cpu", dtype="float32", batch_size=4, prompt_tokens=5,
            )  # fmt: skip
            journal.record(result, prompt_index=place["prompt_index"], strict=False, candidate=None, logprob=None)
        journal.export()


@pytest.fixture(scope="session")
def make_sweep() -> Callable[..., Sweep]:
    """make_sweep(folder, x=..., y=..., ...): a sweep of two prompts and three seeds that is filled with pictures."""

    def make(folder: Path, *, failed=lambda job: False, seconds=lambda job: 1.0, empty=False, **how) -> Sweep:
        how = {"prompts": list(PROMPTS), "seeds": 3, "settings": Settings(width=64, height=64)} | how
        request = prepare(out=folder, **how)
        prompts = tuple(Prompt(text=text, phrase=text) for text in request.plan.prompts)
        path = folder / request.plan.folder_name
        (path / "images").mkdir(parents=True, exist_ok=True)
        study = Study(path, request.plan, Expansion(phrase="", prompts=prompts), datetime.now(UTC))
        study._write()
        made = Sweep(study, request.layout)
        if not empty:
            fill(made, failed, seconds)
        return made

    return make
