"""What a training learned, laid over the model it started from: how checkpoints are rendered, and how models are made.

A `Start` says what was done to the base before the first step. Done again, it gives networks with just the parameters
that a checkpoint holds.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.utils.peft_utils import recurse_remove_peft_layers
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import safe_open
from torch import nn

from synth.jobs import ModelRef
from synth.models.families import DiffusionPipeline
from synth.models.weights import training_facts

UNET_TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a training began.

    base: the model. component: which part of it is trained: "unet" or "vae" of a renderer, "gpt2" the whole.
    prediction: the UNet's type. config: of a part made anew, None where base's is trained further.
    lora_rank, lora_alpha: of the adapters beside the weights; rank 0 for none. text_encoder: whether it learns too.
    """

    base: ModelRef
    component: str
    prediction: str = ""
    config: dict[str, Any] | None = None
    lora_rank: int = 0
    lora_alpha: float = 0.0
    text_encoder: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The start that `as_dict` described."""
        base = data["base"]
        loras = tuple((name, weight) for name, weight in base["loras"])
        return cls(**{**data, "base": ModelRef(**base | {"loras": loras})})


def begin(pipeline: DiffusionPipeline, start: Start) -> None:
    """Make the pipeline what it was before the first step: a new part, adapters, the prediction type."""
    pipeline.scheduler.register_to_config(prediction_type=start.prediction)
    if start.config:
        old = getattr(pipeline, start.component)
        pipeline.register_modules(**{start.component: type(old).from_config(start.config).to(old.dtype)})
    if start.lora_rank:
        _adapt(pipeline.unet, UNET_TARGETS, start)
        if start.text_encoder:
            _adapt(pipeline.text_encoder, TEXT_TARGETS, start)


def learned(pipeline: DiffusionPipeline, checkpoint: Path) -> DiffusionPipeline:
    """The pipeline of a checkpoint's base with the checkpoint's averaged weights, adapters melted in."""
    begin(pipeline, Start.from_dict(training_facts(checkpoint)["start"]))
    modules = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    lay_over(modules, checkpoint)
    for module in modules.values():
        melt(module)
    return pipeline


@torch.no_grad()
def lay_over(modules: Mapping[str, nn.Module], checkpoint: Path) -> None:
    """Put a checkpoint's averaged weights into modules that have its parameters."""
    with safe_open(checkpoint, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118
            kind, _, rest = key.partition("/")
            name, _, parameter = rest.partition("/")
            if kind == "average" and name in modules:
                modules[name].get_parameter(parameter).copy_(file.get_tensor(key))


def melt(module: nn.Module) -> None:
    """Add adapters to the weights beneath them, and take them away."""
    for layer in module.modules():
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
    recurse_remove_peft_layers(module)
    if getattr(module, "_hf_peft_config_loaded", False):
        module._hf_peft_config_loaded = False
        del module.peft_config


def _adapt(module: nn.Module, targets: tuple[str, ...], start: Start) -> None:
    alpha = start.lora_alpha or start.lora_rank
    module.add_adapter(
        LoraConfig(r=start.lora_rank, lora_alpha=alpha, init_lora_weights="gaussian", target_modules=list(targets))
    )
