"""Kill a study with SIGKILL at random moments, resume it, and check that no row is lost, doubled or rendered twice.

    python tests/bench/kill_resume.py [--kills 60] [--model FOLDER]

Every run is a process of its own, forked from a server that has only imported the libraries. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tqdm import tqdm

from synth.journal import Journal
from synth.records.pictures import read_picture
from synth.studies import Study, study

PROMPTS = ["a red house", "a blue boat", "a green hill"]
SEEDS = 6
NAME = "killed"


def run_study(root: str, model: str) -> None:
    """The study that is killed: 18 pictures of 64 x 64 in batches of 3."""
    import torch

    from synth.jobs import Settings

    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed process leaks
    small = Settings(steps=2, width=64, height=64)
    study(
        prompts=PROMPTS, seeds=SEEDS, settings=small, model=model, out=root, name=NAME, device="cpu", batch_size=3,
        progress=False,
    )  # fmt: skip


def processes() -> multiprocessing.context.BaseContext:
    """A context whose processes start with torch and diffusers imported, and nothing computed yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["synth.rendering", "synth.expansion", "pandas", "pyarrow.parquet"])
    return context


def trial(root: Path, model: Path, chance: random.Random, most_kills: int) -> dict[str, int]:
    """One study, killed up to `most_kills` times on its way, then resumed to its end and checked."""
    context, folder = processes(), root / NAME
    finished: dict[str, dict] = {}
    kills = 0
    while kills < most_kills:
        process = context.Process(target=run_study, args=(str(root), str(model)))
        process.start()
        seen = _wait_and_look(folder, process, new_pictures=chance.randint(0, 4), pause=chance.uniform(0, 0.05))
        if not process.is_alive():
            process.join()
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
        _check_kept(finished | seen, folder)
        finished |= seen | _rows(folder)
    last = context.Process(target=run_study, args=(str(root), str(model)))
    last.start()
    last.join(120)
    assert last.exitcode == 0, f"the last run ended with {last.exitcode}"
    _check_kept(finished, folder)
    _check_whole(folder)
    return {"kills": kills, "finished_before_a_kill": len(finished)}


def _wait_and_look(
    folder: Path, process: multiprocessing.Process, *, new_pictures: int, pause: float
) -> dict[str, dict]:
    """Wait for some pictures more, then a random moment; returns the rows that are there just before the kill."""
    images = folder / "images"
    start = len(list(images.glob("*.png")))
    while process.is_alive() and len(list(images.glob("*.png"))) < start + new_pictures:
        time.sleep(0.002)
    rows = _rows(folder)
    time.sleep(pause)
    return rows


def _rows(folder: Path) -> dict[str, dict]:
    if not (folder / "journal.sqlite").exists():
        return {}
    with Journal(folder) as journal:
        return {row["key"]: row for row in journal.rows()}


def _check_kept(before: dict[str, dict], folder: Path) -> None:
    """Rows once seen are there unchanged: not lost, and, by the time they were created, not rendered again."""
    now = _rows(folder)
    for key, row in before.items():
        assert now.get(key) == row, f"row {key} was {row} and is {now.get(key)}"


def _check_whole(folder: Path) -> None:
    found = Study.open(folder)
    rows = list(_rows(folder).values())
    assert sorted(row["key"] for row in rows) == sorted(job.key for job in found.jobs), "a row is missing or too many"
    assert {row["path"] for row in rows} == {f"images/{path.name}" for path in (folder / "images").iterdir()}
    assert not [path for path in folder.rglob("*.tmp")], "a temporary file is left"
    for row in rows:
        picture = read_picture(folder / row["path"])
        assert picture.job.key == row["key"]
        assert picture.digest == picture.recorded_digest == row["pixels_sha256"]


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, help="a pipeline folder; by default a tiny one with random weights")
    arguments = parser.parse_args()
    chance, started = random.Random(arguments.seed), time.perf_counter()
    total = {"kills": 0, "finished_before_a_kill": 0, "studies": 0}
    with tempfile.TemporaryDirectory() as scratch:
        model = arguments.model or _tiny_model(Path(scratch, "model"))
        while total["kills"] < arguments.kills:
            counts = trial(
                Path(scratch, str(total["studies"])), model, chance, min(8, arguments.kills - total["kills"])
            )
            total = {name: total[name] + counts.get(name, 1) for name in total}
            print(f"{total['kills']} kills, every row kept", flush=True)
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps(total | {"lost": 0, "doubled": 0, "rendered_twice": 0, "seconds": seconds}))


def _tiny_model(folder: Path) -> Path:
    from tiny_diffusion import build_tiny_sd

    return build_tiny_sd(folder)


if __name__ == "__main__":
    main()
