"""Figures with their 95% intervals: no measurement without its noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import stats

LEVEL = 0.95
Z = 1.96  # of the normal distribution, as many standard deviations on each side hold LEVEL
RESAMPLES = 2000
TOGETHER = 2_000_000  # numbers that are drawn at a time, to bound the memory


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its 95% interval, all in the value's own unit.

    >>> str(Figure("loss", 0.1234, 0.1201, 0.1266))
    'loss 0.1234 (0.1201 to 0.1266)'
    """

    name: str
    value: float
    low: float
    high: float

    @classmethod
    def of_mean(cls, name: str, values: np.ndarray, *, seed: int = 0) -> Self:
        """The mean of one value or more, (n,), with its bootstrap interval."""
        return cls(name, float(np.mean(values)), *bootstrap(values, seed=seed))

    @classmethod
    def of_share(cls, name: str, right: int, count: int) -> Self:
        """The share of `right` among `count` > 0, with its Wilson interval."""
        return cls(name, right / count, *wilson(right, count))

    @classmethod
    def of_few(cls, name: str, values: Sequence[float]) -> Self:
        """The mean of one independent value or more, such as those of seeds, with Student's interval.

        With one value the interval is infinite: nothing is known of its noise.
        """
        mean, reach = float(np.mean(values)), float(students_reach(np.asarray(values, np.float64)))
        reach = math.inf if math.isnan(reach) else reach
        return cls(name, mean, mean - reach, mean + reach)

    @property
    def half_width(self) -> float:
        """Half of the interval's length: how far the value may be off."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def bootstrap(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """The 95% percentile interval of the mean of `values`, (n,) with n > 0 (Efron & Tibshirani 1993, chapter 13).

    It needs a few dozen values to be honest; that of a single value has no length, which says nothing about its noise.
    """
    values = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    rows = max(1, TOGETHER // len(values))
    parts = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    means = np.concatenate([values[rng.integers(0, len(values), (part, len(values)))].mean(1) for part in parts])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def students_reach(values: np.ndarray) -> np.ndarray:
    """Half of the 95% interval of the mean of values along the last axis, NaN left out (Student 1908).

    Unlike the bootstrap it is honest about a handful. NaN where there are fewer than two.
    """
    count = np.isfinite(values).sum(-1)
    enough = np.where(count > 1, count, np.nan)
    apart = values - np.nansum(values, -1, keepdims=True) / np.maximum(count, 1)[..., None]
    deviation = np.sqrt(np.nansum(apart**2, -1) / (enough - 1))
    return stats.t.ppf((1 + LEVEL) / 2, enough - 1) * deviation / np.sqrt(enough)


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95% interval of the share of `right` among `count` > 0, within 0..1 (Wilson 1927)."""
    n, p = count, right / count
    centre, spread = p + Z * Z / (2 * n), Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return (centre - spread) / (1 + Z * Z / n), (centre + spread) / (1 + Z * Z / n)


def holm(values: Sequence[float]) -> np.ndarray:
    """p-values, (n,), adjusted for being n: the chance of any false alarm stays below alpha (Holm 1979).

    "A simple sequentially rejective multiple test procedure". It holds however the tests depend on one another.
    """
    p = np.asarray(values, dtype=np.float64)
    order = np.argsort(p)
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(raised, 1)
    return adjusted
