"""GPT-2 for prompts: a small model of the real architecture that goes on writing where a phrase stops.

A share of the texts begins with letters it cannot know or is typed in capitals, as people's phrases are; on that
beginning there is no loss. So the model learns to go on from any phrase and to write only words of the world.
"""

import random
import string
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

from synth.train.arrays import step_random
from synth.train.loop import Figures
from synth.train.processes import Batch
from synth.train.recipe import Recipe

Begin = Callable[[str, random.Random], tuple[str, str]]
NO_LOSS = -100
VALIDATION_TEXTS = 512
LONGEST = 256  # tokens of a text that are learned from


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
    """Predict the next token of prompts.

    text(rng): a prompt. begin(text, rng): what of it is given, and what is learned. held_out: texts to measure on.
    """

    name, metric, higher = "gpt2", "loss", False

    def __init__(
        self,
        gpt2: GPT2LMHeadModel,
        tokenizer: GPT2Tokenizer,
        text: Callable[[random.Random], str],
        *,
        begin: Begin | None = None,
        held_out: Sequence[str] | None = None,
    ) -> None:
        self.gpt2, self.tokenizer, self.text, self.begin = gpt2, tokenizer, text, begin or as_typed
        rng = random.Random("validation")
        texts = [text(rng) for _ in range(VALIDATION_TEXTS)] if held_out is None else held_out[:VALIDATION_TEXTS]
        self.held_out = [("", item) for item in texts]
        gpt2.set_attn_implementation("eager")  # several times faster than the fused kernel in bf16 on CPUs
        self.modules = {"gpt2": gpt2}
        self.scales: dict[str, float] = {}

    def draw(self, step: int, recipe: Recipe) -> Batch:
        return self._batch(texts_of_step(step, recipe, self.text, self.begin))

    def _batch(self, texts: list[tuple[str, str]]) -> Batch:
        """Token ids and targets, (n, T) each, of (beginning without loss, text with loss), and each token's weight."""
        rows = [self._tokens(*text) for text in texts]
        length = max(len(ids) for ids, _ in rows)
        end = self.tokenizer.eos_token_id
        targets = torch.tensor([row + [NO_LOSS] * (length - len(row)) for _, row in rows])
        learned = (targets[:, 1:] != NO_LOSS).sum()
        return {
            "ids": torch.tensor([row + [end] * (length - len(row)) for row, _ in rows]),
            "targets": targets,
            "weight": (len(rows) / learned).repeat(len(rows)),  # so that the mean over samples is the mean over tokens
        }

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """Cross-entropy in nats a token."""
        device = self.gpt2.device
        logits = self.gpt2(batch["ids"].to(device)).logits.float()
        targets = batch["targets"][:, 1:].to(device)
        costs = F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, ignore_index=NO_LOSS, reduction="none")
        return (costs.sum(1) * batch["weight"].to(device)).mean(), {}

    def _tokens(self, given: str, text: str) -> tuple[list[int], list[int]]:
        end = self.tokenizer.eos_token_id
        before = [end, *self.tokenizer(given).input_ids] if given else [end]
        after = [*self.tokenizer(text).input_ids, end]
        ids, targets = before + after, [NO_LOSS] * len(before) + after
        return ids[:LONGEST], targets[:LONGEST]

    def validate(self) -> Figures:
        """Cross-entropy of the held-out texts, in nats a token."""
        parts = [self._batch(self.held_out[start : start + 64]) for start in range(0, len(self.held_out), 64)]
        tokens = [len(part["ids"]) / part["weight"][0].item() for part in parts]
        costs = [self.loss(part)[0].item() * count for part, count in zip(parts, tokens, strict=True)]
        return {"loss": sum(costs) / sum(tokens)}

    @torch.inference_mode()
    def text_costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each held-out text the cross-entropy in nats a token, and its tokens: (n,) each."""
        batches = [self._batch([text]) for text in self.held_out]
        tokens = np.array([1 / batch["weight"][0].item() for batch in batches])
        return np.array([self.loss(batch)[0].item() for batch in batches]), tokens

    def sample(self) -> tuple[None, Figures]:
        """A language model has no picture to show."""
        return None, {}


def texts_of_step(
    step: int, recipe: Recipe, text: Callable[[random.Random], str], begin: Begin
) -> list[tuple[str, str]]:
    """What a step learns from: (beginning without loss, text with loss), `recipe.batch_size` times."""
    rng = step_random(recipe.seed, step)
    return [begin(text(rng), rng) for _ in range(recipe.batch_size)]


def whole(text: str, rng: random.Random) -> tuple[str, str]:
    """All of a text is learned."""
    return "", text


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
