"""A folder of another family than Stable Diffusion 1, 2 and XL, with random weights."""

from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline
from tiny_diffusion import clip_tokenizer, loud, saved, text_config, tiny_vae
from transformers import CLIPTextModelWithProjection, T5Config, T5EncoderModel, T5TokenizerFast

LETTERS = [(letter, -3.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
VOCABULARY = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *LETTERS]


def build_tiny_sd3(folder: Path | str, *, seed: int = 0) -> Path:
    """A StableDiffusion3Pipeline folder: two CLIPs, a T5, a transformer that predicts a flow; 64 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        t5 = T5Config(vocab_size=len(VOCABULARY), d_model=64, d_ff=64, d_kv=8, num_heads=4, num_layers=2)
        pipeline = StableDiffusion3Pipeline(
            transformer=loud(
                SD3Transformer2DModel(
                    sample_size=8, patch_size=2, num_layers=2, attention_head_dim=8, num_attention_heads=4,
                    joint_attention_dim=64, caption_projection_dim=32, pooled_projection_dim=64, in_channels=4,
                    out_channels=4, pos_embed_max_size=16,
                )
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=tiny_vae(shift_factor=0.0609),
            text_encoder=loud(CLIPTextModelWithProjection(text_config(clip_tokenizer()))),
            tokenizer=clip_tokenizer(),
            text_encoder_2=loud(CLIPTextModelWithProjection(text_config(clip_tokenizer()))),
            tokenizer_2=clip_tokenizer(),
            text_encoder_3=loud(T5EncoderModel(t5)),
            tokenizer_3=T5TokenizerFast(vocab=VOCABULARY, model_max_length=512),
        )  # fmt: skip
    return saved(pipeline, folder)
