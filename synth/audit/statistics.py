"""How far apart two distributions over values are, whether chance explains it, and what many tests at once allow.

Observations are counted: rows are strata, columns are values. Within a stratum nothing but the group tells one
observation from another, as among pictures that share their noise; without strata there is a single row.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import entropy

from synth.errors import StudyError
from synth.measure.intervals import LEVEL, Figure

SHUFFLES = 4999
RESAMPLES = 1000
TINY = 1e-9  # two divergences that differ by less are equal


@dataclass(frozen=True)
class Difference:
    """How far a group is from its baseline.

    divergence: Jensen-Shannon, 0 to 1 bit, freed of what chance adds to it, with its 95% interval.
    plain: the same as it was counted; chance: what 95% of shuffles stay below, to be compared with `plain`.
    p: the share of shuffles that are as far apart, the observed one included.
    """

    divergence: Figure
    plain: float
    chance: float
    p: float


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The Jensen-Shannon divergence of counts or shares, (..., V) each, in bits: 0, the same, to 1, nothing in common.

    Lin 1991, "Divergence measures based on the Shannon entropy". Each side has a positive sum.
    """
    p, q = (side / side.sum(-1, keepdims=True) for side in (first, second))
    middle = entropy((p + q) / 2, axis=-1, base=2)
    return np.maximum(middle - (entropy(p, axis=-1, base=2) + entropy(q, axis=-1, base=2)) / 2, 0)


def enough_shuffles(tests: int) -> int:
    """How many each of some tests needs, so that corrected for being so many it can still be significant."""
    return max(SHUFFLES, 100 * tests - 1)


def difference(group: np.ndarray, baseline: np.ndarray, *, shuffles: int | None = None, seed: int = 0) -> Difference:
    """Compare the counts of a group with those of a baseline, (strata, values) each.

    The test shuffles within strata which observations are the group's; it is exact: where the two do not differ, p is
    at most alpha in a share of alpha of cases or less. Strata in which a side has nothing are left out; StudyError
    where none is left. shuffles: how many; the least p is 1 / (1 + shuffles), see `enough_shuffles`.
    The interval is the bootstrap's, freed of its bias: what is counted is further apart than the truth. In simulations
    with 24 to 64 observations of 4 to 8 values it held the truth in 92% of cases or more.
    """
    told = (group.sum(1) > 0) & (baseline.sum(1) > 0)
    if not told.any():
        raise StudyError("nothing can be compared: nowhere are there pictures of both sides from the same noise")
    group, baseline = group[told], baseline[told]
    rng = np.random.default_rng(seed)
    plain = float(jensen_shannon(group.sum(0), baseline.sum(0)))
    by_chance = jensen_shannon(*_shuffled(group, baseline, shuffles or SHUFFLES, rng))
    p = (1 + int((by_chance >= plain - TINY).sum())) / (1 + len(by_chance))
    return Difference(_interval(group, baseline, plain, rng), plain, float(np.quantile(by_chance, LEVEL)), p)


def _shuffled(
    group: np.ndarray, baseline: np.ndarray, shuffles: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of both sides after the observations of each stratum were dealt out anew, (shuffles, values) each.

    Dealt like cards, a side's counts follow the multivariate hypergeometric distribution.
    """
    both = group + baseline
    dealt = sum(
        rng.multivariate_hypergeometric(row, int(count), shuffles, method="marginals")
        for row, count in zip(both, group.sum(1), strict=True)
    )
    return dealt, both.sum(0) - dealt


def _interval(group: np.ndarray, baseline: np.ndarray, plain: float, rng: np.random.Generator) -> Figure:
    """The divergence and its interval, both shifted by the bias that drawing from known shares shows.

    The shares have half an observation more of each value (Jeffreys), as one that was not seen may still exist.
    """
    if len(group) > 1:
        known, drawn = plain, jensen_shannon(*_drawn_strata(group, baseline, rng))
    else:
        shares = [(side[0] + 0.5) / (side[0] + 0.5).sum() for side in (group, baseline)]
        sides = zip((group, baseline), shares, strict=True)
        known = float(jensen_shannon(*shares))
        drawn = jensen_shannon(*(rng.multinomial(int(side.sum()), share, RESAMPLES) for side, share in sides))
    value = max(0.0, plain - (drawn.mean() - known))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) - drawn.mean() + value
    return Figure("divergence", value, max(0.0, low), min(1.0, high))


def _drawn_strata(group: np.ndarray, baseline: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Counts of both sides with the strata drawn anew, (RESAMPLES, values) each."""
    weights = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), RESAMPLES)
    return weights @ group, weights @ baseline
