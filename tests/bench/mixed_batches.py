"""Whether a sweep of mixed steps and guidance renders as fast as pictures that are all alike.

    python tests/bench/mixed_batches.py [--rounds 3] [--model vignettes]

Compared are evaluations of the UNet per second, rows with and without the prompt counted alike: a picture of 40 guided
steps is eight of 10 without guidance. Both kinds take turns, so that other work on the machine slows both. The ratio is
that of their medians; the last line is JSON.
"""

import argparse
import json
import statistics
import time
from itertools import product

import torch

from synth import presets
from synth.jobs import Job, Settings
from synth.rendering import render

PROMPTS = ("a red lighthouse at sunset", "a blue boat by the sea")
STEPS, GUIDANCE = (5, 10, 15, 20, 30), (1.0, 2.0, 4.0, 8.0)


def jobs(model: str, settings: list[Settings], seeds: range) -> list[Job]:
    """A job for each of the settings, prompts and seeds."""
    reference = presets.resolve(model, "renderer")
    return [
        Job(phrase=prompt, prompt=prompt, seed=seed, settings=item, model=reference)
        for item, prompt, seed in product(settings, PROMPTS, seeds)
    ]


def evaluations(job: Job) -> int:
    """How many rows the UNet computes for a picture."""
    return job.settings.steps * (2 if job.settings.guidance_scale > 1 else 1)


def rate(batch: list[Job]) -> tuple[float, float]:
    """Evaluations per second, and pictures per second."""
    started = time.perf_counter()
    results = list(render(batch))
    seconds = time.perf_counter() - started
    assert all(result.status == "done" for result in results)
    return sum(map(evaluations, batch)) / seconds, len(batch) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="vignettes")
    options = parser.parse_args()
    standard = presets.advised(options.model, "exact")
    sweep = [standard.but(steps=steps, guidance_scale=scale) for steps, scale in product(STEPS, GUIDANCE)]
    kinds = {"alike": jobs(options.model, [standard], range(16)), "mixed": jobs(options.model, sweep, range(2))}
    list(render(kinds["alike"][:2]))  # loads the model
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for number, name in product(range(options.rounds), kinds):
        rates[name].append(rate(kinds[name]))
        print(
            f"round {number + 1}, {name}: {rates[name][-1][0]:.1f} evaluations/s, {rates[name][-1][1]:.2f} pictures/s"
        )
    medians = {name: statistics.median(value for value, _ in found) for name, found in rates.items()}
    ratio = medians["mixed"] / medians["alike"]
    print(f"mixed reach {ratio:.2f} of the rate of pictures that are alike ({torch.get_num_threads()} threads)")
    print(json.dumps({f"{name}_evaluations_per_second": round(value, 2) for name, value in medians.items()} | {
        "pictures": {name: len(batch) for name, batch in kinds.items()}, "ratio": round(ratio, 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
