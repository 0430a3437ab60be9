"""How jobs are parcelled out: what is computed well together goes to one worker, and models follow one another."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from synth.jobs import Job

T = TypeVar("T")
AT_NO_COST = {"negative_prompt": "", "guidance_scale": 0.0, "guidance_rescale": 0.0, "postprocess": ""}


def parcels(jobs: Iterable[Job], size: int) -> list[list[Job]]:
    """The jobs in parcels of at most `size`, each of one model and one picture size.

    Jobs that take the same steps fill whole parcels; what is left of them shares parcels, as batches do in
    `synth.rendering`. The same jobs in the same order give the same parcels.
    """
    whole: list[list[Job]] = []
    rest: dict[Hashable, list[Job]] = {}
    for group in _grouped(jobs, _course):
        full = len(group) // size * size
        whole += _cut(group[:full], size)
        rest.setdefault(_shape(group[0]), []).extend(group[full:])
    found = whole + [parcel for group in rest.values() for parcel in _cut(group, size)]
    return [parcel for group in _grouped(found, lambda parcel: parcel[0].model) for parcel in group]


def _grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _cut(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    return [list(jobs[start : start + size]) for start in range(0, len(jobs), size)]


def _shape(job: Job) -> Hashable:
    return job.model, job.settings.width, job.settings.height


def _course(job: Job) -> Hashable:
    """The model, and all of the settings but those that may differ within a batch at no cost."""
    return job.model, job.settings.but(**AT_NO_COST), bool(job.source)
