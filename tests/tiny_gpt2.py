"""A real GPT-2 folder small enough to build in a second: random weights, its own byte-level BPE tokenizer."""

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

END = "<|endoftext|>"
SIZES = ("a small", "a large", "an old", "a bright", "a quiet", "a tall", "the last", "one")
THINGS = ("lighthouse", "garden", "bridge", "astronaut", "horse", "flower", "hall of a university", "sailing boat")
PLACES = ("by the sea", "on a hill", "under the moon", "in the snow", "near the river", "in a desert")
STYLES = ("oil painting", "watercolour", "pencil drawing", "photograph", "paper cut")
LIGHTS = ("at sunset", "soft light", "foggy morning", "clear night")


def captions(count: int = 300, *, seed: int = 0) -> list[str]:
    """Made-up English captions, the same for the same seed."""
    chooser = random.Random(seed)
    parts = [[chooser.choice(words) for words in (STYLES, SIZES, THINGS, PLACES, LIGHTS)] for _ in range(count)]
    return [f"{style} of {size} {thing} {place}, {light}" for style, size, thing, place, light in parts]


def build_tiny_gpt2(folder: str | Path, *, seed: int = 0, positions: int = 1024) -> Path:
    """Write a GPT2LMHeadModel of 2 layers of width 32 and its fast tokenizer (about 400 tokens) to `folder`."""
    folder = Path(folder)
    tokenizer = _tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=positions, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
        initializer_range=0.3,  # wide enough that the random model has opinions
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        GPT2LMHeadModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(captions(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END, model_max_length=1024
    )
