"""Whether a class is served fairly, and as fast as the same pictures in one batch without any service.

    python tests/bench/service.py [--clients 30] [--pictures 4] [--rounds 2]

Every client has a key of its own, asks at the same moment for pictures of its own prompts with the bundled model as it
is advised, and listens to its events, previews included. The offline batch is `synth.study` with the same pictures, in
a process that has loaded the model. Both take turns, so that other work on the machine slows both; what is told is the
median of the rounds. The last line is JSON.
"""

import argparse
import json
import os
import random
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.service_process import Server

from synth.vignettes.dataset import random_prompt


def offline(prompts: list[str], seeds: int, folder: Path) -> float:
    """Pictures per second of one study with all prompts."""
    from synth.studies import study

    study(prompts=prompts[:1], seeds=1, out=folder, name="warm", progress=False)
    began = time.perf_counter()
    made = study(prompts=prompts, seeds=seeds, seed=1, out=folder, name=secrets.token_hex(4), yes=True, progress=False)
    seconds = time.perf_counter() - began
    assert made.counts["done"] == len(prompts) * seeds
    return made.counts["done"] / seconds


def served(server: Server, keys: list[str], prompts: list[str], pictures: int, seed: int) -> tuple[list[float], int]:
    """After how many seconds each client had all of its pictures, and how many pictures those were."""
    together, ends, counts = threading.Barrier(len(keys) + 1), [], []

    def ask(key: str, prompt: str) -> None:
        with server.client(key=key) as client:
            client.offered()
            together.wait()
            drawn = client.wait(client.render([prompt], seeds=pictures, seed=seed).id)
            ends.append(time.perf_counter())
            counts.append(sum(picture.status == "done" for picture in drawn.pictures))

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(keys, prompts, strict=True)]
    for thread in threads:
        thread.start()
    together.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return [end - began for end in ends], sum(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--pictures", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    chance = random.Random(0)
    prompts = [f"{random_prompt(chance)}, number {number}" for number in range(options.clients)]
    rates: dict[str, list[float]] = {"served": [], "offline": []}
    ratios, dropped = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        keys = [secrets.token_hex(16) for _ in prompts]
        (folder / "keys").write_text("\n".join(keys))
        for number in range(options.rounds):
            server = Server(folder, threads=os.cpu_count(), keys=folder / "keys").start()
            ends, count = served(server, keys, prompts, options.pictures, 100 * number)
            server.stop()
            dropped += len(prompts) * options.pictures - count
            ratios.append(max(ends) / min(ends))
            rates["served"].append(count / max(ends))
            rates["offline"].append(_apart(offline, prompts, options.pictures, folder))
            print(f"round {number + 1}: {json.dumps(rates)}, worst over best {ratios[-1]:.2f}", flush=True)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(json.dumps({
        "clients": len(prompts), "pictures_each": options.pictures, "dropped": dropped,
        "worst_over_best": round(max(ratios), 3), "share_of_offline": round(medians["served"] / medians["offline"], 3),
        **{f"{name}_pictures_per_second": round(value, 3) for name, value in medians.items()},
        "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1),
    }))  # fmt: skip


def _apart(function, *arguments) -> float:
    """What a function returns in a process of its own, which takes its memory with it."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    main()
