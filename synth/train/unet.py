"""The denoiser: a Stable Diffusion 2 UNet that learns v-prediction on cached latents (Salimans & Ho 2022).

The text encoder starts as CLIP's text tower and goes on learning with the UNet at a lower rate. The noise schedule is
Stable Diffusion's scaled-linear one, shifted so that its last step is pure noise (Lin et al. 2023): without that, a
model of small pictures never learns how bright or dark a picture should be.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextModel, CLIPTokenizer

from synth.train.arrays import step_generator, step_random, step_rng
from synth.train.clip import encode_captions
from synth.train.loop import Recipe

TIMESTEPS = 1000
VALIDATION_PICTURES = 256
NO_CAPTION = ""


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
    """Predict v from noisy latents and captions.

    latents: (n, channels, s, s), scaled to unit deviation, in any precision; `caption(index, rng)` gives a text for
    each; the last `VALIDATION_PICTURES` of them are never trained on. drop: share of samples whose caption is empty,
    which classifier-free guidance needs.
    """

    name = "unet"

    def __init__(
        self,
        unet: UNet2DConditionModel,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        latents: torch.Tensor,
        caption: Callable[[int, object], str],
        *,
        show: Callable[["UnetTask", Path], dict[str, float]] | None = None,
        drop: float = 0.1,
        text_rate: float = 0.2,
        compile: bool = False,
    ) -> None:
        self.unet, self.text_encoder, self.tokenizer = unet, text_encoder, tokenizer
        self.latents, self.caption, self.show, self.drop = latents, caption, show, drop
        self.count = len(latents) - VALIDATION_PICTURES
        self.modules = {"unet": unet, "text_encoder": text_encoder}
        self.scales = {"text_encoder": text_rate}
        self.alphas = make_scheduler().alphas_cumprod.float()
        # Plain products: several times faster than the fused kernels in bf16 on CPUs.
        unet.set_attn_processor(AttnProcessor())
        text_encoder.set_attn_implementation("eager")
        self.forward = torch.compile(unet) if compile else unet

    def loss(self, step: int, recipe: Recipe) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean squared error of v, the timesteps spread evenly over the batch."""
        rng, words = step_rng(recipe.seed, step), step_random(recipe.seed, step)
        indices = rng.integers(0, self.count, recipe.batch_size)
        captions = [NO_CAPTION if words.random() < self.drop else self.caption(int(i), words) for i in indices]
        spread = (np.arange(recipe.batch_size) + rng.random(recipe.batch_size)) / recipe.batch_size
        timesteps = torch.from_numpy((spread * TIMESTEPS).astype(np.int64))
        noisy, target, timesteps = self._noised(indices, timesteps, step_generator(recipe.seed, step))
        predicted = self.forward(noisy, timesteps, self._encode(captions)).sample
        return F.mse_loss(predicted.float(), target), {}

    def _noised(
        self, indices: np.ndarray, timesteps: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        device = self.unet.device
        latents = self.latents[torch.from_numpy(indices)].float()
        noise = torch.randn(latents.shape, generator=generator).to(device)
        latents, timesteps = latents.to(device), timesteps.to(device)
        alpha = self.alphas.to(device)[timesteps].view(-1, 1, 1, 1)
        signal, sigma = alpha.sqrt(), (1 - alpha).sqrt()
        noisy = (signal * latents + sigma * noise).contiguous(memory_format=torch.channels_last)
        return noisy, signal * noise - sigma * latents, timesteps

    def _encode(self, captions: list[str]) -> torch.Tensor:
        return self.text_encoder(encode_captions(self.tokenizer, captions).to(self.unet.device)).last_hidden_state

    def validate(self) -> dict[str, float]:
        """Error with the right caption, with another picture's and with none: the gaps say whether it listens."""
        indices = np.arange(self.count, self.count + VALIDATION_PICTURES)
        right = [self.caption(int(i), step_random(0, int(i))) for i in indices]
        wrong, none = right[7:] + right[:7], [NO_CAPTION] * len(right)
        timesteps = torch.arange(VALIDATION_PICTURES) * 389 % TIMESTEPS
        noisy, target, timesteps = self._noised(indices, timesteps, torch.Generator().manual_seed(1))
        return {
            name: F.mse_loss(self._predict(noisy, timesteps, captions), target).item()
            for name, captions in (("loss", right), ("wrong", wrong), ("none", none))
        }

    def _predict(self, noisy: torch.Tensor, timesteps: torch.Tensor, captions: list[str]) -> torch.Tensor:
        parts = range(0, len(captions), 64)
        return torch.cat(
            [
                self.unet(noisy[i : i + 64], timesteps[i : i + 64], self._encode(captions[i : i + 64])).sample
                for i in parts
            ]
        )

    def sample(self, path: Path) -> dict[str, float]:
        return self.show(self, path) if self.show else {}


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
