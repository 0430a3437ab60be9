"""The words that a language model may say next, each with its probability: tokens merged into whole words.

A word is what stands before it (a space, a comma) and its letters and digits, up to where the next token begins anew.
Its probability is that of its tokens, times that of the word being over after them, so all words together have 1.
"""

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from synth.writing.language import Language
from synth.writing.sampling import Prefill

LONGEST = 12  # tokens of a word
MOST_LOOKS = 48  # at beginnings of words, after each text


class Word(NamedTuple):
    """A word with what stands before it, as " red" or ", at"; "" is the end of the prompt. And its tokens.

    chance: its probability after everything before it, under the model's own distribution.
    """

    text: str
    tokens: tuple[int, ...]
    chance: float


def next_words(language: Language, lead: list[int], texts: Sequence[list[int]], count: int) -> list[list[Word]]:
    """For each of `texts` its `count` most likely next words, the likeliest first.

    lead: tokens before all texts. texts: lists of tokens, each ending with a whole word.
    The probabilities are the model's own: no temperature, no cut, no repetition penalty. The search goes on from the
    likeliest beginning of a word (best first), so the words are the right ones unless 48 looks are too few.
    """
    searches = [_Search(language, text, count) for text in texts]
    while looking := [search for search in searches if search.goes_on]:
        scores = _scores(language, [lead + search.text + search.beginning for search in looking])
        for search, row in zip(looking, scores, strict=True):
            search.look(row)
    return [search.likeliest() for search in searches]


@torch.inference_mode()
def read_words(language: Language, lead: list[int], start: list[int], tokens: list[int]) -> list[Word]:
    """The words that `tokens` spell after `lead + start`, with their probabilities as `next_words` gives them."""
    row = torch.tensor([lead + start + tokens], device=language.device)
    scores = language.network(row, attention_mask=torch.ones_like(row)).logits[0].float().log_softmax(-1)  # (L, V)
    begins = _log_sum(scores, ~language.inner)  # (L,), that the next token begins a word
    words, place = [], len(lead) + len(start)
    for part in _split(language, tokens):
        end = place + len(part)
        nats = scores[torch.arange(place, end) - 1, torch.tensor(part)].sum() - begins[place - 1] + begins[end - 1]
        words.append(Word(language.continuation(start, part), tuple(part), math.exp(nats)))
        start, place = start + part, end
    return words


class _Search:
    """Best-first search for the next words after one text."""

    def __init__(self, language: Language, text: list[int], count: int) -> None:
        self.language, self.text, self.count, self.looks = language, text, count, 0
        self.words: dict[str, Word] = {}
        self.open: list[tuple[float, list[int]]] = [(0.0, [])]  # beginnings: minus log-probability, tokens

    @property
    def beginning(self) -> list[int]:
        """The likeliest one."""
        return self.open[0][1]

    @property
    def goes_on(self) -> bool:
        """Whether a beginning may still lead to one of the likeliest words."""
        if not self.open or self.looks == MOST_LOOKS:
            return False
        likeliest = self.likeliest()
        return len(likeliest) < self.count or math.exp(-self.open[0][0]) > likeliest[-1].chance

    def look(self, scores: Tensor) -> None:
        """Go on from the likeliest beginning; scores: the log-probability of each token after it, (V,)."""
        cost, tokens = heapq.heappop(self.open)
        self.looks += 1
        text, inner = self.language.continuation(self.text, tokens), self.language.inner
        if _is_word(text):
            self._keep(text, tokens, _log_sum(scores, ~inner) - cost)
            scores = scores.masked_fill(~inner, -torch.inf)
        else:
            if not tokens:
                scores = scores.masked_fill(inner, -torch.inf) - _log_sum(scores, ~inner)
            self._keep("", tokens, _log_sum(scores, self.language.stops) - cost)
        if len(tokens) < LONGEST:
            self._open(cost, tokens, scores.masked_fill(self.language.stops, -torch.inf))

    def likeliest(self) -> list[Word]:
        """The words found so far, at most as many as were asked for."""
        return heapq.nlargest(self.count, self.words.values(), key=lambda word: word.chance)

    def _open(self, cost: float, tokens: list[int], scores: Tensor) -> None:
        values, following = scores.topk(min(2 * self.count, len(scores)))
        for value, token in zip(values.tolist(), following.tolist(), strict=True):
            if value > -math.inf:
                heapq.heappush(self.open, (cost - value, [*tokens, token]))

    def _keep(self, text: str, tokens: list[int], nats: Tensor) -> None:
        """Add a word; the same one in other tokens, which are rarer, adds to its probability."""
        known = self.words.get(text, Word(text, tuple(tokens), 0.0))
        self.words[text] = known._replace(chance=known.chance + math.exp(nats))


def _split(language: Language, tokens: list[int]) -> list[list[int]]:
    """The tokens in words; what follows the last one, as a full stop, belongs to it."""
    words: list[list[int]] = []
    for token in tokens:
        complete = words and _is_word(language.tokenizer.decode(words[-1]))
        if not words or (complete and not language.inner[token]):
            words.append([])
        words[-1].append(token)
    if len(words) > 1 and not _is_word(language.tokenizer.decode(words[-1])):
        words[-2:] = [words[-2] + words[-1]]
    return words


def _is_word(text: str) -> bool:
    return any(map(str.isalnum, text))


@torch.inference_mode()
def _scores(language: Language, rows: list[list[int]]) -> Tensor:
    """The log-probability of every token after each row, (B, V)."""
    return Prefill(language.network, rows).logits.float().log_softmax(-1)


def _log_sum(scores: Tensor, chosen: Tensor) -> Tensor:
    """The log-probability of any token of `chosen`, bool (V,): (..., V) -> (...)."""
    return scores.masked_fill(~chosen, -torch.inf).logsumexp(-1)
