"""GPT-2 for prompts: a small model of the real architecture that goes on writing where a phrase stops.

A share of the texts begins with letters it cannot know or is typed in capitals, as people's phrases are; on that
beginning there is no loss. So the model learns to go on from any phrase and to write only words of the world.
"""

import random
import string
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

from synth.train.arrays import step_random
from synth.train.loop import Recipe

NO_LOSS = -100
VALIDATION_TEXTS = 512


def make_gpt2(tokenizer: GPT2Tokenizer, *, width: int = 160, layers: int = 4, heads: int = 5) -> GPT2LMHeadModel:
    """An untrained GPT-2 with tied embeddings, 1.4 million parameters as called by default."""
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=tokenizer.model_max_length,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    return GPT2LMHeadModel(config)


class Gpt2Task:
    """Predict the next token of prompts; `text(rng)` gives a prompt."""

    name = "gpt2"

    def __init__(self, gpt2: GPT2LMHeadModel, tokenizer: GPT2Tokenizer, text: Callable[[random.Random], str]) -> None:
        self.gpt2, self.tokenizer, self.text = gpt2, tokenizer, text
        gpt2.set_attn_implementation("eager")  # several times faster than the fused kernel in bf16 on CPUs
        self.modules = {"gpt2": gpt2}
        self.scales: dict[str, float] = {}

    def loss(self, step: int, recipe: Recipe) -> tuple[torch.Tensor, dict[str, float]]:
        return self._loss(texts_of_step(step, recipe, self.text)), {}

    def _loss(self, texts: list[tuple[str, str]]) -> torch.Tensor:
        """Cross-entropy in nats a token of (beginning without loss, text with loss)."""
        rows = [self._tokens(*text) for text in texts]
        length = max(len(ids) for ids, _ in rows)
        end = self.tokenizer.eos_token_id
        ids = torch.tensor([row + [end] * (length - len(row)) for row, _ in rows])
        targets = torch.tensor([row + [NO_LOSS] * (length - len(row)) for _, row in rows])
        logits = self.gpt2(ids.to(self.gpt2.device)).logits.float()
        return F.cross_entropy(
            logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten().to(logits.device), ignore_index=NO_LOSS
        )

    def _tokens(self, given: str, text: str) -> tuple[list[int], list[int]]:
        end = self.tokenizer.eos_token_id
        before = [end, *self.tokenizer(given).input_ids] if given else [end]
        after = [*self.tokenizer(text).input_ids, end]
        return before + after, [NO_LOSS] * len(before) + after

    def validate(self) -> dict[str, float]:
        rng = random.Random("validation")
        texts = [("", self.text(rng)) for _ in range(VALIDATION_TEXTS)]
        return {"loss": self._loss(texts).item()}

    def sample(self, path: Path) -> dict[str, float]:
        """A language model has no picture to show."""
        return {}


def texts_of_step(step: int, recipe: Recipe, text: Callable[[random.Random], str]) -> list[tuple[str, str]]:
    """What a step learns from: (beginning without loss, text with loss), `recipe.batch_size` times."""
    rng = step_random(recipe.seed, step)
    return [as_typed(text(rng), rng) for _ in range(recipe.batch_size)]


def as_typed(text: str, rng: random.Random) -> tuple[str, str]:
    """A text as (beginning that is given, rest that is learned): mostly ("", text), else begun as people type."""
    kind = rng.random()
    if kind < 0.7:
        return "", text
    cut = text.find(" ", rng.randint(0, len(text) // 2))
    given, rest = (text[:cut], text[cut:]) if cut > 0 else ("", text)
    if kind < 0.8:
        return rng.choice((str.upper, str.title, str.capitalize))(given), rest
    unknown = " ".join(_made_up_word(rng) for _ in range(rng.randint(1, 4)))
    if kind < 0.9:
        return f"{given} {unknown}".strip(), rest if given else f", {rest}"
    return unknown, f", {text}"


def _made_up_word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9)))
