"""How strong each of several pictures is, by who was preferred to whom: the Bradley-Terry model.

The odds that i is preferred to j are exp(score i - score j); Hunter 2004, "MM algorithms for generalized Bradley-Terry
models". A tie counts as half a win for each.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from synth.measure.intervals import Z

PRIOR = 0.5
"""Wins and losses of each against an imaginary one of average strength. Without them what won every time would be
infinitely strong, and what was never compared, even over others, could not be placed."""


class Strengths(NamedTuple):
    """Scores, their mean 0, in natural logarithms of odds, and their 95% intervals; each (n,)."""

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bradley_terry(wins: np.ndarray) -> Strengths:
    """The most likely strengths, given how often row was preferred to column, (n, n) with zeros on its diagonal.

    The interval is that of the normal distribution whose curvature is the likelihood's at its peak. It takes each vote
    for independent of the others: many votes of few people tell well what these prefer, not what everybody does.
    """
    count = len(wins)
    compared = wins + wins.T

    def loss(scores: np.ndarray) -> float:
        own = log_expit(scores) + log_expit(-scores)
        return -float((wins * log_expit(scores[:, None] - scores)).sum() + PRIOR * own.sum())

    def gradient(scores: np.ndarray) -> np.ndarray:
        expected = compared * expit(scores[:, None] - scores)
        return expected.sum(1) - wins.sum(1) + PRIOR * (2 * expit(scores) - 1)

    def curvature(scores: np.ndarray) -> np.ndarray:
        chances = expit(scores[:, None] - scores)
        weights = compared * chances * (1 - chances)
        own = 2 * PRIOR * expit(scores) * expit(-scores)
        return np.diag(weights.sum(1) + own) - weights

    found = minimize(loss, np.zeros(count), jac=gradient, hess=curvature, method="trust-exact", tol=1e-8).x
    centred = np.eye(count) - 1 / count
    spread = Z * np.sqrt(np.diag(centred @ np.linalg.inv(curvature(found)) @ centred))
    score = found - found.mean()
    return Strengths(score, score - spread, score + spread)
