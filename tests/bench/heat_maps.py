"""What heat maps cost on top of plain rendering, and whether the pictures stay the same.

    python tests/bench/heat_maps.py [--pictures 8] [--repeats 5] [--model vignettes] [--device auto]

Recorded and plain rendering take turns; compared are the fastest turns, as other programs only slow them down. With
maps means all of it: the attention of every layer and step, and each word's map in the picture's size. The last line is
JSON.
"""

import argparse
import json
import time

import numpy as np

from synth.explain.words import heat
from synth.jobs import Job
from synth.presets import advised, resolve
from synth.rendering import render

PROMPT = "a red lighthouse at sunset, by the sea, in heavy rain, watercolor, soft light, highly detailed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", default="vignettes")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    model, settings = resolve(options.model, "renderer"), advised(options.model)
    jobs = [
        Job(phrase=PROMPT, prompt=PROMPT, seed=seed, settings=settings, model=model) for seed in range(options.pictures)
    ]
    works = {
        "plain": lambda: list(render(jobs, device=options.device)),
        "recorded": lambda: [(item.image, item.maps()) for item in heat(jobs, device=options.device)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in works}
    made: dict[str, list] = {}
    for turn in range(options.repeats + 1):  # the first warms up
        for name, work in works.items():
            started = time.perf_counter()
            made[name] = work()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    plain, recorded = (min(seconds[name]) for name in works)
    pairs = zip(made["plain"], made["recorded"], strict=True)
    apart = max(int(np.abs(np.int16(a.image) - np.int16(b)).max()) for a, (b, _) in pairs)
    print(f"{options.pictures} pictures: {plain:.2f} s plain, {recorded:.2f} s with maps of {PROMPT!r}")
    print(json.dumps({"heat_maps_ratio": round(recorded / plain, 3), "largest_pixel_difference": apart}))


if __name__ == "__main__":
    main()
