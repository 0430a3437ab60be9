"""How varied a set of pictures or texts is: the Vendi score of vectors, distinct-n and self-BLEU of texts."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

BLEU_WORDS = 3
EPSILON = 0.1  # what takes the place of no match, over the number of n-grams


def vendi(vectors: np.ndarray) -> float:
    """The effective number of different ones among vectors of length 1, (n, D) with n > 0: from 1 to n.

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosines (Friedman & Dieng 2023, "The
    Vendi score"). Cosines of CLIP's vectors are seldom small, so that even quite different pictures count as few: the
    score compares sets of one size.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows  # of the same eigenvalues but zeros
    shares = np.linalg.eigvalsh(gram / len(rows))
    shares = shares[shares > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def distinct(texts: Sequence[str], n: int) -> float | None:
    """The share of different ones among all runs of `n` words, 0 to 1 (Li et al. 2016, "A diversity-promoting
    objective function"); None where no text is so long. Longer and more texts repeat themselves more.
    """
    runs = [run for text in texts for run in _runs(words(text), n)]
    return len(set(runs)) / len(runs) if runs else None


def self_bleu(texts: Sequence[str]) -> float | None:
    """How much each text repeats the others, 0 to 1, on average: low is varied (Zhu et al. 2018, "Texygen").

    BLEU of 1 to 3 words in a row, as there, of each text against all others; a length without any match counts 0.1
    matches (Chen & Cherry 2014, smoothing 1). None for fewer than two texts.
    """
    if len(texts) < 2:
        return None
    counted = [[Counter(_runs(words(text), n)) for n in range(1, BLEU_WORDS + 1)] for text in texts]
    second = [_second_most(runs) for runs in zip(*counted, strict=True)]
    lengths = Counter(one[0].total() for one in counted)
    return sum(_bleu(one, second, lengths) for one in counted) / len(texts)


def added_words(phrase: str, prompt: str) -> str:
    """What a prompt adds to its phrase; the whole prompt where it adds nothing or does not begin with the phrase."""
    return prompt.lower().removeprefix(phrase.lower()).strip(" ,") or prompt.lower()


def words(text: str) -> list[str]:
    """The words of a text, in lower case, without commas."""
    return text.lower().replace(",", " ").split()


def _runs(items: list[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(items[start:] for start in range(n)), strict=False))


def _bleu(text: list[Counter], second: list[Counter], lengths: Counter) -> float:
    """BLEU (Papineni et al. 2002) of one of several texts against the others.

    text: its runs of 1, 2 and 3 words. second: for each run the second highest of its counts in all texts, which, if it
    is not above its count in this one, is the highest in the others. lengths: of how many words how many texts are.
    """
    matches = [(runs & most).total() for runs, most in zip(text, second, strict=True)]
    if not matches[0]:
        return 0.0
    shares = [(found or EPSILON) / max(1, runs.total()) for found, runs in zip(matches, text, strict=True)]
    length = text[0].total()
    nearest = min(lengths - Counter([length]), key=lambda other: (abs(other - length), other))
    return min(1.0, math.exp(1 - nearest / length)) * math.exp(sum(map(math.log, shares)) / len(shares))


def _second_most(texts: Sequence[Counter]) -> Counter:
    """For each run the second highest of its counts in texts; 0 where only one has it."""
    first, second = Counter(), Counter()
    for run, times in ((run, times) for runs in texts for run, times in runs.items()):
        second[run] = max(second[run], min(first[run], times))
        first[run] = max(first[run], times)
    return second
