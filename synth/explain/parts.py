"""The parts of a prompt that can be left out: phrases between commas or prepositions, or any words asked for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from synth.errors import InputError

BORDER = re.compile(r"[,;:.|\n，、；。]+|\s(?=(?:among|at|before|by|during|in|on|under|with)\s)", re.IGNORECASE)
LETTER = re.compile(r"\w")
GAPS = re.compile(r"\s*([,;，、；])(?:\s*[,;，、；])+")


@dataclass(frozen=True)
class Part:
    """A stretch of a prompt. start, end: its characters; added: by GPT-2, not by the person."""

    text: str
    start: int
    end: int
    added: bool

    def left_out(self, prompt: str) -> str:
        """The prompt without it, and without the comma or space that it leaves behind.

        >>> parts("a cat, in the rain, ink", "a cat")[0].left_out("a cat, in the rain, ink")
        'a cat, ink'
        """
        rest = GAPS.sub(r"\1", f"{prompt[: self.start]} {prompt[self.end :]}")
        return re.sub(r"\s+([,;.，、；。])", r"\1", re.sub(r"\s+", " ", rest)).strip(" ,;，、；")


def parts(prompt: str, phrase: str) -> list[Part]:
    """What was added to the phrase, part by part; of a prompt that is all the person's, everything after its first.

    >>> [part.text for part in parts("a cat in the fog, by night, soft light", "a cat")]
    ['in the fog', 'by night', 'soft light']
    """
    first = prompt.find(phrase)
    every = _split(prompt, 0, len(prompt), added=False)
    if first < 0 or phrase == prompt:
        return every[1:]
    end = first + len(phrase)
    return _split(prompt, 0, first, added=True) + _split(prompt, end, len(prompt), added=True)


def find_parts(prompt: str, phrase: str, texts: Sequence[str]) -> list[Part]:
    """The parts that read as `texts`: whole words, in any case, at their first place. InputError for one not there."""
    first = prompt.find(phrase)
    own = range(first, first + len(phrase)) if first >= 0 else range(len(prompt))
    found = []
    for text in texts:
        words = re.escape(text.strip())
        match = re.search(rf"(?<!\w){words}(?!\w)", prompt, re.IGNORECASE) if words else None
        if match is None:
            raise InputError("word", text, f"give words of the prompt, which is {prompt!r}")
        found.append(Part(match[0], match.start(), match.end(), match.start() not in own))
    return found


def _split(prompt: str, low: int, high: int, *, added: bool) -> list[Part]:
    """prompt[low:high] at its borders, without what has no letter."""
    edges = [low, *(edge for match in BORDER.finditer(prompt, low, high) for edge in match.span()), high]
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        text = prompt[start:end]
        if LETTER.search(text):
            start += len(text) - len(text.lstrip())
            found.append(Part(text.strip(), start, start + len(text.strip()), added))
    return found
