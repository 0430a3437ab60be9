"""What studies and batches need of many workers: one call, `scatter`; and the engine of a study made of it.

A crew is the processes of this machine (`processes`) or a Ray cluster (`cluster`). Nothing else differs between them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from synth.errors import InputError, SynthError
from synth.jobs import Job, Result, check_choice, check_whole
from synth.scale.parcels import parcels
from synth.studies import Engine

NAMES = ("processes", "ray")
PARCEL = 16  # pictures that a worker gets at once, and at most loses when it is killed


class Crew(Protocol):
    """Workers that each load what they need once. workers: how many there are."""

    workers: int

    def scatter(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Yield (place in `items`, task(item)) as workers finish; each place exactly once, in any order.

        task, items and answers are pickled. The item of a worker that dies is given to another; one over which ATTEMPTS
        workers died is answered with a RenderError. An error that the task raises is raised here, as a RenderError.
        """
        ...


def crew(engine: str, *, workers: int | None = None, device: str = "auto", address: str | None = None) -> Crew:
    """The crew of that name: "processes" or "ray".

    workers: how many, by default one for each GPU, else one on this machine or for each node of the cluster.
    device: auto, cuda or cpu, as each worker is to understand it. address: of a Ray cluster that runs already, as
    "auto" or "10.0.0.1:6379"; by default a small one is started on this machine for as long as it is needed.
    """
    check_choice("engine", engine, NAMES)
    if workers is not None:
        check_whole("workers", workers, 1, 10_000)
    if engine == "ray":
        from synth.scale.cluster import Cluster

        return Cluster(address, workers, device)
    if address is not None:
        raise InputError("address", address, "give it with the engine ray only")
    from synth.scale.processes import Processes

    return Processes(workers, device)


def engine(crew: Crew) -> Engine:
    """What `synth.study` takes as engine: renders jobs with a crew, and answers as `synth.rendering.render` does.

    Previews while a picture forms stay with the workers, so `on_step` is not called. Of a parcel that kills its workers
    each job is tried alone, so that no more than the culprit fails.
    """

    def render(jobs: Sequence[Job], *, on_step: Any = None, **how: Any) -> Iterator[Result]:
        fair = -(-len(jobs) // crew.workers)
        lost: list[Job] = []
        for parcel, answer in _rendered(crew, parcels(jobs, min(how.get("batch_size") or PARCEL, fair)), how):
            if isinstance(answer, SynthError):
                lost += parcel
            else:
                yield from answer
        for [job], answer in _rendered(crew, [[job] for job in lost], how):
            failed = isinstance(answer, SynthError)
            yield from [Result(job=job, status="failed", error=str(answer))] if failed else answer

    return render


@dataclass(frozen=True)
class _Rendering:
    """Renders a parcel; the model stays loaded in the worker's process."""

    how: dict[str, Any]

    def __call__(self, jobs: list[Job]) -> list[Result]:
        from synth.rendering import render

        return list(render(jobs, **self.how))


def _rendered(crew: Crew, parts: list[list[Job]], how: dict[str, Any]) -> Iterator[tuple[list[Job], Any]]:
    if parts:
        for place, answer in crew.scatter(_Rendering(how), parts):
            yield parts[place], answer
