"""The autoencoder: pictures to latents and back.

The architecture is diffusers' AutoencoderTiny, which is TAESD's (Boer Bohan, 2023): residual blocks of plain
convolutions and ReLU, no normalisation, an eighth of the side. It is trained on crops, since nothing in it looks
further than a crop, with noise on the latents as the only regulariser: latents that differ by less than the noise must
mean the same picture, which is what a diffusion model needs of them.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from tqdm import tqdm

from synth.train.arrays import psnr, step_generator, step_rng, to_pictures, to_tensor
from synth.train.loop import Recipe, native_bf16

LATENT_NOISE = 0.05
VALIDATION_PICTURES = 128


def make_vae(features: int, latent_channels: int) -> AutoencoderTiny:
    """An untrained autoencoder: (n, 3, s, s) to (n, latent_channels, s / 8, s / 8) and back."""
    return AutoencoderTiny(
        encoder_block_out_channels=(features,) * 4,
        decoder_block_out_channels=(features,) * 4,
        latent_channels=latent_channels,
        num_encoder_blocks=(1, 2, 2, 2),
        num_decoder_blocks=(2, 2, 2, 1),
    )


class VaeTask:
    """Reconstruct random crops of pictures (uint8, (n, height, width, 3))."""

    name = "vae"

    def __init__(self, vae: AutoencoderTiny, pictures: np.ndarray, held_out: np.ndarray, *, crop: int = 64) -> None:
        self.vae, self.pictures, self.crop = vae, pictures, crop
        self.held_out = held_out[:VALIDATION_PICTURES]
        self.modules = {"vae": vae}
        self.scales: dict[str, float] = {}

    def loss(self, step: int, recipe: Recipe) -> tuple[torch.Tensor, dict[str, float]]:
        """Absolute and squared error of pixels and of their differences (which keeps lines crisp)."""
        device = str(self.vae.device)
        crops = to_tensor(self._crops(step_rng(recipe.seed, step), recipe.batch_size), device)
        latents = self.vae.encode(crops).latents
        noise = torch.randn(latents.shape, generator=step_generator(recipe.seed, step, device), device=device)
        made = self.vae.decode(latents + LATENT_NOISE * latents.detach().float().std() * noise).sample.float()
        error = made - crops
        across, down = error.diff(dim=3), error.diff(dim=2)
        loss = error.abs().mean() + error.pow(2).mean() + 0.5 * (across.abs().mean() + down.abs().mean())
        return loss + 1e-4 * latents.float().pow(2).mean(), {"psnr": psnr(made.detach(), crops).mean().item()}

    def _crops(self, rng: np.random.Generator, count: int) -> np.ndarray:
        size = self.pictures.shape[1]
        indices = np.sort(rng.integers(0, len(self.pictures), count))
        corners = rng.integers(0, (size - self.crop) // 8 + 1, (count, 2)) * 8
        return np.stack(
            [self.pictures[i, y : y + self.crop, x : x + self.crop] for i, (y, x) in zip(indices, corners, strict=True)]
        )

    def validate(self) -> dict[str, float]:
        made, real = self._reconstruct(self.held_out)
        ratios = psnr(made, real)
        return {"psnr": ratios.mean().item(), "psnr_worst": ratios.min().item()}

    def _reconstruct(self, pictures: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        real = to_tensor(pictures, str(self.vae.device))
        made = [self.vae.decode(self.vae.encode(part).latents).sample for part in real.split(32)]
        return torch.cat(made), real

    def sample(self, path: Path) -> dict[str, float]:
        """Eight held-out pictures over their reconstructions."""
        made, _ = self._reconstruct(self.held_out[:8])
        rows = [np.concatenate(list(row), axis=1) for row in (self.held_out[:8], to_pictures(made))]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(rows)).save(path)
        return {}


@torch.inference_mode()
def encode_all(vae: AutoencoderTiny, pictures: np.ndarray, *, batch_size: int = 64) -> torch.Tensor:
    """Latents of all pictures in half precision on the CPU, not scaled: (n, channels, height / 8, width / 8)."""
    device = str(vae.device)
    parts = tqdm(range(0, len(pictures), batch_size), desc="encoding", unit="batch", mininterval=5)
    with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=native_bf16(device)):
        encoded = [vae.encode(to_tensor(pictures[i : i + batch_size], device)).latents.half().cpu() for i in parts]
    return torch.cat(encoded)
