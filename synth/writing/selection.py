"""Which of many candidate prompts to keep: no near-duplicates, then on-topic and unlike each other.

The choice is maximal marginal relevance (Carbonell & Goldstein 1998), greedy. Choice i sees only the candidates that
the rule in `Selection.reach` allows it, so asking for more prompts never changes the first ones.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

from synth.writing.prompts import CHOSEN, NOT_CHOSEN, Prompt

BLOCK = 32
EXTRA_BLOCKS = 8
NEAR_DUPLICATE = 0.8


def words(text: str) -> list[str]:
    """The words of `text` in lower case; its visible characters where it has none."""
    return re.findall(r"\w+", text.casefold()) or [character for character in text if not character.isspace()]


def overlap(first: frozenset[str], second: frozenset[str]) -> float:
    """Jaccard index of two sets, 0 to 1; 1 for two empty ones."""
    union = len(first | second)
    return len(first & second) / union if union else 1.0


class Rarity:
    """Word and word-pair vectors, weighted by TF-IDF with the document frequencies of one fixed list of texts."""

    def __init__(self, texts: list[str]) -> None:
        self.documents = len(texts)
        self.frequency = Counter(gram for text in texts for gram in set(_grams(text)))

    def vector(self, text: str) -> dict[str, float]:
        """The unit vector of `text`, as a sparse dict."""
        weights = {
            gram: (1 + math.log(count)) * math.log((2 + self.documents) / (1 + self.frequency[gram]))
            for gram, count in Counter(_grams(text)).items()
        }
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {gram: weight / length for gram, weight in weights.items()}


def cosine(first: dict[str, float], second: dict[str, float]) -> float:
    """Cosine of the angle between two unit vectors without negative entries, 0 to 1."""
    return sum(weight * second.get(gram, 0.0) for gram, weight in first.items())


class Selection:
    """Candidates as they are drawn, and those chosen so far.

    draw(b) gives block b, the candidates 32b to 32b + 31. pool and diversity: see ExpansionSettings.
    Candidates are compared by their text without the phrase as `typed`.

    Relevance of a candidate is the share of the first block's candidates whose mean log-probability per token is lower:
    0 to 1, how much GPT-2 itself thinks that this follows from the phrase. Likeness is the cosine of TF-IDF vectors
    whose document frequencies are the first block's. Both are fixed by the first block, whatever is drawn later.
    """

    def __init__(self, draw: Callable[[int], list[Prompt]], *, pool: int, diversity: float, typed: str) -> None:
        self.draw, self.pool, self.diversity, self.typed = draw, pool, diversity, typed
        self.candidates: list[Prompt] = []
        self.chosen: list[int] = []
        self._originals: dict[int, frozenset[str]] = {}  # words of each candidate that is no near-duplicate
        self._vectors: dict[int, dict[str, float]] = {}  # of the same
        self._likeness: dict[int, float] = {}  # of each original still to be had, to the nearest chosen one
        first = draw(0)
        usable = [prompt for prompt in first if prompt.fate == NOT_CHOSEN]
        self._typical = sorted(prompt.mean_logprob for prompt in usable)
        self._rarity = Rarity([self._own(prompt) for prompt in usable])
        self._admit(first)

    def reach(self, i: int) -> int:
        """How many candidates choice i (from 0) sees: pool * (i + 1), rounded up to whole blocks of 32.

        If none of them is left, one block more is drawn at a time, up to 8; later choices see those as well.
        """
        return BLOCK * math.ceil(self.pool * (i + 1) / BLOCK)

    def choose(self) -> Prompt | None:
        """The next prompt, or None if its reach and 8 blocks more hold no other distinct one."""
        reach = self.reach(len(self.chosen))
        limit = reach + EXTRA_BLOCKS * BLOCK
        while len(self.candidates) < reach or (not self._likeness and len(self.candidates) < limit):
            self._admit(self.draw(len(self.candidates) // BLOCK))
        if not self._likeness:
            return None
        return self._take(max(self._likeness, key=self._merit))

    def _merit(self, k: int) -> tuple[float, float, int]:
        """Marginal relevance; ties go to the more relevant, then to the earlier candidate."""
        relevance = bisect_left(self._typical, self.candidates[k].mean_logprob) / (len(self._typical) or 1)
        return (1 - self.diversity) * relevance - self.diversity * self._likeness[k], relevance, -k

    def _take(self, best: int) -> Prompt:
        del self._likeness[best]
        self.chosen.append(best)
        self.candidates[best] = self.candidates[best].but(fate=CHOSEN)
        for k in self._likeness:
            self._likeness[k] = max(self._likeness[k], cosine(self._vectors[k], self._vectors[best]))
        return self.candidates[best]

    def _admit(self, block: list[Prompt]) -> None:
        for prompt in block:
            twin = self._twin(prompt) if prompt.fate == NOT_CHOSEN else None
            self.candidates.append(prompt if twin is None else prompt.but(fate=f"near-duplicate of {twin}"))
            if prompt.fate == NOT_CHOSEN and twin is None:
                self._enter(prompt.candidate)

    def _twin(self, prompt: Prompt) -> int | None:
        """The first original that has nearly the same words."""
        own = self._words(prompt)
        return next((k for k, others in self._originals.items() if overlap(own, others) >= NEAR_DUPLICATE), None)

    def _enter(self, k: int) -> None:
        prompt = self.candidates[k]
        self._originals[k], self._vectors[k] = self._words(prompt), self._rarity.vector(self._own(prompt))
        self._likeness[k] = max((cosine(self._vectors[k], self._vectors[j]) for j in self.chosen), default=0.0)

    def _words(self, prompt: Prompt) -> frozenset[str]:
        return frozenset(words(self._own(prompt)))

    def _own(self, prompt: Prompt) -> str:
        return prompt.text.replace(self.typed, " ", 1)


def _grams(text: str) -> list[str]:
    single = words(text)
    return single + [f"{left} {right}" for left, right in zip(single, single[1:], strict=False)]
