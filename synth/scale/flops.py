"""How many floating-point operations a picture takes, counted on modules without weights: nothing is computed.

Counted are matrix products, convolutions and attention, as torch.utils.flop_counter does; a multiplication with its
addition is two.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from synth import presets
from synth.diffusion.courses import evaluations
from synth.jobs import Job, ModelRef
from synth.models import hub
from synth.models.families import diffusers, is_stable_diffusion, pipeline_class
from synth.models.loading import configs
from synth.models.quiet import quiet
from synth.models.weights import read_json


@dataclass(frozen=True)
class Parts:
    """Operations of one text through the text encoders, one row through the UNet, one picture through the VAE."""

    text: int
    unet: int
    encode: int
    decode: int


def flops(job: Job) -> float | None:
    """Operations of a picture with its guidance; None where the model is no Stable Diffusion 1, 2 or XL."""
    parts = count_parts(config_folder(job.model), job.settings.width, job.settings.height)
    if parts is None:
        return None
    return parts.text + evaluations(job) * parts.unet + parts.decode + (parts.encode if job.source else 0)


@cache
def config_folder(model: ModelRef) -> Path:
    """The folder with a model's configs; of a hub model no weights are downloaded."""
    preset = presets.PRESETS.get(model.name)
    if (preset and preset.folder) or Path(model.name).exists():
        return configs(presets.locate(model, "renderer"))
    return hub.download(preset.source if preset else model.name, model.revision, "configs")


@cache
def count_parts(folder: Path, width: int, height: int) -> Parts | None:
    """The parts of a pipeline folder for pictures of that size in pixels; None as for `flops`."""
    if not is_stable_diffusion(pipeline_class(folder)):
        return None
    with quiet(), torch.device("meta"), torch.inference_mode():
        unet, vae = _module(folder, "unet"), _module(folder, "vae")
        shrinks = 2 ** (len(vae.config.block_out_channels) - 1)
        latents = torch.empty(1, vae.config.latent_channels, height // shrinks, width // shrinks)
        noisy = torch.empty(1, unet.config.in_channels, *latents.shape[2:])
        states = torch.empty(1, 77, unet.config.cross_attention_dim)
        return Parts(
            text=sum(_text(folder, name) for name in ("text_encoder", "text_encoder_2") if (folder / name).is_dir()),
            unet=_counted(unet, noisy, torch.empty(1), states, added_cond_kwargs=_size_conditions(unet)),
            encode=_counted(vae.encode, torch.empty(1, 3, height, width)),
            decode=_counted(vae.decode, latents),
        )


def _module(folder: Path, name: str) -> torch.nn.Module:
    """A component of diffusers without weights."""
    kind = getattr(diffusers, read_json(folder / "model_index.json")[name][1])
    return kind.from_config(read_json(folder / name / "config.json"))


def _text(folder: Path, name: str) -> int:
    import transformers

    kind = getattr(transformers, read_json(folder / "model_index.json")[name][1])
    config = kind.config_class.from_pretrained(folder / name, attn_implementation="eager")
    words = torch.zeros(1, config.max_position_embeddings, dtype=torch.long)
    return _counted(kind(config), words)


def _size_conditions(unet: torch.nn.Module) -> dict[str, torch.Tensor] | None:
    """What SDXL's UNet also wants; see `synth.diffusion.denoising`."""
    if unet.config.addition_embed_type != "text_time":
        return None
    pooled = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
    return {"text_embeds": torch.empty(1, pooled), "time_ids": torch.empty(1, 6)}


def _counted(call: Any, *inputs: Any, **named: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        call(*inputs, **named)
    return counter.get_total_flops()
