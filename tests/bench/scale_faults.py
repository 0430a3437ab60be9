"""Kills workers and drivers of studies at random, and counts what is lost or doubled.

    python tests/bench/scale_faults.py [--kills 40] [--engine processes|ray]

Each trial renders 24 pictures of a tiny model with two workers; at random moments a worker or the driver gets SIGKILL,
and a killed driver's command is run again until the study is complete. The last line is JSON.
"""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from scale.faults import inventory, rows, start, wait_until, workers_of
from tiny_diffusion import build_tiny_sd

PICTURES = 24
MARKS = {"processes": "spawn_main", "ray": "ray::MapWorker"}


def trial(engine: str, model: Path, out: Path, chance: random.Random) -> dict[str, int]:
    """One study under fire until it is complete: kills of each kind, and what was lost, doubled or rendered again."""
    counts = {"workers_killed": 0, "drivers_killed": 0, "lost": 0, "doubled": 0, "rendered_again": 0}
    known: dict[str, str] = {}
    folder, words = out / "study", (engine, "-", str(model), out, PICTURES)
    driver = start(*words)
    while driver.poll() is None:
        goal = rows(folder) + chance.randint(1, 8)
        if not wait_until(lambda goal=goal: rows(folder) >= goal, driver):
            continue
        victims = workers_of(driver.pid, MARKS[engine]) if driver.poll() is None else []
        if victims and chance.random() < 0.6:
            chance.choice(victims).kill()
            counts["workers_killed"] += 1
        elif driver.poll() is None:
            driver.kill()
            driver.wait()
            counts["drivers_killed"] += 1
            known |= {key: row["created"] for key, row in inventory(folder).items()}
            driver = start(*words)
    found = inventory(folder)
    counts["lost"] = PICTURES - len(found) + (driver.returncode != 0)
    counts["doubled"] = len(list((folder / "images").glob("*.png"))) - len(found)
    counts["rendered_again"] = sum(found[key]["created"] != created for key, created in known.items() if key in found)
    return counts


def faults(engine: str, kills: int, seed: int) -> dict[str, int | str]:
    """The sums of as many trials as that many kills take."""
    chance, sums, trials = random.Random(seed), {}, 0
    with tempfile.TemporaryDirectory() as temporary:
        model = build_tiny_sd(Path(temporary) / "model")
        while sums.get("workers_killed", 0) + sums.get("drivers_killed", 0) < kills:
            out = Path(temporary) / str(trials)
            for name, number in trial(engine, model, out, chance).items():
                sums[name] = sums.get(name, 0) + number
            trials += 1
            print(trials, sums, flush=True)
    return {"engine": engine, "studies": trials, "pictures": trials * PICTURES} | sums


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--engine", choices=list(MARKS), default="processes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(json.dumps(faults(arguments.engine, arguments.kills, arguments.seed)))
