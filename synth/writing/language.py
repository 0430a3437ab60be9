"""A GPT-2 that is loaded once: its network, its tokenizer, and what its vocabulary means to a prompt."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from synth import presets
from synth.errors import ModelError, SynthError
from synth.jobs import ModelRef
from synth.models import languages
from synth.models.quiet import quiet

T = TypeVar("T")
JOINTS = {"of", "showing", "featuring", "depicting"}


class Language:
    """A causal language model of the GPT-2 family. The network is read when it is first needed, the rest at once.

    stops: bool (V,), the tokens that end a prompt: a new line, or a special token.
    joints: bool (V,), the tokens after which a phrase can be woven in, such as " of".
    inner: bool (V,), the tokens that would go on with an unfinished word.
    limit: how many tokens it can read, or None.
    """

    def __init__(self, model: Path, name: str, device: str) -> None:
        self.model, self.name, self.device = model, name, device
        self.config = self._loaded(languages.read_config)
        self.tokenizer = self._loaded(languages.read_tokenizer)
        self.limit: int | None = getattr(self.config, "max_position_embeddings", None)
        self._network: torch.nn.Module | None = None
        self.stops = self._tokens(lambda spelling: "\n" in spelling or "\r" in spelling)
        self.joints = self._tokens(lambda spelling: spelling[:1] == " " and spelling[1:] in JOINTS)
        self.inner = self._tokens(lambda spelling: spelling[:1].isalnum())

    @property
    def network(self) -> torch.nn.Module:
        """In float32 on the device, ready to read."""
        if self._network is None:
            self._network = self._loaded(languages.read_network).eval().to(self.device)
        return self._network

    def encode(self, text: str) -> list[int]:
        """The tokens of `text`; what looks like a special token in it is plain text."""
        as_text = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
        return self.tokenizer.encode(text, **as_text)

    def lead(self, scaffold: str) -> list[int]:
        """The tokens before every prompt: the one that begins a text, and the scaffold."""
        start = self.tokenizer.bos_token_id if self.tokenizer.bos_token_id is not None else self.tokenizer.eos_token_id
        return [token for token in [start] if token is not None] + self.encode(scaffold)

    def continuation(self, start: list[int], tokens: list[int]) -> str:
        """What `tokens` add to the text of `start`."""
        read = self.tokenizer.decode
        return read(start + tokens, skip_special_tokens=True)[len(read(start, skip_special_tokens=True)) :]

    def banned(self, words: tuple[str, ...]) -> list[list[int]]:
        """The token sequences that spell one of `words` in any usual case, at the start of a text or after a space."""
        cases = {
            case(word.strip()) for word in words for case in (str, str.lower, str.upper, str.capitalize, str.title)
        }
        return [self.encode(space + word) for word in sorted(cases) for space in ("", " ")]

    def _tokens(self, test: Callable[[str], bool]) -> Tensor:
        return torch.tensor([test(spelling) for spelling in self._spellings], device=self.device)

    @cached_property
    def _spellings(self) -> list[str]:
        """The text of each token; that of special ones, and of those that only pad the vocabulary, is a new line."""
        known, special = len(self.tokenizer), set(self.tokenizer.all_special_ids)
        plain = [token < known and token not in special for token in range(self.config.vocab_size)]
        return [self.tokenizer.decode([token]) if is_plain else "\n" for token, is_plain in enumerate(plain)]

    def _loaded(self, load: Callable[[Path], T]) -> T:
        try:
            with quiet(), torch.random.fork_rng(devices=[]):  # loading draws weights before it reads them
                return load(self.model)
        except SynthError:
            raise
        except Exception as error:  # the library raises nearly anything on a broken file
            reason = str(error).partition("\n")[0]
            problem = f"{self.name} cannot be loaded as a GPT-2 ({reason})"
            raise ModelError(f"{problem}; give a causal language model.") from error


def load_language(model: ModelRef, device: str) -> Language:
    """The language model that `model` names; the last one stays loaded."""
    return _load(presets.locate(model, "expander"), model, device)


@lru_cache(maxsize=1)
def _load(path: Path, model: ModelRef, device: str) -> Language:
    return Language(path, model.name, device)
