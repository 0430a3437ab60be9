"""Pictures per second of the bundled model on a CPU, against plain diffusers doing the same work.

    python tests/bench/speed_cpu.py [--pictures 96] [--rounds 3] [--batch-size 16] [--steps 6]

The baseline is `StableDiffusionPipeline` called with whole batches, on the same weights and seeds, with the scheduler
and guidance of the speed "exact", at the fewest steps that are not measurably worse than 50 (docs/speed.md says how
they were found). Compared are Synth's three speeds, and each lever alone laid on the baseline's settings; and, to tell
how much of it is the number format, the baseline in bfloat16 and the speeds in float32. All ways take turns, so that
other work on the machine slows all of them, and each ratio is the median over the rounds of that round's ratio. The
last line is JSON.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from synth.jobs import Job, Settings
from synth.models.devices import native_bf16
from synth.presets import SPEEDS, advised, locate, resolve
from synth.rendering import render
from synth.vignettes.evaluation import read_list

MODEL = "vignettes"


def plain(dtype: str, settings: Settings) -> StableDiffusionPipeline:
    """The bundled model as anyone loads it."""
    folder = locate(resolve(MODEL, "renderer"), "renderer")
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=getattr(torch, dtype), local_files_only=True)
    assert settings.scheduler == "ddim" and isinstance(pipeline.scheduler, DDIMScheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def by_diffusers(
    pipeline: StableDiffusionPipeline, settings: Settings, count: int, batch_size: int
) -> Iterator[object]:
    """The first pictures of the list that the model is measured on."""
    items = read_list()[:count]
    for start in range(0, count, batch_size):
        batch = items[start : start + batch_size]
        yield pipeline(
            [item.caption for item in batch],
            generator=[torch.Generator().manual_seed(item.seed) for item in batch],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            height=settings.height,
            width=settings.width,
        )


def by_synth(settings: Settings, count: int, batch_size: int, dtype: str = "auto") -> Iterator[object]:
    """The same pictures by `render`, which has loaded the model when this returns."""
    model = resolve(MODEL, "renderer")
    jobs = [
        Job(phrase=item.caption, prompt=item.caption, seed=item.seed, settings=settings, model=model)
        for item in read_list()[:count]
    ]
    return render(jobs, device="cpu", batch_size=batch_size, dtype=dtype)


def ways(steps: int, count: int, batch_size: int) -> dict[str, Callable[[], Iterator[object]]]:
    """Everything that is compared, the baseline first."""
    base = advised(MODEL, "exact").but(steps=steps)
    quality = advised(MODEL, "quality")
    full, half = plain("float32", base), plain("bfloat16", base)
    levers = {
        "guidance_interval": base.but(guidance_interval=quality.guidance_interval),
        "precision": base.but(precision=quality.precision),
    }
    found: dict[str, Callable[[], Iterator[object]]] = {
        "diffusers": lambda: by_diffusers(full, base, count, batch_size),
        "diffusers in bfloat16": lambda: by_diffusers(half, base, count, batch_size),
    }
    for speed in SPEEDS:
        settings = advised(MODEL, speed)
        found[speed] = lambda settings=settings: by_synth(settings, count, batch_size)
        found[f"{speed} in float32"] = lambda settings=settings: by_synth(settings, count, batch_size, "float32")
    for name, settings in levers.items():
        found[f"{name} alone"] = lambda settings=settings: by_synth(settings, count, batch_size)
    return found


def seconds(work: Callable[[], Iterator[object]], clock: Callable[[], float]) -> float:
    stream = work()
    started = clock()
    for _ in stream:
        pass
    return clock() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6, help="of the baseline")
    parser.add_argument("--cpu-time", action="store_true", help="count processor time, for a busy machine")
    options = parser.parse_args()
    clock = time.process_time if options.cpu_time else time.perf_counter
    compared = ways(options.steps, options.pictures, options.batch_size)
    rounds = []
    for number in range(options.rounds + 1):  # the first one warms up
        rounds.append({name: seconds(work, clock) for name, work in compared.items()})
        print(
            f"round {number}: " + ", ".join(f"{name} {value:.2f} s" for name, value in rounds[-1].items()), flush=True
        )
    measured = rounds[1:]
    ratios = {name: statistics.median(one["diffusers"] / one[name] for one in measured) for name in compared}
    rate = options.pictures / statistics.median(one["diffusers"] for one in measured)
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} times the pictures per second of plain diffusers")
    facts = {"steps": options.steps, "threads": torch.get_num_threads(), "native_bf16": native_bf16("cpu"),
             "clock": clock.__name__}  # fmt: skip
    print(json.dumps(facts | {"diffusers_pictures_per_second": round(rate, 2)} | {
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()}
    }))  # fmt: skip


if __name__ == "__main__":
    main()
