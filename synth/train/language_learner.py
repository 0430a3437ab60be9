"""GPT-2, made ready to learn a domain's language: whole, by adapters, or from noise."""

from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from synth.errors import ModelError
from synth.models import languages
from synth.models.loading import first_line
from synth.models.quiet import quiet
from synth.models.trained import Start, melt
from synth.presets import locate, resolve
from synth.train.gpt2 import Gpt2Task, whole
from synth.train.learners import Learner, changed
from synth.train.params import Params, Train
from synth.train.texts import Texts


def gpt2_learner(params: Params, texts: Texts) -> Learner:
    """A causal language model of GPT-2's family that learns to write texts like these."""
    gpt2, tokenizer, start = _begun(params.train)
    task = Gpt2Task(gpt2, tokenizer, lambda rng: rng.choice(texts.train), begin=whole, held_out=texts.validation)
    return Learner(task, lambda folder: _export(gpt2, tokenizer, start, folder), {"start": start.as_dict()})


def load_gpt2(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in fp32 and its tokenizer."""
    path = locate(resolve(name, "expander"), "expander")
    try:
        with quiet():
            return languages.read_network(path), languages.read_tokenizer(path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        problem = f"{name} cannot be loaded as a GPT-2 ({first_line(error)})"
        raise ModelError(f"{problem}; give a causal language model.") from error


def _begun(train: Train) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Start]:
    """The base, changed as it is before the first step, and a note of how."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)
        gpt2, tokenizer = load_gpt2(train.model)
        start = Start(
            base=resolve(train.model, "expander"), component=languages.NAME,
            config=changed(gpt2.config.to_dict(), train.shape) if train.scratch else None,
            lora_rank=train.lora_rank, lora_alpha=train.lora_alpha,
        )  # fmt: skip
        gpt2 = languages.begin(gpt2.requires_grad_(True), start)  # a checkpoint's adapters had frozen it
    for part in gpt2.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0  # drawn by each process for itself, it would make two of them differ from one
    if train.gradient_checkpointing:
        gpt2.gradient_checkpointing_enable()
    return gpt2, tokenizer, start


def _export(gpt2: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, start: Start, folder: Path) -> None:
    """A plain folder with the adapters melted in; the adapters alone, as peft has them, in its folder `adapter`."""
    if start.lora_rank:
        gpt2.save_pretrained(folder / "adapter")
        melt(gpt2)
    gpt2.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
