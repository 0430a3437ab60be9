"""Which words GPT-2 adds to one phrase rather than to the others.

Log-odds with a Dirichlet prior (Monroe, Colaresi & Quinn 2008, "Fightin' words"): a word's odds in the texts of a
phrase against its odds in all other texts, both drawn towards its odds in all texts by a prior, and divided by the
standard error. A term is one word, or two in a row, and counts once for each text that has it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from synth.measure.diversity import added_words
from synth.vignettes.captions import CONNECTIVES

LEAST_TEXTS = 3  # that have a term
PRIOR = 0.1  # what the prior weighs, as a share of all counts
SHUFFLES = 999


def log_odds(counts: np.ndarray) -> np.ndarray:
    """z-scores, (G, V), of counts, (G, V), of V terms in G groups: above 0 where a group has more than the others."""
    total = counts.sum(0, keepdims=True)
    prior = PRIOR * total
    mine, others = counts + prior, total - counts + prior
    odds = [np.log(side / (side.sum(1, keepdims=True) - side)) for side in (mine, others)]
    return (odds[0] - odds[1]) / np.sqrt(1 / mine + 1 / others)


def added_terms(texts: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """A row for each phrase and term: phrase, term, texts (of the phrase's that have it), others, z, p.

    texts: (phrase, prompt), one or more. Of a single phrase there is nothing to compare, and of a single term no odds
    against others: then there is no row. p is corrected for all terms and phrases: the share of shuffles of the prompts
    among the phrases whose largest |z| of all is as large (Westfall & Young 1993, "Resampling-based multiple testing",
    single-step maxT).
    """
    phrases = list(dict.fromkeys(phrase for phrase, _ in texts))
    spoken = [_terms(*text) for text in texts]
    frequency = Counter(term for terms in spoken for term in terms)
    known = sorted(term for term, count in frequency.items() if count >= LEAST_TEXTS)
    if len(known) < 2 or len(phrases) < 2:
        known = []
    has = np.array([[term in terms for term in known] for terms in spoken], np.float64).reshape(len(texts), len(known))
    member = np.array([[phrase == name for phrase, _ in texts] for name in phrases], np.float64)
    counts = member @ has
    z = log_odds(counts)
    p = _corrected(z, member, has)
    rows = [
        {"phrase": phrase, "term": term, "texts": int(counts[i, j]), "others": int(counts[:, j].sum() - counts[i, j]),
         "z": z[i, j], "p": p[i, j]}
        for i, phrase in enumerate(phrases) for j, term in enumerate(known)
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["phrase", "term", "texts", "others", "z", "p"])
    return frame.astype({"phrase": "string", "term": "string"})


def _corrected(z: np.ndarray, member: np.ndarray, has: np.ndarray) -> np.ndarray:
    if not z.size:
        return z
    rng = np.random.default_rng(0)
    largest = [np.abs(log_odds(rng.permutation(member, axis=1) @ has)).max() for _ in range(SHUFFLES)]
    return (1 + (np.array(largest)[:, None, None] >= np.abs(z) - 1e-9).sum(0)) / (1 + SHUFFLES)


def _terms(phrase: str, prompt: str) -> set[str]:
    """What a prompt adds, as words and pairs of neighbours; without words like "the"."""
    parts = [re.findall(r"\w+", part) for part in added_words(phrase, prompt).split(",")]
    pairs = {" ".join(pair) for part in parts for pair in pairwise(part) if CONNECTIVES.isdisjoint(pair)}
    return pairs | {word for part in parts for word in part} - CONNECTIVES
