"""Means over seeds, which are few, with intervals that know it."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from synth.measure.intervals import LEVEL, Figure


def mean_over_seeds(name: str, values: Sequence[float]) -> Figure:
    """The mean of one value or more and Student's 95% interval, which is honest with few seeds, unlike the bootstrap.

    With one value the interval is infinite: nothing is known of its noise.
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Figure(name, mean, -np.inf, np.inf)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return Figure(name, mean, mean - reach, mean + reach)
