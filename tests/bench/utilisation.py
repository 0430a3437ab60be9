"""How much of a GPU's arithmetic the training of Stable Diffusion 2's UNet, at full size, puts to use.

    python tests/bench/utilisation.py [--batch-size 32] [--steps 24] [--size 512] [--compile]

Model FLOP utilisation (Chowdhery et al. 2022): the floating-point operations of the UNet's forward and backward pass,
counted by torch.utils.flop_counter, over the seconds of a whole step of Synth's loop (optimizer, average and log
included), as a share of the best rate that bf16 matrix products reach in this very run. The last line is JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from synth.train.loop import Trainer
from synth.train.processes import Batch
from synth.train.recipe import Recipe
from synth.train.unet import UnetTask, make_scheduler

SD2 = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "attention_head_dim": (5, 10, 20, 20), "cross_attention_dim": 1024, "use_linear_projection": True,
}  # fmt: skip
WORDS = 77
SETTLING = 6  # first steps, in which kernels are chosen or compiled


class Enough(Exception):
    """Raised after the last step that is measured: nothing is validated or saved."""


class RandomText:
    """Cached text states of the right shape, in the place of a text encoder's."""

    def __init__(self, width: int) -> None:
        self.states = torch.randn(1, WORDS, width).half()

    def draw(self, captions: list[str]) -> Batch:
        return {"states": self.states.repeat(len(captions), 1, 1)}

    def encode(self, batch: Batch, device: torch.device) -> dict[str, torch.Tensor]:
        return {"encoder_hidden_states": batch["states"].to(device).float()}


def flops_of_a_sample(shape: dict, side: int) -> int:
    """Floating-point operations of a forward and a backward pass for one sample; nothing is computed."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**shape)
        noisy = torch.empty(1, shape["in_channels"], side, side)
        states = torch.empty(1, WORDS, shape["cross_attention_dim"])
        with FlopCounterMode(display=False) as counter:
            unet(noisy, torch.zeros(1), states).sample.mean().backward()
    return counter.get_total_flops()


def peak_rate(device: str, sides: tuple[int, ...] = (4096, 8192, 16384), repeats: int = 10) -> float:
    """The most operations per second of bf16 products of square matrices."""
    return max(_product_rate(device, side, repeats) for side in sides)


def _product_rate(device: str, side: int, repeats: int) -> float:
    one, other = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    seconds = []
    for _ in range(5):
        _wait(device)
        started = time.perf_counter()
        for _ in range(repeats):
            one @ other
        _wait(device)
        seconds.append((time.perf_counter() - started) / repeats)
    return 2 * side**3 / min(seconds)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of_a_step(task: UnetTask, batch_size: int, steps: int, device: str) -> float:
    """The median of the settled steps in Synth's own loop, which waits for each step's loss."""
    times: list[float] = []

    def on_step(step: int, loss: float) -> None:
        times.append(time.perf_counter())
        if len(times) == SETTLING + steps:
            raise Enough

    recipe = Recipe(steps=1_000_000, batch_size=batch_size, learning_rate=1e-5, validate_every=1_000_000,
                    checkpoint_every=1_000_000, precision="bf16")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, suppress(Enough):
        Trainer(task, recipe, Path(folder), device=device).run(on_step)
    return float(statistics.median(np.diff(times[SETTLING - 1 :])))


def utilisation(shape: dict, side: int, batch_size: int, steps: int, device: str, *, compile: bool) -> dict[str, float]:
    """Rates, and their ratio, of a UNet of a shape for latents of so many rows."""
    peak = peak_rate(device) if device == "cuda" else peak_rate(device, (512,), 2)
    unet = UNet2DConditionModel(**shape)
    latents = np.random.default_rng(0).standard_normal((256, shape["in_channels"], side, side), dtype=np.float32)
    task = UnetTask(
        {"unet": unet}, RandomText(shape["cross_attention_dim"]), latents, lambda index, rng: "", np.arange(256),
        np.arange(64), make_scheduler(), compile=compile,
    )  # fmt: skip
    samples = batch_size / seconds_of_a_step(task, batch_size, steps, device)
    flops = flops_of_a_sample(shape, side)
    return {
        "million_parameters": sum(parameter.numel() for parameter in unet.parameters()) / 1e6,
        "tflop_per_sample": flops / 1e12,
        "samples_per_second": samples,
        "tflops": samples * flops / 1e12,
        "peak_tflops": peak / 1e12,
        "utilisation": samples * flops / peak,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--size", type=int, default=512, help="of the pictures in pixels")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    found: dict[str, float] = {}
    if torch.cuda.is_available():
        found = utilisation(SD2, options.size // 8, options.batch_size, options.steps, "cuda", compile=options.compile)
        print(
            f"SD2's UNet, {options.size} px, batch {options.batch_size}: {found['samples_per_second']:.1f} samples/s, "
            f"{found['tflops']:.0f} TFLOP/s of {found['peak_tflops']:.0f} ({found['utilisation']:.0%}), "
            f"{found['peak_gib']:.0f} GiB at the most"
        )
    else:
        print("no GPU")
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
