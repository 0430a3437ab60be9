"""GPT-2, made ready to learn a domain's language: whole, by adapters, or from noise."""

from pathlib import Path

import torch
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from synth.errors import ModelError
from synth.jobs import check_choice
from synth.models.quiet import quiet
from synth.models.trained import melt
from synth.presets import locate, resolve
from synth.train.gpt2 import Gpt2Task, whole
from synth.train.learners import Learner
from synth.train.params import Params, Train
from synth.train.texts import Texts

TARGETS = ("c_attn", "c_proj", "c_fc")


def gpt2_learner(params: Params, texts: Texts) -> Learner:
    """A causal language model of GPT-2's family that learns to write texts like these."""
    train = params.train
    gpt2, tokenizer = _begun(train)
    task = Gpt2Task(gpt2, tokenizer, lambda rng: rng.choice(texts.train), begin=whole, held_out=texts.validation)
    return Learner(task, lambda folder: _export(gpt2, tokenizer, train, folder))


def load_gpt2(base: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in fp32 and its tokenizer; "vignettes" is the bundled one."""
    name = "vignettes-gpt2" if base == "vignettes" else base
    folder = locate(resolve(name, "expander"), "expander")
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            gpt2 = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{name} cannot be loaded as a GPT-2 ({reason}); give a causal language model.") from error
    return gpt2, tokenizer


def _begun(train: Train) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The base, changed as it is before the first step."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)
        gpt2, tokenizer = load_gpt2(train.base)
        if train.scratch:
            gpt2 = _anew(gpt2, train)
        if train.lora_rank:
            _adapt(gpt2, train)
    for part in gpt2.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # drawn by each process for itself, it would make two of them differ from one
    if train.gradient_checkpointing:
        gpt2.gradient_checkpointing_enable()
    return gpt2, tokenizer


def _anew(gpt2: PreTrainedModel, train: Train) -> PreTrainedModel:
    old = gpt2.config.to_dict()
    for name in train.shape:
        check_choice("train.shape", name, tuple(old))
    return AutoModelForCausalLM.from_config(type(gpt2.config).from_dict(old | train.shape))


def _adapt(gpt2: PreTrainedModel, train: Train) -> None:
    targets = {name.rsplit(".", 1)[-1] for name, _ in gpt2.named_modules()} & set(TARGETS)
    if not targets:
        raise ModelError(f"{train.base} is no GPT-2 (it has no {', '.join(TARGETS)}); use lora_rank 0.")
    gpt2.add_adapter(
        LoraConfig(
            r=train.lora_rank,
            lora_alpha=train.lora_alpha or train.lora_rank,
            target_modules=sorted(targets),
            fan_in_fan_out=True,
            task_type="CAUSAL_LM",
        )  # fmt: skip
    )


def _export(gpt2: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, train: Train, folder: Path) -> None:
    """A plain folder with the adapters melted in; the adapters alone beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if train.lora_rank:
        adapters = {name: tensor.contiguous() for name, tensor in get_peft_model_state_dict(gpt2).items()}
        save_file(adapters, folder / "adapter.safetensors", metadata={"format": "pt"})
        melt(gpt2)
    gpt2.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
