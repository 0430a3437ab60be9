"""Upscalers with random weights in the shape of the public ones, and a photograph that nobody took."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionUpscalePipeline, UNet2DConditionModel
from PIL import Image
from tiny_diffusion import clip_tokenizer, saved, text_config
from transformers import CLIPTextModel, Swin2SRConfig, Swin2SRForImageSuperResolution


@pytest.fixture(scope="session")
def tiny_swin(tmp_path_factory) -> Path:
    """A Swin2SR folder of the classical kind, twice the size."""
    return _swin(tmp_path_factory.mktemp("models") / "tiny-swin", upscale=2, upsampler="pixelshuffle")


@pytest.fixture(scope="session")
def tiny_swin_x4(tmp_path_factory) -> Path:
    """One that enlarges four times."""
    return _swin(tmp_path_factory.mktemp("models") / "tiny-swin-x4", upscale=4, upsampler="nearest+conv")


def _swin(folder: Path, **config) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Swin2SRForImageSuperResolution(Swin2SRConfig(embed_dim=8, depths=[2], num_heads=[2], **config))
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(std=0.1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_diffusion_upscaler(tmp_path_factory) -> Path:
    """A folder in the shape of Stable Diffusion's x4 upscaler."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = clip_tokenizer()
        pipeline = StableDiffusionUpscalePipeline(
            vae=AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
                block_out_channels=(8, 8, 16), norm_num_groups=8, scaling_factor=0.08333,
            ),
            text_encoder=CLIPTextModel(text_config(tokenizer)),
            tokenizer=tokenizer,
            unet=UNet2DConditionModel(
                in_channels=7, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=4, cross_attention_dim=32,
                num_class_embeds=1000,
            ),
            low_res_scheduler=DDPMScheduler(),
            scheduler=DDIMScheduler(prediction_type="v_prediction"),
        )  # fmt: skip
    return saved(pipeline, tmp_path_factory.mktemp("models") / "tiny-upscaler")


@pytest.fixture
def photo(tmp_path) -> Path:
    """A picture of 60 x 44 pixels that no model made, as a JPEG."""
    path = tmp_path / "photo.jpg"
    y, x = np.mgrid[:44, :60]
    Image.fromarray(np.stack([4 * x, 5 * y, 2 * (x + y)], axis=2).astype(np.uint8)).save(path, quality=95)
    return path
