"""The denoiser: a Stable Diffusion UNet that learns to predict noise, or v (Salimans & Ho 2022), on cached latents.

In the bundled models the text encoder starts as CLIP's text tower and goes on learning with the UNet at a lower rate,
and the noise schedule is Stable Diffusion's scaled-linear one, shifted so that its last step is pure noise (Lin et al.
2024): without that, a model of small pictures never learns how bright or dark a picture should be.
"""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from synth.train.arrays import step_generator, step_random, step_rng
from synth.train.conditions import NO_CAPTION, Conditions
from synth.train.loop import Figures
from synth.train.processes import Batch
from synth.train.recipe import Recipe

TIMESTEPS = 1000
VALIDATION_SAMPLES = 256
Latents = torch.Tensor | np.ndarray


def make_unet(latent_channels: int, text_width: int, sample_size: int, widths: tuple[int, ...]) -> UNet2DConditionModel:
    """An untrained UNet of SD2's make: linear projections, cross-attention at all but the finest and coarsest level."""
    attends = [0 < level < len(widths) - 1 for level in range(len(widths))]
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=latent_channels,
        out_channels=latent_channels,
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=text_width,
        attention_head_dim=tuple(width // 32 for width in widths),  # diffusers' name for the number of heads
        use_linear_projection=True,
        norm_num_groups=16,
    )


def make_scheduler() -> DDIMScheduler:
    """The schedule that the UNet is trained on and, by default, drawn with."""
    return DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
        steps_offset=1,
        clip_sample=False,
    )


class UnetTask:
    """Predict noise, or v, from noisy latents and captions.

    modules: what is trained, by the names that they have in a pipeline: "unet", perhaps "text_encoder".
    conditions: captions as the UNet takes them. latents: (n, channels, h, w), scaled to unit deviation, any precision.
    caption(index, rng): a text for a picture. train, held_out: indices to learn from, and to measure on.
    scheduler: whose noise schedule and prediction type the UNet is to fit.
    drop: share of samples whose caption is empty. text_rate: the text encoder's share of the learning rate.
    snr_gamma: min-SNR weighting (Hang et al. 2023); 0 weighs all timesteps alike.
    show: draws a sample sheet.
    """

    name, metric, higher = "unet", "loss", False

    def __init__(
        self,
        modules: dict[str, nn.Module],
        conditions: Conditions,
        latents: Latents,
        caption: Callable[[int, random.Random], str],
        train: np.ndarray,
        held_out: np.ndarray,
        scheduler: DDIMScheduler,
        *,
        show: Callable[[], tuple[Image.Image | None, Figures]] | None = None,
        drop: float = 0.1,
        text_rate: float = 0.2,
        snr_gamma: float = 0.0,
        compile: bool = False,
    ) -> None:
        self.modules, self.unet, self.conditions = modules, modules["unet"], conditions
        self.latents, self.caption, self.train, self.held_out = latents, caption, train, held_out
        self.scales = {"text_encoder": text_rate}
        self.show, self.drop, self.snr_gamma = show, drop, snr_gamma
        self.alphas = scheduler.alphas_cumprod.float()
        self.predicts_v = scheduler.config.prediction_type == "v_prediction"
        self.forward = torch.compile(self.unet) if compile else self.unet

    def draw(self, step: int, recipe: Recipe) -> Batch:
        """Latents, captions, noise and timesteps, these spread evenly over the batch."""
        rng, words = step_rng(recipe.seed, step), step_random(recipe.seed, step)
        indices = self.train[rng.integers(0, len(self.train), recipe.batch_size)]
        captions = [NO_CAPTION if words.random() < self.drop else self.caption(int(i), words) for i in indices]
        spread = (np.arange(recipe.batch_size) + rng.random(recipe.batch_size)) / recipe.batch_size
        timesteps = torch.from_numpy((spread * len(self.alphas)).astype(np.int64))
        return self.batch(indices, captions, timesteps, step_generator(recipe.seed, step))

    def batch(
        self, indices: np.ndarray, captions: list[str], timesteps: torch.Tensor, generator: torch.Generator
    ) -> Batch:
        """What `loss` and `errors` take, for pictures with these captions, noised to these timesteps."""
        latents = torch.as_tensor(self.latents[indices]).float()
        noise = torch.randn(latents.shape, generator=generator)
        return {"latents": latents, "noise": noise, "timesteps": timesteps} | self.conditions.draw(captions)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Mean squared error of the prediction, weighted by timestep."""
        return (self.errors(batch, self.forward) * self._weights(batch["timesteps"])).mean(), {}

    def errors(self, batch: Batch, unet: Callable[..., Any]) -> torch.Tensor:
        """Mean squared error of each sample: (n,)."""
        device = self.unet.device
        noisy, target, timesteps = self._noised(batch, device)
        predicted = unet(noisy, timesteps, **self.conditions.encode(batch, device)).sample
        return (predicted.float() - target).pow(2).mean((1, 2, 3))

    def _noised(self, batch: Batch, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        latents, noise, timesteps = (batch[name].to(device) for name in ("latents", "noise", "timesteps"))
        alpha = self.alphas.to(device)[timesteps].view(-1, 1, 1, 1)
        signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
        noisy = (signal * latents + sigma * noise).contiguous(memory_format=torch.channels_last)
        return noisy, signal * noise - sigma * latents if self.predicts_v else noise, timesteps

    def _weights(self, timesteps: torch.Tensor) -> torch.Tensor:
        """min(SNR, gamma) / SNR for noise, min(SNR, gamma) / (SNR + 1) for v: (n,).

        Where nothing is left of the picture it is 1: by the rule a schedule's last step would never be learned, and
        there sampling starts.
        """
        if not self.snr_gamma:
            return torch.ones((), device=self.unet.device)
        alpha = self.alphas[timesteps]
        snr = alpha / (1 - alpha)
        weights = snr.clamp_max(self.snr_gamma) / (snr + 1 if self.predicts_v else snr)
        return torch.where(alpha < 1e-8, 1.0, weights).to(self.unet.device)

    def validate(self) -> Figures:
        """Error with the right caption, with another picture's and with none: the gaps say whether it listens."""
        indices = np.resize(self.held_out, min(VALIDATION_SAMPLES, max(64, len(self.held_out))))
        right = [self.caption(int(i), step_random(0, int(i))) for i in indices]
        half = max(1, min(len(self.held_out), len(right)) // 2)  # neighbours may be of one class
        wrong, none = right[half:] + right[:half], [NO_CAPTION] * len(right)
        timesteps = torch.arange(len(indices)) * 389 % len(self.alphas)
        return {
            name: self._error(indices, captions, timesteps)
            for name, captions in (("loss", right), ("wrong", wrong), ("none", none))
        }

    def _error(self, indices: np.ndarray, captions: list[str], timesteps: torch.Tensor) -> float:
        batch = self.batch(indices, captions, timesteps, torch.Generator().manual_seed(1))
        starts = range(0, len(indices), 64)
        parts = [{name: values[start : start + 64] for name, values in batch.items()} for start in starts]
        return torch.cat([self.errors(part, self.unet) for part in parts]).mean().item()

    def sample(self) -> tuple[Image.Image | None, Figures]:
        return self.show() if self.show else (None, {})


def plain_attention(unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
    """Attention as plain products: on CPUs several times faster in bf16 than the fused kernels."""
    unet.set_attn_processor(AttnProcessor())
    text_encoder.set_attn_implementation("eager")


def assemble(
    vae: AutoencoderTiny, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """The parts as a plain Stable Diffusion pipeline."""
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
