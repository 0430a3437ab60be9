"""Tokenizers learned from captions: CLIP's (lower case, end-of-word marks) and GPT-2's (bytes, case kept).

Both fall back to single bytes, so no text is ever unknown to them; what a model makes of it is another matter.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer, GPT2Tokenizer

CLIP_LENGTH = 77
GPT2_LENGTH = 256
_CLIP_WORDS = Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
_START, _END = "<|startoftext|>", "<|endoftext|>"


def train_clip_tokenizer(captions: Iterable[str], folder: Path, *, merges: int = 800) -> CLIPTokenizer:
    """Learn CLIP's byte-pair encoding from captions and save it in `folder` (77 tokens, padded with the end token)."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=_END))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_CLIP_WORDS, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + 2 + merges,
        min_frequency=2,
        initial_alphabet=alphabet,
        special_tokens=[_START, _END],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    vocabulary = tokenizer.get_vocab()
    for letter in alphabet:  # the trainer adds a letter's end-of-word form only if it saw one
        vocabulary.setdefault(letter + "</w>", len(vocabulary))
    clip = CLIPTokenizer(vocab=vocabulary, merges=_merges(tokenizer), model_max_length=CLIP_LENGTH)
    clip.save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def train_gpt2_tokenizer(captions: Iterable[str], folder: Path, *, merges: int = 800) -> GPT2Tokenizer:
    """Learn GPT-2's byte-level encoding from captions and save it in `folder`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + 1 + merges,
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[_END],
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    gpt2 = GPT2Tokenizer(vocab=tokenizer.get_vocab(), merges=_merges(tokenizer), model_max_length=GPT2_LENGTH)
    gpt2.save_pretrained(folder)
    return GPT2Tokenizer.from_pretrained(folder, local_files_only=True)


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]
