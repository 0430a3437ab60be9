"""Synth's training of a UNet against diffusers' own recipe, on the same model, samples, noises and seeds.

    python tests/bench/training.py [--pictures 512] [--steps 64] [--batch-size 16] [--repeats 3] [--threads 2]

The baseline (diffusers_recipe.py) decodes PNG files and has the VAE and the text encoder in the loop: in fp32, as the
recipe is by default, and with bf16 autocast, so that the ratio says what caching gives and what the number format.
Synth encodes pictures and captions once. Each is run with the text encoder as it is, and with one that learns too;
each run is a process of its own, and the ways take turns. `steady` leaves out the first steps, `whole` counts all from
loading the model to the last step, caching included. The last line is JSON; ratios are Synth's rate over a baseline's
in this very run. On a GPU, utilisation.py follows.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = {
    "recipe-fp32": {"precision": "fp32"},
    "recipe-bf16": {"precision": "bf16"},
    "synth": {"precision": "auto"},
    "recipe-fp32-text": {"precision": "fp32", "text_encoder": 1.0},
    "recipe-bf16-text": {"precision": "bf16", "text_encoder": 1.0},
    "synth-text": {"precision": "auto", "text_encoder": 1.0},
}
SETTLING = 4  # first steps, in which memory is got and kernels are chosen


def write_data(folder: Path, pictures: int) -> None:
    """A prepared set in folder/data and its pictures as PNG files in folder/png."""
    from PIL import Image

    from synth.train.data.preparation import prepare
    from synth.train.params import Data

    data = prepare(Data(source="vignettes", limit=pictures), folder / "data", progress=False)
    (folder / "png").mkdir()
    for place, pixels in enumerate(data.pictures):
        Image.fromarray(pixels).save(folder / "png" / f"{place}.png")


def train_one(way: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Train one way in this process: seconds, peak memory, and the loss on held-out samples."""
    import torch

    from synth.train.params import Evaluate, Params, Train

    torch.set_num_threads(options.threads)
    train = Train(
        **WAYS[way], steps=options.steps, batch_size=options.batch_size, warmup=0, decay=0.0, spike=0.0,
        validate_every=options.steps, checkpoint_every=options.steps, compile=options.compile and "synth" in way,
    )  # fmt: skip
    run = train_synth if way.startswith("synth") else train_baseline
    return run(Params(train=train, evaluate=Evaluate(steps=1)), folder, options)


def train_synth(params, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """As `synth train unet` does: caches first, then the loop."""
    from synth.train.data.prepared import PreparedSet
    from synth.train.learners import unet_learner
    from synth.train.loop import Trainer
    from synth.train.processes import Processes

    times = [time.perf_counter()]
    learner = unet_learner(params, PreparedSet.open(folder / "data"), Processes("cpu"))
    memory: list[float] = []

    def on_step(step: int, loss: float) -> None:
        times.append(time.perf_counter())
        memory[:] = [peak_mebibytes()]

    figures = Trainer(learner.task, params.train, folder / "run").run(on_step)
    return measured(times, params.train) | {"loss": figures["loss"], "mib": memory[0]}


def train_baseline(params, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """As the recipe does; measured by the function that measures Synth's."""
    import torch
    from diffusers_recipe import train_by_recipe

    from synth.presets import locate, resolve
    from synth.train.data.prepared import PreparedSet
    from synth.train.learners import unet_learner
    from synth.train.processes import Processes

    data, model = PreparedSet.open(folder / "data"), Path(locate(resolve("vignettes", "renderer"), "renderer"))
    started, text = time.perf_counter(), bool(params.train.text_encoder)
    parts, times = train_by_recipe(model, folder / "png", data, params.train, text=text, workers=options.workers)
    memory = peak_mebibytes()
    task = unet_learner(params, data, Processes("cpu")).task
    for name, part in parts.items():
        task.modules[name].load_state_dict(part.state_dict())
        task.modules[name].eval()
    with torch.no_grad():
        loss = task.validate()["loss"]
    return measured([started, *times], params.train) | {"loss": loss, "mib": memory}


def measured(times: list[float], train) -> dict[str, float]:
    """Samples per second from the moments at which the work began and each step ended."""
    steady = (len(times) - 1 - SETTLING) / (times[-1] - times[SETTLING])
    return {"steady": train.batch_size * steady, "whole": train.batch_size * train.steps / (times[-1] - times[0])}


def peak_mebibytes() -> float:
    """Peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Medians over the repeats of what each way was measured at."""
    found: dict[str, list[dict[str, float]]] = {way: [] for way in options.ways}
    for _ in range(options.repeats):
        for way, runs in found.items():
            with tempfile.TemporaryDirectory() as folder:  # of its own: nothing is cached in it before
                in_a_process("data", folder, options.threads)
                runs.append(json.loads(in_a_process(way, folder, options.threads)))
    return {
        way: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for way, runs in found.items()
    }


def in_a_process(work: str, folder: str, threads: int) -> str:
    """What this program prints last when it is to do only `work`, with the options that it was started with.

    The process that asks has loaded no library: a new process takes over the peak memory of its parent.
    """
    command = [sys.executable, *sys.argv, "--only", work, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    if done.returncode:
        sys.exit(done.stderr)
    return (done.stdout.splitlines() or [""])[-1]


def show(found: dict[str, dict[str, float]]) -> None:
    """A small table."""
    print(f"{'':18}{'samples/s':>10}{'with caching':>14}{'loss':>10}{'peak MiB':>10}")
    for way, row in found.items():
        print(f"{way:18}{row['steady']:10.1f}{row['whole']:14.1f}{row['loss']:10.5f}{row['mib']:10.0f}")


def ratios(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Synth's rates over the baselines' that were run, and how far apart their losses are, relatively."""
    figures = {}
    for way, text in ((way, way.removeprefix("recipe-")) for way in found if way.startswith("recipe")):
        ours = found.get("synth-text" if way.endswith("text") else "synth")
        if ours:
            figures[f"steady_over_{text}"] = ours["steady"] / found[way]["steady"]
            figures[f"whole_over_{text}"] = ours["whole"] / found[way]["whole"]
            figures[f"loss_over_{text}"] = ours["loss"] / found[way]["loss"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--workers", type=int, default=0, help="of the baseline's DataLoader; 0 is the recipe's own")
    parser.add_argument("--compile", action="store_true", help="compile Synth's UNet")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--only", choices=["data", *WAYS], help="what to do in this process, without comparing")
    parser.add_argument("--folder", type=Path, help="where the data is")
    options = parser.parse_args()
    if options.steps <= SETTLING:
        parser.error(f"--steps has to be more than {SETTLING}, which are left out")
    if options.only == "data":
        write_data(options.folder, options.pictures)
    elif options.only:
        print(json.dumps(train_one(options.only, options, options.folder)))
    else:
        found = compare(options)
        show(found)
        figures = {f"{way}_{name}": value for way, row in found.items() for name, value in row.items()}
        print(json.dumps({name: round(value, 4) for name, value in (figures | ratios(found)).items()}))


if __name__ == "__main__":
    main()
