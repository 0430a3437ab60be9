"""What a study will take, told before it runs: pictures, operations, device-hours, storage and cost."""

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from synth.errors import RenderError, StudyError
from synth.jobs import Job, ModelRef, Result
from synth.records.estimates import in_words
from synth.records.pictures import COMPRESS_LEVEL
from synth.records.plans import Plan
from synth.scale.flops import flops
from synth.studies import ROOT, Study

SAMPLE = 16  # pictures that are rendered where nothing was measured
ROW = 600  # bytes, in a log of many rows


@dataclass(frozen=True)
class Speed:
    """seconds: for a unit of `work` on one device; size: bytes of a PNG for each pixel; source: where measured."""

    seconds: float
    size: float
    source: str


@dataclass(frozen=True)
class Forecast:
    """What a study will take.

    operations: floating-point, None where they cannot be counted. seconds: of one device. storage: bytes.
    workers: devices that share the work; price: of a device-hour, None where nobody said.
    """

    pictures: int
    operations: float | None
    seconds: float
    storage: float
    workers: int
    price: float | None
    source: str

    @property
    def device_hours(self) -> float:
        """Hours of one device."""
        return self.seconds / 3600

    @property
    def cost(self) -> float | None:
        """In what `price` is in."""
        return None if self.price is None else self.device_hours * self.price

    def lines(self) -> list[tuple[str, str]]:
        """Names and values, for people."""
        operations = "not counted for this kind of model" if self.operations is None else _flop(self.operations)
        speed = f"{self.pictures / self.seconds:.3g} pictures a second and device, {self.source}"
        lines = [
            ("pictures", f"{self.pictures:,}"),
            ("operations", operations),
            ("speed", speed),
            ("device-hours", f"{self.device_hours:,.3g}"),
            ("time", f"{in_words(self.seconds / self.workers)} on {self.workers:,} device{'s' * (self.workers > 1)}"),
            ("storage", _bytes(self.storage)),
        ]
        return lines + ([] if self.cost is None else [("cost", f"{self.cost:,.2f} at {self.price:g} a device-hour")])


def forecast(
    plan: Plan, root: str | Path = ROOT, *, workers: int = 1, price: float | None = None, device: str = "auto"
) -> Forecast:
    """The forecast for a plan, from the speed of the newest study of its model under `root`.

    Where there is none, a few of its pictures are rendered, on `device`, and thrown away. workers: devices that share
    the work; price: of a device-hour, in any currency.
    """
    cells = _cells(plan)
    speeds = {model: measured(root, model) for model in {job.model for job in cells}}
    speeds = {model: speed or _measure([job for job in cells if job.model == model], device)
              for model, speed in speeds.items()}  # fmt: skip
    each = plan.pictures / len(cells)
    operations = [flops(job) for job in cells]
    return Forecast(
        pictures=plan.pictures,
        operations=None if None in operations else each * sum(operations),
        seconds=each * sum(speeds[job.model].seconds * work(job) for job in cells),
        storage=each * sum(speeds[job.model].size * _pixels(job) + ROW for job in cells),
        workers=workers,
        price=price,
        source="; ".join(sorted({speed.source for speed in speeds.values()})),
    )


def work(job: Job) -> float:
    """What the seconds of a picture grow with: its operations, or else its steps and pixels."""
    return flops(job) or job.settings.steps * _pixels(job)


def measured(root: str | Path, model: ModelRef) -> Speed | None:
    """The speed in the newest study under `root` with finished pictures of a model; None without any."""
    for study in _newest_first(Path(root)):
        frame = study.frame()
        done = frame[frame["status"] == "done"].set_index("key")
        jobs = [job for job in study.jobs if job.model == model and job.key in done.index]
        if jobs:
            rows = done.loc[[job.key for job in jobs]]
            sizes = sum((study.folder / path).stat().st_size for path in rows["path"])
            source = f"as measured in {study.name} on {rows['device'].iloc[0]}"
            return Speed(rows["seconds"].sum() / sum(map(work, jobs)), sizes / sum(map(_pixels, jobs)), source)
    return None


def _newest_first(root: Path) -> Iterator[Study]:
    studies = []
    for path in root.glob("*/plan.json"):
        try:
            studies.append(Study.open(path.parent))
        except StudyError:
            continue
    return iter(sorted(studies, key=lambda study: study.created, reverse=True))


def _measure(cells: list[Job], device: str) -> Speed:
    """The speed of a batch here and now, after one picture that warms up."""
    from synth.rendering import render

    jobs = [replace(cells[number % len(cells)], seed=number) for number in range(SAMPLE)]
    warm = list(render(jobs[:1], device=device))
    began = time.perf_counter()
    results = [result for result in render(jobs, device=device) if result.status == "done"]
    seconds = time.perf_counter() - began
    if not results:
        raise RenderError(f"Nothing can be measured: {warm[0].error}")
    sizes = sum(map(_png_size, results))
    done = [result.job for result in results]
    source = f"as measured now with {len(done)} pictures on {results[0].device}"
    return Speed(seconds / sum(map(work, done)), sizes / sum(map(_pixels, done)), source)


def _cells(plan: Plan) -> list[Job]:
    """A job for each cell of the axes, with one prompt and seed in the place of all."""
    prompt = plan.prompts[0] if plan.prompts else plan.phrase
    return replace(plan, n=1, seeds=plan.seeds[:1]).jobs([prompt])


def _pixels(job: Job) -> int:
    return job.settings.width * job.settings.height


def _png_size(result: Result) -> int:
    buffer = io.BytesIO()
    result.image.save(buffer, "PNG", compress_level=COMPRESS_LEVEL)
    return buffer.tell()


def _flop(number: float) -> str:
    for name, size in (("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12)):
        if number >= size:
            return f"{number / size:,.3g} {name}"
    return f"{number / 1e9:,.3g} GFLOP"


def _bytes(number: float) -> str:
    for name, size in (("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{number / size:,.3g} {name}"
    return f"{number / 1e6:,.3g} MB"
