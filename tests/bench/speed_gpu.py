"""Stable Diffusion 2 at full size, and GPT-2, on a GPU: Synth against what people write first.

    python tests/bench/speed_gpu.py [--pictures 32] [--batch-size 8] [--steps 25] [--size 768] [--rounds 3] [--tiny]

The weights are random: speed does not depend on their values. Compared are pictures per second of (a) the pipeline
called for one prompt at a time in float16, (b) batches of it in bfloat16, and Synth, compiled and not; each with
guidance, the decoder and PNG encoding, which Synth leaves to other processes. Their share of the GPU's arithmetic is
the floating-point operations, counted by torch.utils.flop_counter, as a share of the best rate of bf16 matrix products
in this very run. For GPT-2's shape (12 layers of 768, with the vocabulary of the bundled one) it is candidates per
second of `expand` and of `generate` with whole batches.

--tiny takes models of a few thousand weights and the CPU, to see that everything runs; its ratios mean nothing. Without
a GPU the result is empty. The last line is JSON.
"""

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel, GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1])]
from tiny_diffusion import NOISE, build_tiny_sd, clip_tokenizer, saved
from utilisation import SD2, WORDS, peak_rate

from synth.expansion import expand
from synth.jobs import Job, Settings
from synth.models.loading import load
from synth.presets import BUNDLED, resolve
from synth.rendering import render

PHRASE = "a red lighthouse at sunset"
VAE = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip
TEXT = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
    "hidden_act": "gelu", "projection_dim": 512,
}  # fmt: skip
NEW_TOKENS = 48


def build_sd2(folder: Path) -> Path:
    """A folder of Stable Diffusion 2's full size, 768 px, with random weights in float16."""
    tokenizer = clip_tokenizer()
    text = CLIPTextConfig(vocab_size=49408, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
                          pad_token_id=tokenizer.pad_token_id, **TEXT)  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(**VAE), text_encoder=CLIPTextModel(text), tokenizer=tokenizer,
        unet=UNet2DConditionModel(sample_size=96, **SD2), scheduler=DDIMScheduler(
            prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, steps_offset=1, **NOISE
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    return saved(pipeline.to(dtype=torch.float16), folder)


def build_gpt2(folder: Path, **shape: int) -> Path:
    """A GPT-2 with random weights and the bundled tokenizer; 124M's shape unless told otherwise."""
    tokenizer = GPT2Tokenizer.from_pretrained(BUNDLED / "gpt2", local_files_only=True)
    config = GPT2Config(
        vocab_size=len(tokenizer), bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id, **shape
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def flops_of_a_picture(pipeline: StableDiffusionPipeline, settings: Settings) -> int:
    """Of all guided steps and the decoder; nothing is computed."""
    latents = settings.height // pipeline.vae_scale_factor, settings.width // pipeline.vae_scale_factor
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(pipeline.unet.config)
        vae = type(pipeline.vae).from_config(pipeline.vae.config)
        noisy = torch.empty(2, unet.config.in_channels, *latents)
        states = torch.empty(2, WORDS, unet.config.cross_attention_dim)
        with torch.no_grad(), FlopCounterMode(display=False) as step:
            unet(noisy, torch.zeros(2), states)
        with torch.no_grad(), FlopCounterMode(display=False) as decoder:
            vae.decode(noisy[:1])
    return settings.steps * step.get_total_flops() + decoder.get_total_flops()


def encode(image: Image.Image) -> int:
    """Bytes of the picture as PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.tell()


def by_diffusers(pipeline: StableDiffusionPipeline, settings: Settings, seeds: range, size: int) -> Iterable[object]:
    """Pictures by calls of the pipeline for so many prompts at once, encoded where they are made."""
    for start in range(0, len(seeds), size):
        batch = seeds[start : start + size]
        pictures = pipeline(
            [PHRASE] * len(batch), generator=[torch.Generator().manual_seed(seed) for seed in batch],
            num_inference_steps=settings.steps, guidance_scale=settings.guidance_scale,
            height=settings.height, width=settings.width,
        ).images  # fmt: skip
        yield from map(encode, pictures)


def by_synth(folder: Path, settings: Settings, seeds: range, size: int, device: str, dtype: str) -> Iterable[object]:
    """The same by `render`, encoded by other processes."""
    model = resolve(str(folder), "renderer")
    jobs = [Job(phrase=PHRASE, prompt=PHRASE, seed=seed, settings=settings, model=model) for seed in seeds]
    with ProcessPoolExecutor(4) as pool:
        waiting = [
            pool.submit(encode, result.image)
            for result in render(jobs, device=device, dtype=dtype, batch_size=size)
            if result.image is not None  # random weights can make a black one
        ]
        yield from (future.result() for future in waiting)


def rate(work: Callable[[], Iterable[object]], count: int, rounds: int, device: str) -> float:
    """Pictures, or whatever it makes, per second: the median, after a first time that warms up."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        for _ in work():
            pass
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return count / statistics.median(seconds[1:])


def plain(folder: Path, dtype: torch.dtype, device: str) -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def compiled(folder: Path, device: str, dtype: str, *, tiny: bool) -> None:
    """Compile the UNet and the decoder of the pipeline that `render` will use, whole, with CUDA graphs."""
    pipeline = load(resolve(str(folder), "renderer"), device, dtype)
    how = {"fullgraph": True, "dynamic": False} | ({"backend": "aot_eager"} if tiny else {"mode": "max-autotune"})
    pipeline.unet.compile(**how)
    pipeline.vae.decoder.compile(**how)


def picture_rates(folder: Path, settings: Settings, options: argparse.Namespace, device: str) -> dict[str, float]:
    """Pictures per second of each way."""
    seeds, dtype = range(options.pictures), "float32" if device == "cpu" else "bfloat16"
    one, many = torch.float32 if device == "cpu" else torch.float16, getattr(torch, dtype)
    found = {}
    for name, number, size in (("one_at_a_time", one, 1), ("batches", many, options.batch_size)):
        pipeline = plain(folder, number, device)
        found[name] = rate(
            lambda pipeline=pipeline, size=size: by_diffusers(pipeline, settings, seeds, size),
            len(seeds), options.rounds, device,
        )  # fmt: skip
        print(f"{name}: {found[name]:.3f} pictures/s", flush=True)
        del pipeline
    for name in ("synth", "synth_compiled"):
        if name == "synth_compiled":
            compiled(folder, device, dtype, tiny=options.tiny)
        found[name] = rate(
            lambda: by_synth(folder, settings, seeds, options.batch_size, device, dtype),
            len(seeds), options.rounds, device,
        )  # fmt: skip
        print(f"{name}: {found[name]:.3f} pictures/s", flush=True)
    return found


def prompt_rates(folder: Path, count: int, rounds: int, device: str) -> dict[str, float]:
    """Candidates per second of `generate` with batches of 32, and of `expand`."""
    network = GPT2LMHeadModel.from_pretrained(folder, local_files_only=True).to(device).eval()
    tokenizer = GPT2Tokenizer.from_pretrained(folder, local_files_only=True)
    ids = tokenizer([PHRASE] * 32, return_tensors="pt").to(device)
    how = {"do_sample": True, "top_k": 50, "top_p": 0.95, "max_new_tokens": NEW_TOKENS, "use_cache": True}

    def generate() -> Iterable[object]:
        for _ in range(count // 32):
            yield from tokenizer.batch_decode(network.generate(**ids, pad_token_id=tokenizer.eos_token_id, **how))

    drawn: list[int] = []

    def expanded() -> Iterable[object]:
        found = expand(PHRASE, count // 4, seed=len(drawn), model=str(folder), device=device)
        drawn.append(len(found.candidates))
        return found.candidates

    return {
        "generate": rate(generate, count // 32 * 32, rounds, device),
        "synth": rate(expanded, count, rounds, device) * statistics.median(drawn) / count,
    }


def measure(options: argparse.Namespace, device: str) -> dict[str, object]:
    """All figures of one run."""
    settings = Settings(steps=options.steps, guidance_scale=7.5, width=options.size, height=options.size)
    with tempfile.TemporaryDirectory() as place:
        folder = (build_tiny_sd if options.tiny else build_sd2)(Path(place) / "sd2")
        gpt2 = build_gpt2(Path(place) / "gpt2", **({"n_layer": 2, "n_embd": 48} if options.tiny else {}))
        with torch.random.fork_rng() if options.tiny else nullcontext():
            pictures = picture_rates(folder, settings, options, device)
        flops = flops_of_a_picture(load(resolve(str(folder), "renderer"), "cpu", "float32"), settings)
        prompts = prompt_rates(gpt2, 128, options.rounds, device)
    peak = peak_rate(device) if device == "cuda" else peak_rate(device, (512,), 2)
    best = max(pictures["synth"], pictures["synth_compiled"])
    return {
        "pictures_per_second": pictures,
        "over_one_at_a_time": best / pictures["one_at_a_time"],
        "over_batches": best / pictures["batches"],
        "tflop_per_picture": flops / 1e12,
        "peak_tflops": peak / 1e12,
        "utilisation": best * flops / peak,
        "prompts_per_second": prompts,
        "prompts_ratio": prompts["synth"] / prompts["generate"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--size", type=int, default=768, help="of the pictures in pixels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="rehearse on the CPU")
    options = parser.parse_args()
    found: dict[str, object] = {}
    if options.tiny:
        print("a rehearsal: these figures mean nothing")
        print(json.dumps({"rehearsal": measure(options, "cpu")}))
    elif torch.cuda.is_available():
        found = measure(options, "cuda")
    else:
        print("no GPU")
    if not options.tiny:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
