"""Models that enlarge: Swin2SR (transformers), the bundled one among them, and Stable Diffusion's upscaler (diffusers).

Both enlarge in tiles; a picture's result depends on its pixels, the model, device and number format alone.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from diffusers import StableDiffusionUpscalePipeline
from transformers import Swin2SRForImageSuperResolution

from synth.edit.tiles import tiled
from synth.errors import ModelError
from synth.jobs import ModelRef
from synth.models.alone import LOADING
from synth.models.devices import choose_dtype
from synth.models.loading import first_line
from synth.models.quiet import quiet
from synth.models.weights import read_json
from synth.presets import locate

STEPS, NOISE_LEVEL, SEED = 25, 20, 0  # of Stable Diffusion's upscaler; the level is its authors' default
SWIN_KIND, DIFFUSION_KIND = "swin2sr", "StableDiffusionUpscalePipeline"
CLASSICAL = ("pixelshuffle", "pixelshuffledirect", "nearest+conv")

OnTile = Callable[[], None]


class Upscaler(Protocol):
    """Enlarges pictures. scale: how many times at once; dtype: what it computes in."""

    scale: int
    dtype: str

    def __call__(self, picture: np.ndarray, on_tile: OnTile | None = None) -> np.ndarray:
        """A picture, uint8 (H, W, 3), at `scale` times its size; `on_tile()` is called after each tile."""


class Swin2sr:
    """Swin2SR (Conde et al. 2022) in float32."""

    dtype = "float32"

    def __init__(self, model: Swin2SRForImageSuperResolution) -> None:
        self.model, self.scale = model, model.config.upscale

    def __call__(self, picture: np.ndarray, on_tile: OnTile | None = None) -> np.ndarray:
        return tiled(picture, self._enlarge, self.scale, on_tile=on_tile)

    @torch.inference_mode()
    def _enlarge(self, piece: np.ndarray, top: int, left: int) -> np.ndarray:
        made = self.model(_tensor(piece).to(self.model.device)).reconstruction
        return _pixels(made)


class Diffusion:
    """Stable Diffusion's upscaler, without a prompt and so without guidance; a latent stands for a pixel.

    The noise that it begins with, and the noise that it lays on the picture, are one field each for the whole picture,
    so that neighbouring tiles are told the same where they overlap.
    """

    def __init__(self, pipeline: StableDiffusionUpscalePipeline) -> None:
        self.pipeline, self.scale = pipeline, pipeline.vae_scale_factor
        self._add_noise = pipeline.low_res_scheduler.add_noise
        self.dtype = str(pipeline.unet.dtype).removeprefix("torch.")

    def __call__(self, picture: np.ndarray, on_tile: OnTile | None = None) -> np.ndarray:
        height, width = (side + 8 for side in picture.shape[:2])  # as far as tiles may reach over its border
        channels, generator = self.pipeline.vae.config.latent_channels, torch.Generator().manual_seed(SEED)
        noises = [torch.randn((1, number, height, width), generator=generator) for number in (channels, 3)]
        return tiled(picture, partial(self._enlarge, *noises), self.scale, on_tile=on_tile)

    @torch.inference_mode()
    def _enlarge(
        self, noise: torch.Tensor, on_picture: torch.Tensor, piece: np.ndarray, top: int, left: int
    ) -> np.ndarray:
        height, width = piece.shape[:2]
        here = (..., slice(top, top + height), slice(left, left + width))
        # The pipeline would draw this noise anew for each tile; it takes none from its caller.
        self.pipeline.low_res_scheduler.add_noise = lambda image, _, level: self._add_noise(
            image, on_picture[here].to(image), level
        )
        made = self.pipeline(
            prompt="",
            image=_tensor(piece),
            latents=noise[here].to(self.pipeline.unet.dtype),
            generator=torch.Generator().manual_seed(SEED),
            num_inference_steps=STEPS,
            noise_level=NOISE_LEVEL,
            guidance_scale=1.0,
            output_type="pt",
        )
        return _pixels(made.images)


def check_upscaler(model: ModelRef) -> tuple[Path, int]:
    """Where an upscaler lies, and how many times it enlarges at once. ModelError for anything else than an upscaler."""
    folder = locate(model, "upscaler")
    if (folder / "model_index.json").is_file():
        kind = read_json(folder / "model_index.json").get("_class_name")
        stages = read_json(folder / "vae" / "config.json").get("block_out_channels") if kind == DIFFUSION_KIND else None
        scale = 2 ** (len(stages) - 1) if isinstance(stages, list) else None
    else:
        config = read_json(folder / "config.json")
        kind = config.get("model_type")
        known = kind == SWIN_KIND and config.get("upsampler", "pixelshuffle") in CLASSICAL
        scale = config.get("upscale", 2) if known else None
    if scale not in (2, 4):
        raise ModelError(
            f"{model.name} ({kind}) is no upscaler that Synth knows; give a Swin2SR or a {DIFFUSION_KIND} that "
            "enlarges two or four times."
        )
    return folder, scale


@lru_cache(maxsize=1)
def load_upscaler(model: ModelRef, device: str) -> Upscaler:
    """The upscaler on its device; the last one is kept. ModelError if it cannot be loaded."""
    folder, _ = check_upscaler(model)
    try:
        with LOADING, quiet(), torch.random.fork_rng(devices=[]):
            return (_diffusion if (folder / "model_index.json").is_file() else _swin2sr)(folder, device)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"The model {model.name} cannot be loaded ({first_line(error)}); download or copy it again."
        ) from error


def _swin2sr(folder: Path, device: str) -> Swin2sr:
    model = Swin2SRForImageSuperResolution.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    return Swin2sr(model.to(device).eval().requires_grad_(False))


def _diffusion(folder: Path, device: str) -> Diffusion:
    dtype = getattr(torch, choose_dtype("auto", device))
    pipeline = StableDiffusionUpscalePipeline.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=dtype
    )
    pipeline.set_progress_bar_config(disable=True)
    return Diffusion(pipeline.to(device))


def _tensor(piece: np.ndarray) -> torch.Tensor:
    """uint8 (h, w, 3) to float32 (1, 3, h, w) from 0 to 1."""
    return torch.from_numpy(piece.astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()


def _pixels(made: torch.Tensor) -> np.ndarray:
    """(1, 3, h, w) from 0 to 1 to float32 (h, w, 3) from 0 to 255."""
    return made[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy() * 255
