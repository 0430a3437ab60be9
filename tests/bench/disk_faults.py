"""Let every change that a study, or a service, makes on its disk fail, and look at what is left.

    python tests/bench/disk_faults.py [study|service] [--every 1]

They are counted once on a healthy disk: files made, written, cut, synced and renamed, by Python and by SQLite. Then
each in turn fails once with an I/O error, and once because the disk is full, from then on. After that the disk is
healthy, and the same command must make all that is missing and nothing that was there. It needs Linux and a C
compiler. The last line is JSON.
"""

import argparse
import errno
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from faulty_disk import changes, fault, run_on_it
from tiny_diffusion import build_tiny_sd

from synth.errors import StudyError, SynthError
from synth.jobs import Settings
from synth.journal import NAME, Journal
from synth.records.pictures import read_picture
from synth.studies import Study, study

FAULTS = ((errno.EIO, False), (errno.ENOSPC, True))  # error, and whether all that follows fails, too
SMALL = {"steps": 1, "width": 64, "height": 64}
PROMPTS = ["a red house"]
CLIENT = "0123456789abcdef"
STUCK = 30.0  # seconds
BAD = ("not_told", "unclear", "lost", "doubled", "rendered_again", "left_behind", "stuck", "dead")


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of finished pictures by their keys; each picture is read whole."""
    if not (folder / NAME).exists() or not (folder / "images").is_dir():
        return {}
    with Journal(folder) as journal:
        done = journal.done()
        found = {row["key"]: row for row in journal.rows() if row["key"] in done}
    for key, row in found.items():
        picture = read_picture(folder / row["path"])
        assert (picture.job.key, picture.digest) == (key, row["pixels_sha256"]), (
            f"{row['path']} is not what its row says"
        )
    return found


def look(folder: Path, before: dict[str, dict[str, Any]], counts: Counter) -> None:
    """Count what is lost, doubled and rendered again in a study that has ended well."""
    now, wanted = rows(folder), {job.key for job in Study.open(folder).jobs}
    counts["lost"] += len(wanted - now.keys())
    counts["doubled"] += len(list((folder / "images").iterdir())) - len(wanted)
    counts["rendered_again"] += sum(now.get(key) != row for key, row in before.items())
    counts["left_behind"] += len(list(folder.rglob("*.tmp")))


class Studies:
    """A study of two pictures of a tiny model."""

    def __init__(self, scratch: Path) -> None:
        self.model = str(build_tiny_sd(scratch / "model"))

    def begin(self, root: Path) -> None:
        """Run it on a disk that may fail."""
        self._run(root)

    def again(self, root: Path, counts: Counter) -> None:
        """Run it on a healthy disk."""
        before = rows(root / "study")
        self._run(root)
        look(root / "study", before, counts)

    def _run(self, root: Path) -> None:
        study(
            prompts=PROMPTS, seeds=2, settings=Settings(**SMALL), model=self.model, out=root, name="study",
            batch_size=1, device="cpu", progress=False,
        )  # fmt: skip


class Services:
    """A service that is asked for two pictures of the bundled model."""

    def __init__(self, scratch: Path) -> None:
        self.service = None

    def begin(self, root: Path) -> None:
        """Start it on a disk that may fail, and ask; StudyError with the reason that the client is told."""
        self.service = None
        self._start(root)
        if reason := self._ask().reason:
            raise StudyError(reason)

    def again(self, root: Path, counts: Counter) -> None:
        """Ask it on a healthy disk, the same one if it lives; it must not be necessary to start it again."""
        if self.service is None:
            self._start(root)
        before = {key: row for folder in root.glob(f"{CLIENT}/*") for key, row in rows(folder).items()}
        state = self._ask()
        counts["stuck"] += state.state != "done"
        counts["dead"] += not self.service.worker.is_alive()
        self.service.stop()
        look(root / CLIENT / state.id, before, counts)

    def _start(self, root: Path) -> None:
        from synth.serve.catalogue import Catalogue
        from synth.serve.service import Service

        service = Service(root, Catalogue(), device="cpu")
        service.start()
        self.service = service

    def _ask(self) -> Any:
        """Ask for the study until it has ended, or nothing happens any more."""
        from synth.serve.asks import RenderAsk

        ask = RenderAsk(prompts=PROMPTS, seeds=2, settings=SMALL)
        state = self.service.draw(CLIENT, ask)
        ends = time.monotonic() + STUCK
        while not state.ended and time.monotonic() < ends:
            time.sleep(0.02)
            state = self.service.state(self.service.find(CLIENT, state.id))
        return state


KINDS = {"study": Studies, "service": Services}


def trial(kind: Any, root: Path, at: int, error: int, lasting: bool, counts: Counter) -> bool:
    """One fault and what comes of it; False where there are fewer changes than that."""
    root.mkdir()
    try:
        with fault(root, at, error, lasting):
            kind.begin(root)
            reached = changes() >= at
    except SynthError as told:
        reached, sentence = True, str(told)
        counts["told"] += 1
        if os.strerror(error) not in sentence and "disk" not in sentence:
            counts["unclear"] += 1
            print(f"change {at}, {os.strerror(error)}: {sentence}", flush=True)
    except Exception as other:
        reached = True
        counts["not_told"] += 1
        print(f"change {at}, {os.strerror(error)}: {type(other).__name__}: {other}", flush=True)
    if reached:
        counts["faults"] += 1
        kind.again(root, counts)
    shutil.rmtree(root)
    return reached


def faults(make: Callable[[Path], Any], every: int) -> dict[str, float]:
    """The counts over all changes, or each so many of them."""
    began = time.perf_counter()
    names = (
        "faults",
        "told",
        "not_told",
        "unclear",
        "lost",
        "doubled",
        "rendered_again",
        "left_behind",
        "stuck",
        "dead",
    )
    counts = Counter(dict.fromkeys(names, 0))
    with tempfile.TemporaryDirectory() as scratch:
        kind, at = make(Path(scratch)), every
        with fault(Path(scratch, "healthy")):
            Path(scratch, "healthy").mkdir()
            kind.begin(Path(scratch, "healthy"))
            counts["changes"] = changes()
        kind.again(Path(scratch, "healthy"), counts)
        while any([trial(kind, Path(scratch, "faulty"), at, *how, counts) for how in FAULTS]):
            at += every
    return counts | {"seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=tuple(KINDS), nargs="?", help="(default: both)")
    parser.add_argument("--every", type=int, default=1, help="try only each so many of the changes")
    arguments = parser.parse_args()
    if "faulty_disk" not in os.environ.get("LD_PRELOAD", ""):
        with tempfile.TemporaryDirectory() as scratch:
            sys.exit(run_on_it(Path(scratch), *sys.argv).returncode)
    kinds = [arguments.kind] if arguments.kind else list(KINDS)
    print(json.dumps({kind: faults(KINDS[kind], arguments.every) for kind in kinds}))


if __name__ == "__main__":
    main()
