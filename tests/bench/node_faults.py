"""Kills a node of a Ray cluster of two while it renders, and counts what is lost or doubled.

    python tests/bench/node_faults.py [--trials 3]

Both nodes are on this machine, each with one CPU. Each trial renders 24 pictures of a tiny model; at a random moment
the node that is not the head gets SIGKILL with all its processes, and the run has to end by itself, on what is left.
The last line is JSON.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ports import free_port
from scale.faults import inventory, rows, start, wait_until
from tiny_diffusion import build_tiny_sd

from synth.scale.cluster import OWN

PICTURES = 24
NODE = [
    "--num-cpus=1",
    f"--object-store-memory={2**27}",
    "--node-ip-address=127.0.0.1",
    "--block",
    "--disable-usage-stats",
]


@contextmanager
def node(*words: str) -> Iterator[subprocess.Popen]:
    """A node in a process group of its own."""
    command = [str(Path(sys.executable).with_name("ray")), "start", *words, *NODE]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=OWN | dict(os.environ), start_new_session=True, **quiet)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL for a node and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def trial(model: Path, out: Path, chance: random.Random) -> dict[str, int]:
    """One study that loses a node."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with node("--head", f"--port={port}", "--include-dashboard=false"):
        time.sleep(15)
        with node(f"--address={address}") as other:
            time.sleep(15)
            driver = start("ray", address, str(model), out, PICTURES)
            goal = chance.randint(1, PICTURES // 2)
            killed = wait_until(lambda: rows(out / "study") >= goal, driver)
            kill(other)
            driver.wait(900)
    found = inventory(out / "study")
    return {
        "nodes_killed": int(killed), "lost": PICTURES - len(found) + (driver.returncode != 0),
        "doubled": len(list((out / "study" / "images").glob("*.png"))) - len(found),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, sums = random.Random(options.seed), {"pictures": 0}
    with tempfile.TemporaryDirectory() as temporary:
        model = build_tiny_sd(Path(temporary) / "model")
        for number in range(options.trials):
            for name, count in trial(model, Path(temporary) / str(number), chance).items():
                sums[name] = sums.get(name, 0) + count
            sums["pictures"] += PICTURES
            print(number, sums, flush=True)
    print(json.dumps(sums))


if __name__ == "__main__":
    main()
