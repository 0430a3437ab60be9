"""Prompts become what the UNet attends to; each distinct text is encoded once."""

from collections import OrderedDict
from typing import NamedTuple

import torch
from transformers import PreTrainedTokenizerBase

from synth.models.families import DiffusionPipeline, StableDiffusion, StableDiffusionXLPipeline, parameters
from synth.models.quiet import quiet

KEPT = 128


class Embedding(NamedTuple):
    """tokens: (77, D), one state per token; pooled: (P,), the whole text in SDXL, or None."""

    tokens: torch.Tensor
    pooled: torch.Tensor | None


class Embedder:
    """Encodes texts for one pipeline and remembers the last 128 of them.

    fixed: texts are encoded in batches of exactly this many, padded with the empty text, so that an embedding does not
    depend on its neighbours; None encodes just the new texts, together.
    """

    def __init__(self, pipeline: StableDiffusion, fixed: int | None = None) -> None:
        self.pipeline, self.fixed = pipeline, fixed
        self._known: OrderedDict[str, Embedding] = OrderedDict()

    def prompts(self, texts: list[str]) -> list[Embedding]:
        """One embedding per text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        size = self.fixed or max(len(new), 1)
        for start in range(0, len(new), size):
            self._encode(new[start : start + size])
        found = []
        for text in texts:
            self._known.move_to_end(text)
            found.append(self._known[text])
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found

    def negatives(self, texts: list[str]) -> list[Embedding]:
        """One embedding per negative prompt. An empty one is zeros in models that were trained so (SDXL)."""
        found = self.prompts(texts)
        if not self.pipeline.config.get("force_zeros_for_empty_prompt"):
            return found
        zeros = Embedding(*map(torch.zeros_like, found[0]))
        return [item if text else zeros for text, item in zip(texts, found, strict=True)]

    def _encode(self, texts: list[str]) -> None:
        padded = texts + [""] * ((self.fixed or 0) - len(texts))
        device = self.pipeline._execution_device
        with quiet():  # truncation is reported in the result
            encoded = self.pipeline.encode_prompt(
                padded, device=device, num_images_per_prompt=1, do_classifier_free_guidance=False
            )
        pooled = encoded[2] if isinstance(self.pipeline, StableDiffusionXLPipeline) else [None] * len(padded)
        for text, tokens, whole in zip(texts, encoded[0], pooled, strict=False):
            self._known[text] = Embedding(tokens, whole)


def count_tokens(pipeline: DiffusionPipeline, text: str) -> tuple[int, str]:
    """How many tokens a prompt has without start and end, and the words beyond the limit (75 in CLIP), never seen.

    Of several tokenizers the one that reads furthest counts; without any it is (0, "").
    """
    limit = getattr(parameters(type(pipeline)).get("max_sequence_length"), "default", None)
    parts = [part for part in pipeline.components.values() if isinstance(part, PreTrainedTokenizerBase)]
    counts = [_count(tokenizer, limit, text) for tokenizer in parts if tokenizer.is_fast]
    return min(counts, key=lambda count: len(count[1]), default=(0, ""))


def _count(tokenizer: PreTrainedTokenizerBase, limit: int | None, text: str) -> tuple[int, str]:
    read = tokenizer(text, add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False)
    longest = tokenizer.model_max_length if limit is None else min(limit, tokenizer.model_max_length)
    room = longest - tokenizer.num_special_tokens_to_add()
    if len(read.input_ids) <= room:
        return len(read.input_ids), ""
    return len(read.input_ids), text[read.offset_mapping[room][0] :].strip()
