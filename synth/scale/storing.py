"""Studies that are too large for one machine to hold: workers write pictures and rows into a store by themselves.

    <store>/images/<first 2 digits of the key>/<first 16 digits>.png     each carries its row
    <store>/rows/<key of the parcel>.parquet                             the rows of up to 32 pictures

Rows are written after their pictures, and what they are named by depends on the plan alone. So a parcel whose rows are
there is done, and whatever is repeated, by a worker after a kill or by two at once, puts the same under the same names.
"""

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from synth.errors import StudyError, SynthError
from synth.jobs import Job, Result, content_key
from synth.records.pictures import read_picture, save_picture
from synth.records.rows import COLUMNS, as_frame, job_columns, result_columns
from synth.records.sources import kept
from synth.scale.crews import Crew
from synth.scale.parcels import parcels
from synth.scale.store import Store
from synth.studies import Study, study

if TYPE_CHECKING:
    import pandas

PARCEL = 32  # pictures that share a file of rows; another number would give other names
READERS = 16
DONE, FAILED = ".parquet", ".failed.parquet"


@dataclass(frozen=True)
class Stored:
    """A study whose pictures are in a store. done, failed: how many are; left: how many were never answered for."""

    study: Study
    url: str
    done: int
    failed: int
    left: int


def store_study(url: str, crew: Crew, *, progress: bool = True, **arguments: Any) -> Stored:
    """Render a study (see `synth.study`) with a crew into a store; the study's folder gets no more than its plan.

    Run again, it renders what has no rows in the store, or failed. `gather` reads the log.
    """
    store = Store(url)
    begun = study(**arguments, progress=progress, engine=_nothing)
    how = {name: arguments[name] for name in ("device", "dtype", "batch_size") if name in arguments}
    task = _Storing(store, how | {"strict": begun.plan.strict, "pictures": kept(begun.folder, begun.jobs[0])})
    there, facts = store.names("rows"), begun.facts
    missing = [part for name, part in _parts(begun).items() if name + DONE not in there]
    counts = {"done": len(begun.jobs) - sum(map(len, missing)), "failed": 0}
    items = [[(job, facts[job.key]) for job in part] for part in missing]
    with tqdm(desc="rendering", unit=" pictures", total=len(begun.jobs), disable=not progress) as bar:
        bar.update(counts["done"])
        for _, answer in crew.scatter(task, items):
            if not isinstance(answer, SynthError):
                done, failed = answer
                counts = {"done": counts["done"] + done, "failed": counts["failed"] + failed}
                bar.update(done + failed)
    return Stored(begun, url, **counts, left=len(begun.jobs) - sum(counts.values()))


def gather(found: Study, url: str) -> "pandas.DataFrame":
    """The log of a study whose pictures are in a store: one row a picture, as `Study.frame` gives it.

    Paths are relative to the store, which attrs["folder"] names.
    """
    import pandas

    store = Store(url)
    there = store.names("rows")
    names = [name + ending for name in _parts(found) for ending in (DONE, FAILED) if name + ending in there]
    with ThreadPoolExecutor(READERS) as readers:
        shards = [shard for shard in readers.map(store.get, (f"rows/{name}" for name in names)) if shard]
    frames = [pandas.read_parquet(io.BytesIO(shard)) for shard in shards]
    frame = pandas.concat(frames, ignore_index=True) if frames else as_frame([])
    frame = frame.drop_duplicates("key").sort_values(["prompt_index", "seed"], kind="stable", ignore_index=True)
    frame.attrs["folder"] = str(store.folder or url)
    return frame


@dataclass(frozen=True)
class _Storing:
    """What a worker does with a parcel: (done, failed) pictures, all in the store with their rows."""

    store: Store
    how: dict[str, Any]

    def __call__(self, parcel: Sequence[tuple[Job, dict[str, Any]]]) -> tuple[int, int]:
        from synth.rendering import render

        facts = {job.key: own for job, own in parcel}
        with tempfile.TemporaryDirectory(prefix="synth-") as folder:
            scratch = Path(folder) / "picture.png"
            rows = {job.key: self._carried_row(job, own, scratch) for job, own in parcel}
            for result in render([job for job, _ in parcel if rows[job.key] is None], **self.how):
                rows[result.job.key] = self._keep(result, facts[result.job.key], scratch)
        failed = sum(row["status"] == "failed" for row in rows.values())
        self._put_rows(_name([job for job, _ in parcel]), list(rows.values()), failed)
        return len(rows) - failed, failed

    def _carried_row(self, job: Job, facts: Mapping[str, Any], scratch: Path) -> dict[str, Any] | None:
        """The row of a picture that is in the store already, as one is whose worker died before it wrote rows."""
        data = self.store.get(_path(job))
        if data is None:
            return None
        scratch.write_bytes(data)
        try:
            picture = read_picture(scratch)
        except StudyError:
            return None
        row = job_columns(job) | picture.facts | facts | {"path": _path(job), "pixels_sha256": picture.digest}
        whole = picture.digest == picture.recorded_digest and picture.job.key == job.key
        return row if whole and row.keys() == COLUMNS.keys() else None

    def _keep(self, result: Result, facts: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
        facts = dict(facts) | result_columns(result)
        place = {"path": "", "pixels_sha256": ""}
        if result.image is not None:
            digest = save_picture(result.image, scratch, result.job, facts)
            self.store.put(_path(result.job), scratch.read_bytes())
            place = {"path": _path(result.job), "pixels_sha256": digest}
        return job_columns(result.job) | facts | place

    def _put_rows(self, name: str, rows: list[dict[str, Any]], failed: int) -> None:
        shard = io.BytesIO()
        as_frame(rows).to_parquet(shard, index=False)
        self.store.put(f"rows/{name}{FAILED if failed else DONE}", shard.getvalue())
        if not failed:
            self.store.remove(f"rows/{name}{FAILED}")


def _parts(found: Study) -> dict[str, list[Job]]:
    """All jobs of a study in parcels, by the names of their rows."""
    return {_name(part): part for part in parcels(found.jobs, PARCEL)}


def _name(part: Sequence[Job]) -> str:
    return content_key([job.key for job in part])[:32]


def _path(job: Job) -> str:
    return f"images/{job.key[:2]}/{job.key[:16]}.png"


def _nothing(jobs: Sequence[Job], **how: Any) -> Iterator[Result]:
    """An engine that leaves all jobs to somebody else."""
    yield from ()
