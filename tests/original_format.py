"""Writes a tiny pipeline as one file with the tensor names of the original Stable Diffusion code."""

import re
from pathlib import Path

from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = (  # of the tiny UNet's two stages with one layer each, and two on the way up
    (r"time_embedding\.linear_1", "time_embed.0"),
    (r"time_embedding\.linear_2", "time_embed.2"),
    (r"conv_in", "input_blocks.0.0"),
    (r"down_blocks\.0\.resnets\.0", "input_blocks.1.0"),
    (r"down_blocks\.0\.downsamplers\.0\.conv", "input_blocks.2.0.op"),
    (r"down_blocks\.1\.resnets\.0", "input_blocks.3.0"),
    (r"down_blocks\.1\.attentions\.0", "input_blocks.3.1"),
    (r"mid_block\.resnets\.0", "middle_block.0"),
    (r"mid_block\.attentions\.0", "middle_block.1"),
    (r"mid_block\.resnets\.1", "middle_block.2"),
    (r"up_blocks\.0\.resnets\.([01])", r"output_blocks.\1.0"),
    (r"up_blocks\.0\.attentions\.([01])", r"output_blocks.\1.1"),
    (r"up_blocks\.0\.upsamplers\.0\.conv", "output_blocks.1.2.conv"),
    (r"up_blocks\.1\.resnets\.0", "output_blocks.2.0"),
    (r"up_blocks\.1\.resnets\.1", "output_blocks.3.0"),
    (r"conv_norm_out", "out.0"),
    (r"conv_out", "out.2"),
)
VAE = (
    (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_(q|k|v)\b", r"mid.attn_1.\1"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
)


def save_original(pipeline: StableDiffusionPipeline, file: Path) -> Path:
    """Save a pipeline with tiny_diffusion's UNet and an AutoencoderKL to one .safetensors file."""
    tensors = {}
    for name, tensor in pipeline.unet.state_dict().items():
        tensors[f"model.diffusion_model.{_unet_name(name)}"] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        tensors[f"first_stage_model.{_vae_name(name)}"] = tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        name = name if name.startswith("text_model.") else f"text_model.{name}"
        tensors[f"cond_stage_model.transformer.{name}"] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    return file


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, new in rules:
        name, found = re.subn(
            rf"^((?:encoder\.|decoder\.)?){pattern}(?=\.)", lambda m, new=new: m[1] + m.expand(_shift(new)), name
        )
        if found:
            break
    return name


def _shift(new: str) -> str:
    """References to groups counted from 1, where the prefix is group 1."""
    return re.sub(r"\\(\d)", lambda match: f"\\{int(match[1]) + 1}", new)


def _unet_name(name: str) -> str:
    resnet = ".resnets." in name
    name = _renamed(name, UNET)
    if resnet:
        stem, part, kind = name.rsplit(".", 2)
        return f"{stem}.{RESNET[part]}.{kind}"
    return name


def _vae_name(name: str) -> str:
    up = re.match(r"decoder\.up_blocks\.(\d)\.(?:resnets\.(\d)|upsamplers\.0)", name)
    if up:
        place = f"block.{up[2]}" if up[2] else "upsample"
        name = f"decoder.up.{3 - int(up[1])}.{place}{name[up.end() :]}"
    return _renamed(name, VAE).replace("conv_shortcut", "nin_shortcut")
