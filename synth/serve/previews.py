"""A picture while it forms: its latents as colours, by the linear map that fits the model's own encoder best.

Latents of Stable Diffusion are close to linear in colour (Turner 2022, "Decoding latents to RGB without upscaling",
https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204). The map is not a table of numbers for
known models but fitted once per model, to a picture of random colours that its encoder reads.
"""

import numpy as np
import torch
from PIL import Image

from synth.diffusion.courses import encode
from synth.layout.inlining import embedded
from synth.models.families import StableDiffusion

COLOURS, PATCH = 16, 4  # patches along a side, and latent pixels along a patch's
LONGEST = 256  # pixels of a preview


def fitted(pipeline: StableDiffusion) -> torch.Tensor:
    """The map from latents and 1 to colours from 0 to 1, (C+1, 3), by least squares."""
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(1, 3, COLOURS, COLOURS, generator=generator)
    target = torch.nn.functional.interpolate(small, scale_factor=PATCH, mode="bilinear")  # (1, 3, h, w)
    pixels = torch.nn.functional.interpolate(target, scale_factor=pipeline.vae_scale_factor, mode="bilinear")
    latents = encode(pipeline, pixels * 2 - 1).float().cpu()
    return torch.linalg.lstsq(_columns(latents[0]), target[0].flatten(1).T).solution


def preview(latents: torch.Tensor, colours: torch.Tensor, size: tuple[int, int]) -> str:
    """A small JPEG of the latents (C, h, w) of one picture of that size, as a data URI."""
    values = _columns(latents.float().cpu()) @ colours
    levels = (values.clamp(0, 1).nan_to_num() * 255).round().to(torch.uint8).numpy()
    scale = min(1.0, LONGEST / max(size))
    small = Image.fromarray(np.ascontiguousarray(levels.reshape(*latents.shape[1:], 3)))
    picture = small.resize((round(size[0] * scale), round(size[1] * scale)), Image.Resampling.BICUBIC)
    return embedded(picture, "JPEG", quality=80)


def _columns(latents: torch.Tensor) -> torch.Tensor:
    """Latents (C, h, w) with a 1 for the constant, (h*w, C+1)."""
    rows = latents.flatten(1).T
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1)
