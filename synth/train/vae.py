"""The autoencoder: pictures to latents and back.

The architecture is diffusers' AutoencoderTiny, which is TAESD's (Boer Bohan, 2023): residual blocks of plain
convolutions and ReLU, no normalisation, an eighth of the side. It is trained on crops, since nothing in it looks
further than a crop, with noise on the latents as the only regulariser: latents that differ by less than the noise must
mean the same picture, which is what a diffusion model needs of them.
"""

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image

from synth.train.arrays import psnr, step_generator, step_rng, to_pictures, to_tensor
from synth.train.loop import Figures
from synth.train.processes import Batch, everyones
from synth.train.recipe import Recipe

LATENT_NOISE = 0.05
VALIDATION_PICTURES = 128
Autoencoder = AutoencoderTiny | AutoencoderKL


def make_vae(features: int, latent_channels: int) -> AutoencoderTiny:
    """An untrained autoencoder: (n, 3, s, s) to (n, latent_channels, s / 8, s / 8) and back."""
    return AutoencoderTiny(
        encoder_block_out_channels=(features,) * 4,
        decoder_block_out_channels=(features,) * 4,
        latent_channels=latent_channels,
        num_encoder_blocks=(1, 2, 2, 2),
        num_decoder_blocks=(2, 2, 2, 1),
    )


def _stages(vae: Autoencoder) -> list[int]:
    """The channels of its encoder's stages; from each to the next the side is halved."""
    return vae.config.get("encoder_block_out_channels") or vae.config.block_out_channels


class VaeTask:
    """Reconstruct random crops of pictures (uint8, (n, height, width, 3)).

    train: indices of those to learn from. held_out: other pictures, to measure on.
    """

    name, metric, higher = "vae", "psnr", True

    def __init__(
        self, vae: Autoencoder, pictures: np.ndarray, train: np.ndarray, held_out: np.ndarray, *, crop: int = 64
    ) -> None:
        self.vae, self.pictures, self.train, self.crop = vae, pictures, train, crop
        self.held_out = held_out[:VALIDATION_PICTURES]
        self.modules = {"vae": vae}
        self.scales: dict[str, float] = {}

    def draw(self, step: int, recipe: Recipe) -> Batch:
        """Crops of pictures, and noise for their latents."""
        crops = self._crops(step_rng(recipe.seed, step), recipe.batch_size)
        side = self.crop // 2 ** (len(_stages(self.vae)) - 1)
        shape = (recipe.batch_size, self.vae.config.latent_channels, side, side)
        return {"crop": crops, "noise": torch.randn(shape, generator=step_generator(recipe.seed, step))}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Absolute and squared error of pixels and of their differences (which keeps lines crisp)."""
        crops = to_tensor(batch["crop"], str(self.vae.device))
        latents, cost = self._encode(crops)
        spread = everyones(latents.detach().float()).std()  # of all processes' samples: each takes the same step
        noise = LATENT_NOISE * spread * batch["noise"].to(latents.device)
        made = self.vae.decode(latents + noise).sample.float()
        error = made - crops
        across, down = error.diff(dim=3), error.diff(dim=2)
        loss = error.abs().mean() + error.pow(2).mean() + 0.5 * (across.abs().mean() + down.abs().mean())
        return loss + cost, {"psnr": psnr(made.detach(), crops).mean().item()}

    def _encode(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents, and a small cost that keeps them from growing."""
        encoded = self.vae.encode(crops)
        if isinstance(self.vae, AutoencoderTiny):
            return encoded.latents, 1e-4 * encoded.latents.float().pow(2).mean()
        return encoded.latent_dist.mode(), 1e-6 * encoded.latent_dist.kl().mean()

    def _crops(self, rng: np.random.Generator, count: int) -> np.ndarray:
        size = self.pictures.shape[1]
        indices = self.train[np.sort(rng.integers(0, len(self.train), count))]
        corners = rng.integers(0, (size - self.crop) // 8 + 1, (count, 2)) * 8
        return np.stack(
            [self.pictures[i, y : y + self.crop, x : x + self.crop] for i, (y, x) in zip(indices, corners, strict=True)]
        )

    def validate(self) -> Figures:
        made, real = self._reconstruct(self.held_out)
        ratios = psnr(made, real)
        return {"psnr": ratios.mean().item(), "psnr_worst": ratios.min().item()}

    def _reconstruct(self, pictures: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        real = to_tensor(pictures, str(self.vae.device))
        made = [self.vae.decode(self._encode(part)[0]).sample for part in real.split(32)]
        return torch.cat(made), real

    def sample(self) -> tuple[Image.Image, Figures]:
        """Eight held-out pictures over their reconstructions."""
        made, _ = self._reconstruct(self.held_out[:8])
        rows = [np.concatenate(list(row), axis=1) for row in (self.held_out[:8], to_pictures(made))]
        return Image.fromarray(np.concatenate(rows)), {}
