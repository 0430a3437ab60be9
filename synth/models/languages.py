"""Causal language models of GPT-2's family, from a folder, or from a training's checkpoint and what that began with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from synth.errors import ModelError
from synth.models.alone import LOADING
from synth.models.trained import Start, lay_over, melt
from synth.models.weights import training_facts
from synth.presets import base_of, locate

TARGETS = ("c_attn", "c_proj", "c_fc")
NAME = "gpt2"  # of the network in checkpoints


def read_tokenizer(model: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in a folder, or of what a checkpoint began with. Raises whatever transformers does."""
    base = base_of(model, "expander")
    if base is not None:
        return read_tokenizer(locate(base, "expander"))
    return AutoTokenizer.from_pretrained(model, local_files_only=True)


def read_config(model: Path) -> PreTrainedConfig:
    """The config of a folder's or a checkpoint's network. Raises whatever transformers does."""
    base = base_of(model, "expander")
    if base is None:
        return AutoConfig.from_pretrained(model, local_files_only=True)
    old = read_config(locate(base, "expander"))
    return _shaped(old, _start(model).config)


def read_network(model: Path) -> PreTrainedModel:
    """The network of a folder or checkpoint in float32, adapters melted in. Raises whatever transformers does."""
    base = base_of(model, "expander")
    with LOADING:
        if base is None:
            return AutoModelForCausalLM.from_pretrained(
                model, dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
        network = begin(read_network(locate(base, "expander")), _start(model))
        lay_over({NAME: network}, model)
        melt(network)
        return network.eval()


def begin(network: PreTrainedModel, start: Start) -> PreTrainedModel:
    """The network as it was before the first step: made anew if `start` has a config, with adapters if it has a rank.

    ModelError where adapters find no layers of GPT-2's.
    """
    if start.config is not None:
        network = AutoModelForCausalLM.from_config(_shaped(network.config, start.config))
    if start.lora_rank:
        _adapt(network, start)
    return network


def _shaped(old: PreTrainedConfig, config: Mapping[str, Any] | None) -> PreTrainedConfig:
    return old if config is None else type(old).from_dict(dict(config))


def _adapt(network: PreTrainedModel, start: Start) -> None:
    targets = {name.rsplit(".", 1)[-1] for name, _ in network.named_modules()} & set(TARGETS)
    if not targets:
        raise ModelError(f"{start.base.name} is no GPT-2 (it has no {', '.join(TARGETS)}); use lora_rank 0.")
    network.add_adapter(
        LoraConfig(
            r=start.lora_rank,
            lora_alpha=start.lora_alpha or start.lora_rank,
            target_modules=sorted(targets),
            fan_in_fan_out=True,
            task_type="CAUSAL_LM",
        )
    )


def _start(checkpoint: Path) -> Start:
    return Start.from_dict(training_facts(checkpoint)["start"])
