"""What GPT-2 is shown before the phrase, and how what it wrote becomes one line of a prompt."""

import re
import unicodedata
from typing import NamedTuple

_BASE = ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2")
BASE_MODELS = {*_BASE, *(f"openai-community/{name}" for name in _BASE), "distilbert/distilgpt2"}

SCAFFOLD = """\
A painter's list of pictures to make, each on one line: what is seen, where, in which light and technique.

an old fishing boat pulled up on a pebble beach, low winter sun, long blue shadows, gouache on rough paper
a portrait of a clockmaker at her bench, surrounded by brass wheels, warm lamp light, fine brush work, oil on wood
a narrow street after the rain, paper lanterns mirrored in the puddles, deep reds and greens, digital painting
a photograph of two foxes crossing a frozen lake at first light, mist over the reeds, soft focus, muted colours
the reading room of a great library, galleries of dark oak, dust in the sunbeams, detailed ink drawing with wash
a study of three lemons in a glass bowl on a blue cloth, window light from the left, thick paint, visible strokes
a caravan resting below a sandstone arch, violet evening sky with the first stars, flat shapes, screen print
a greenhouse at night lit from inside, ferns pressed against the panes, snow outside, quiet mood, pastel
"""

_CONTROL = ("Cc", "Cs")
_VISIBLE = ("L", "N", "S")
_LOOSE_ENDS = " \t,;:-–—(['\"“‘/&+\ufffd"
_DANGLING = {
    "a", "an", "the", "of", "in", "on", "at", "by", "to", "with", "and", "or", "for", "from", "as", "its", "his", "her",
    "into", "over", "under", "is", "are",
}  # fmt: skip
_NEW_LINE = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_PROSE_ENDS = re.compile(r"[.!?](?=\s|$)|https?:|www\.|[\[\]<>|]")


class Tidy(NamedTuple):
    """Clean text, and how many characters of the raw text it was made from."""

    text: str
    used: int


def scaffold_for(name: str) -> str:
    """The lines shown before the phrase: a few-shot list for base GPT-2, which continues prose; "" for any other model.

    A model is base GPT-2 if its preset or hub id says so. All others, local folders among them, are taken to have been
    trained on prompts, and see the phrase alone.
    """
    return SCAFFOLD if name in BASE_MODELS else ""


def tidy(raw: str, *, complete: bool, prose: bool, room: int) -> Tidy:
    """What is worth keeping of the `raw` text that a model added to a phrase: one line without loose ends.

    complete: the model ended by itself; otherwise the last word may be a fragment and goes, or all after the last comma
    if that is in the second half. prose: stop at the first sentence end, address or markup as well, which base GPT-2
    runs into. room: characters at most. Control characters become spaces; runs of spaces and commas become one.
    """
    end = len(raw)
    for pattern in (_NEW_LINE, _PROSE_ENDS) if prose else (_NEW_LINE,):
        if found := pattern.search(raw, 0, end):
            end, complete = found.start(), True
    if end > room:
        end, complete = room, False
    if not complete:
        end = _last_whole(raw[:end])
    end = len(raw[:end].rstrip(_LOOSE_ENDS))
    text = _even(raw[:end]).rstrip(_LOOSE_ENDS)
    return Tidy(text, end) if any(unicodedata.category(c)[0] in _VISIBLE for c in text) else Tidy("", 0)


def _last_whole(raw: str) -> int:
    """Where the last whole phrase or word of an unfinished text ends."""
    comma = max(raw.rfind(","), raw.rfind(";"))
    if comma > len(raw) // 2:
        return comma
    kept = raw[: max(raw.rfind(" "), 0)].rstrip(_LOOSE_ENDS)
    while kept and kept.split()[-1:][0].casefold() in _DANGLING:
        kept = kept[: kept.rfind(" ")].rstrip(_LOOSE_ENDS) if " " in kept else ""
    return len(kept)


def _even(raw: str) -> str:
    visible = "".join(" " if unicodedata.category(c) in _CONTROL or c == "\ufffd" else c for c in raw)
    text = re.sub(r"\s+", " ", visible)
    return re.sub(r" ?,(?: ?,)*", ",", text)
