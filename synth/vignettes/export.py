"""Writes the trained models as the folders that ship with the package, and checks their sizes.

Weights are stored in half precision; the configurations say float32, so that the plain libraries compute in float32.
"""

import json
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import nn
from transformers import (
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    GPT2LMHeadModel,
    GPT2Tokenizer,
    Swin2SRForImageSuperResolution,
    Swin2SRImageProcessorPil,
)

from synth.errors import ModelError

LARGEST_FILE, LARGEST_TOTAL = 16_000_000, 48_000_000
_SHARD = "15MB"


def export_pipeline(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """A plain Stable Diffusion folder."""
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()  # too large for one file: in shards instead
    pipeline.unet.save_pretrained(folder / "unet", max_shard_size=_SHARD)
    _say_float32(folder)
    tidy_vae(folder / "vae" / "config.json")


def tidy_vae(config: Path) -> None:
    """Take out of an AutoencoderTiny's config what diffusers writes there, and warns of when it reads it."""
    values = json.loads(config.read_text(encoding="utf-8"))
    if values.get("_class_name") == "AutoencoderTiny":
        kept = {name: value for name, value in values.items() if name != "block_out_channels"}
        config.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def export_gpt2(gpt2: GPT2LMHeadModel, tokenizer: GPT2Tokenizer, folder: Path) -> None:
    """A plain GPT-2 folder."""
    _export(gpt2, folder)
    tokenizer.save_pretrained(folder)


def export_clip(clip: CLIPModel, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """A plain CLIP folder, with the image processor for its picture size."""
    _export(clip, folder)
    tokenizer.save_pretrained(folder)
    side = clip.config.vision_config.image_size
    CLIPImageProcessor(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    ).save_pretrained(folder)


def export_upscaler(upscaler: Swin2SRForImageSuperResolution, folder: Path) -> None:
    """A plain Swin2SR folder."""
    _export(upscaler, folder)
    Swin2SRImageProcessorPil().save_pretrained(folder)


def check_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each part of the shipped models; a ModelError if a file or the whole is too large to ship."""
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    for name, size in sizes.items():
        if size > LARGEST_FILE:
            raise ModelError(f"{name} has {size:,} bytes; at most {LARGEST_FILE:,} can ship in one file")
    if sum(sizes.values()) > LARGEST_TOTAL:
        raise ModelError(f"the models have {sum(sizes.values()):,} bytes; at most {LARGEST_TOTAL:,} can ship")
    return sizes


def _export(model: nn.Module, folder: Path) -> None:
    model.half().save_pretrained(folder)
    _say_float32(folder)


def _say_float32(folder: Path) -> None:
    for path in folder.rglob("config.json"):
        text = path.read_text(encoding="utf-8").replace('"float16"', '"float32"')
        path.write_text(json.dumps(json.loads(text), indent=2) + "\n", encoding="utf-8")
