"""How far the plan of a study is from what the study then takes.

    python tests/bench/plan.py [--pictures 200] [--out FOLDER]

A small study of the bundled model is measured, `synth study run --plan` forecasts one of 200 pictures from it, and that
is run. A second forecast has nothing measured before, and renders a few pictures itself. Compared is the wall time of
rendering, from the first job handed to the engine to the last row. The last line is JSON.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from synth.jobs import Settings
from synth.records.plans import make_plan
from synth.rendering import render
from synth.scale.forecasts import forecast
from synth.studies import study

PROMPTS = ["a red lighthouse at sunset", "a blue boat in the rain", "a green house in the snow", "a cat on a hill"]
FIRST = 32  # pictures of the study that is measured


def plan_against_run(pictures: int, out: Path) -> dict[str, float]:
    """Seconds and bytes as forecast and as measured, and their ratios."""
    how = {"prompts": PROMPTS, "settings": Settings()}
    plan = make_plan(seeds=pictures // len(PROMPTS), **how)
    unknown = forecast(plan, out / "nothing here")
    study(seeds=FIRST // len(PROMPTS), seed=10_000, out=out, name="first", progress=False, **how)
    known = forecast(plan, out)
    seconds: list[float] = []

    def timed(jobs, **more):
        began = time.perf_counter()
        yield from render(jobs, **more)
        seconds.append(time.perf_counter() - began)

    made = study(seeds=pictures // len(PROMPTS), out=out, name="long", progress=False, engine=timed, **how)
    size = sum(path.stat().st_size for path in (made.folder / "images").iterdir())
    return {
        "pictures": made.counts["done"],
        "tflop": round(known.operations / 1e12, 2),
        "seconds": round(seconds[0], 1),
        "plan_over_run": round(known.seconds / seconds[0], 3),
        "plan_over_run_when_measured_now": round(unknown.seconds / seconds[0], 3),
        "storage_over_run": round(known.storage / size, 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(plan_against_run(arguments.pictures, arguments.out or Path(temporary))))
