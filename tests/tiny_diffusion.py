"""Stable Diffusion folders with random weights, small enough to render in a few milliseconds.

They have the shape of the real models (components, prediction types, file formats), so that what is tested with them
holds for the public weights; their pictures mean nothing, but they do depend on prompt, seed and settings.
"""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def build_tiny_sd(folder: Path | str, *, prediction_type: str = "v_prediction", seed: int = 0) -> Path:
    """A StableDiffusionPipeline folder of the SD 2 kind (1 M random parameters, an 8x AutoencoderTiny) at `folder`.

    The same seed gives the same weights. The tokenizer knows bytes only: a token is a letter, 75 fit into a prompt.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer = clip_tokenizer()
        pipeline = StableDiffusionPipeline(
            vae=_bright(AutoencoderTiny(encoder_block_out_channels=(16,) * 4, decoder_block_out_channels=(16,) * 4)),
            text_encoder=loud(CLIPTextModel(text_config(tokenizer))),
            tokenizer=tokenizer,
            unet=loud(_unet(cross_attention_dim=32)),
            scheduler=DDIMScheduler(
                prediction_type=prediction_type, clip_sample=False, set_alpha_to_one=False, steps_offset=1, **NOISE
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    return saved(pipeline, folder)


def build_tiny_sdxl(folder: Path | str, *, seed: int = 0) -> Path:
    """A StableDiffusionXLPipeline folder (epsilon, two text encoders, an AutoencoderKL) with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tokenizer = clip_tokenizer()
        pipeline = StableDiffusionXLPipeline(
            vae=tiny_vae(scaling_factor=0.13025),
            text_encoder=loud(CLIPTextModel(text_config(tokenizer))),
            text_encoder_2=loud(CLIPTextModelWithProjection(text_config(tokenizer))),
            tokenizer=tokenizer,
            tokenizer_2=clip_tokenizer(),
            unet=loud(
                _unet(
                    cross_attention_dim=64,
                    addition_embed_type="text_time",
                    addition_time_embed_dim=8,
                    projection_class_embeddings_input_dim=6 * 8 + 32,
                )
            ),
            scheduler=EulerDiscreteScheduler(steps_offset=1, timestep_spacing="leading", **NOISE),
        )
    return saved(pipeline, folder)


def tiny_vae(**config: float) -> AutoencoderKL:
    """An 8x VAE of the kind that real models have."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=8,
        **config,
    )


def saved(pipeline: DiffusionPipeline, folder: Path | str) -> Path:
    pipeline.save_pretrained(folder, safe_serialization=True)
    return Path(folder)


def _unet(**conditioning: object) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        norm_num_groups=8,
        **conditioning,
    )


def text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=32,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def clip_tokenizer() -> CLIPTokenizer:
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=77)


def _bright(vae: AutoencoderTiny) -> AutoencoderTiny:
    """The VAE with pictures around mid grey: as it is initialised, they are nearly black."""
    last = vae.decoder.layers[-1]
    last.weight.data.mul_(8.0)
    last.bias.data.fill_(0.5)
    return vae


def loud(model: torch.nn.Module) -> torch.nn.Module:
    """The model with larger matrices: as initialised, a prompt would change the picture by less than a grey level."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.mul_(2.0)
    return model
