"""Synth against the straightforward notebook, on the same weights and settings.

    python tests/bench/against_the_notebook.py [--pictures 16] [--repeats 3]

The baseline is what people write first: `pipeline("text-generation")` once for each prompt, `StableDiffusionPipeline`
once for each prompt, matplotlib for the grid, PIL to save. Compared are candidates per second, pictures per second,
what keeping pictures costs, and the whole job in a fresh process; for Synth that includes the executed report. The last
line is JSON; each ratio is Synth's rate over the baseline's in this very run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PHRASE = "a red lighthouse at sunset"

BASELINE = """
import sys, time, torch
from pathlib import Path
from diffusers import StableDiffusionPipeline
from transformers import pipeline
import matplotlib; matplotlib.use("Agg")
import matplotlib.pyplot as plt
models, out, prompts, seeds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.manual_seed(0)
write = pipeline("text-generation", model=str(models / "gpt2"))
how = dict(do_sample=True, max_new_tokens=48, top_k=50, top_p=0.95)
texts = [write({phrase!r}, **how)[0]["generated_text"] for _ in range(prompts)]
draw = StableDiffusionPipeline.from_pretrained(models / "pipeline")
draw.set_progress_bar_config(disable=True)
figure, axes = plt.subplots(prompts, seeds, figsize=(3 * seeds, 3 * prompts), squeeze=False)
for row, text in zip(axes, texts):
    for seed, axis in enumerate(row):
        options = dict(num_inference_steps={steps}, guidance_scale={guidance}, height=128, width=128)
        image = draw(text, generator=torch.Generator().manual_seed(seed), **options).images[0]
        image.save(out / f"{{texts.index(text)}}-{{seed}}.png")
        axis.imshow(image); axis.axis("off"); axis.set_title(text[:40], fontsize=6)
figure.savefig(out / "grid.png")
"""


def expand_rates(repeats: int) -> dict[str, float]:
    """Candidates per second: `pipeline` one at a time, and `expand`."""
    from transformers import pipeline

    from synth.expansion import expand
    from synth.presets import locate, resolve

    folder = str(locate(resolve("vignettes-gpt2", "expander"), "expander"))
    write = pipeline("text-generation", model=folder)
    options = {"do_sample": True, "max_new_tokens": 48, "top_k": 50, "top_p": 0.95}
    write(PHRASE, **options), expand(PHRASE, 1)
    baseline = median_seconds(lambda i: [write(PHRASE, **options) for _ in range(16)], repeats) / 16
    counts: list[int] = []
    seconds = median_seconds(lambda i: counts.append(len(expand(PHRASE, 16, seed=i).candidates)), repeats)
    return {"baseline": 1 / baseline, "synth": statistics.median(counts) / seconds}


def render_rates(pictures: int, repeats: int) -> dict[str, float]:
    """Pictures per second: the pipeline one at a time and `render`, and how far their pixels are apart (0 to 255)."""
    import torch
    from diffusers import StableDiffusionPipeline

    from synth.jobs import Job
    from synth.presets import advised, locate, resolve
    from synth.rendering import render

    model, settings = resolve("vignettes", "renderer"), advised("vignettes", "exact")
    draw = StableDiffusionPipeline.from_pretrained(locate(model, "renderer"), local_files_only=True)
    draw.set_progress_bar_config(disable=True)
    jobs = [Job(phrase=PHRASE, prompt=PHRASE, seed=seed, settings=settings, model=model) for seed in range(pictures)]
    kept: dict[str, list] = {}

    def one_at_a_time(_: int) -> None:
        kept["baseline"] = [
            draw(
                job.prompt,
                height=settings.height,
                width=settings.width,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance_scale,
                generator=torch.Generator().manual_seed(job.seed),
            ).images[0]
            for job in jobs
        ]

    def batched(_: int) -> None:
        kept["synth"] = [result.image for result in render(jobs)]

    draw(PHRASE, num_inference_steps=2), list(render(jobs[:8]))
    ways = {"baseline": one_at_a_time, "synth": batched}
    rates = {name: pictures / median_seconds(work, repeats) for name, work in ways.items()}
    pairs = zip(kept["baseline"], kept["synth"], strict=True)
    apart = max(int(np.abs(np.asarray(one, int) - np.asarray(other, int)).max()) for one, other in pairs)
    return rates | {"largest_pixel_difference": apart}


def keeping_share(pictures: int) -> float:
    """The share of a study's render time that journal, PNG and metadata add, from the same jobs with and without."""
    from synth.jobs import Job
    from synth.presets import advised, resolve
    from synth.rendering import render
    from synth.studies import study

    prompts = [f"{PHRASE}, {word}" for word in ("watercolor", "neon", "blueprint", "pixel art")]
    seeds = max(1, pictures // len(prompts))
    model, settings = resolve("vignettes", "renderer"), advised("vignettes", "exact")
    jobs = [Job(phrase=p, prompt=p, seed=s, settings=settings, model=model) for p in prompts for s in range(seeds)]
    list(render(jobs[:8]))
    plain, kept = [], []
    for _ in range(3):
        started = time.perf_counter()
        list(render(jobs))
        plain.append(time.perf_counter() - started)
        with tempfile.TemporaryDirectory() as out:
            started = time.perf_counter()
            study(prompts=prompts, seeds=seeds, settings=settings, out=out, progress=False, yes=True)
            kept.append(time.perf_counter() - started)
    return min(kept) / min(plain) - 1


def whole_job_seconds(pictures: int, repeats: int) -> dict[str, float]:
    """A fresh process each time: the baseline script without a report, `synth report` with one."""
    from synth.presets import advised, locate, resolve

    settings = advised("vignettes", "exact")
    models = Path(locate(resolve("vignettes", "renderer"), "renderer")).parent
    script = BASELINE.format(phrase=PHRASE, steps=settings.steps, guidance=settings.guidance_scale)
    side = max(1, round(pictures**0.5))
    shape = ["-p", f"n={side}", "-p", f"seeds={side}"]

    def run(command: list[str]) -> None:
        subprocess.run([sys.executable, *command], check=True, capture_output=True)

    with tempfile.TemporaryDirectory() as out:
        baseline = median_seconds(lambda i: run(["-c", script, str(models), out, str(side), str(side)]), repeats)
        reports = median_seconds(
            lambda i: run(["-m", "synth", "report", PHRASE, *shape, "--out", out, "--name", f"bench-{i}"]), repeats
        )
    return {"baseline": baseline, "synth": reports}


def median_seconds(work, repeats: int) -> float:
    """The median wall time of work(0), work(1), ..."""
    seconds = []
    for i in range(repeats):
        started = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    expanded = expand_rates(options.repeats)
    print(f"expand: {expanded['baseline']:.1f} candidates/s one at a time, {expanded['synth']:.1f} with Synth")
    rendered = render_rates(options.pictures, options.repeats)
    print(f"render: {rendered['baseline']:.2f} pictures/s one at a time, {rendered['synth']:.2f} with Synth")
    keeping = keeping_share(options.pictures)
    print(f"keeping pictures, rows and metadata adds {keeping:.1%} to rendering")
    whole = whole_job_seconds(options.pictures, options.repeats)
    print(f"whole job: {whole['baseline']:.1f} s for the baseline, {whole['synth']:.1f} s for Synth with its report")
    figures = {
        "expand_ratio": expanded["synth"] / expanded["baseline"],
        "render_ratio": rendered["synth"] / rendered["baseline"],
        "largest_pixel_difference": rendered["largest_pixel_difference"],
        "keeping_share": keeping,
        "whole_job_ratio": whole["baseline"] / whole["synth"],
        "whole_job_seconds": whole["synth"],
    }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
