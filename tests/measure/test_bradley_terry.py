"""Strengths are those of the definition, by another algorithm too, and their intervals hold the true ones."""

import numpy as np
import pytest
from scipy.special import expit

from synth.measure.bradley_terry import PRIOR, bradley_terry


def voted(strengths: np.ndarray, votes: int, rng: np.random.Generator) -> np.ndarray:
    """How often row was preferred to column by people whose preferences have these strengths."""
    wins = np.zeros((len(strengths), len(strengths)))
    for _ in range(votes):
        a, b = rng.choice(len(strengths), 2, replace=False)
        won = rng.random() < expit(strengths[a] - strengths[b])
        wins[(a, b) if won else (b, a)] += 1
    return wins


def by_minorisation(wins: np.ndarray) -> np.ndarray:
    """Hunter 2004, formula 3, with an imaginary picture of strength 1 that everybody was compared with."""
    strengths = np.ones(len(wins))
    for _ in range(5000):
        meetings = (wins + wins.T) / (strengths[:, None] + strengths)
        strengths = (wins.sum(1) + PRIOR) / (meetings.sum(1) + 2 * PRIOR / (strengths + 1))
    return np.log(strengths) - np.log(strengths).mean()


@pytest.mark.parametrize("seed", range(3))
def test_the_algorithm_of_the_paper_finds_the_same(seed):
    rng = np.random.default_rng(seed)
    wins = voted(rng.normal(size=7), 60, rng)
    assert bradley_terry(wins).score == pytest.approx(by_minorisation(wins), abs=1e-4)


def test_two_pictures_by_hand():
    """At the peak wins are as expected: 3.5 = 4 p + q, with p the chance against the other, q against the average."""
    score = bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]])).score
    assert score[0] == -score[1]
    assert 4 * expit(2 * score[0]) + expit(score[0]) == pytest.approx(3.5, abs=1e-5)


def test_ties_and_no_votes_are_average():
    assert bradley_terry(np.array([[0, 0.5], [0.5, 0]])).score == pytest.approx([0, 0])
    nothing = bradley_terry(np.zeros((3, 3)))
    assert nothing.score == pytest.approx(np.zeros(3))
    assert (nothing.high - nothing.low > 5).all()


def test_what_always_won_is_strong_and_not_infinitely_so():
    wins = np.array([[0.0, 9.0, 9.0], [0.0, 0.0, 5.0], [0.0, 4.0, 0.0]])
    found = bradley_terry(wins)
    assert found.score[0] == found.score.max() < found.high[0] < 10


def test_planted_strengths_are_found_and_intervals_hold_them_as_often_as_they_say():
    rng, held, correlations = np.random.default_rng(0), [], []
    for _ in range(80):
        true = rng.normal(size=10)
        true -= true.mean()
        found = bradley_terry(voted(true, 250, rng))
        held += list((found.low <= true) & (true <= found.high))
        correlations.append(np.corrcoef(true, found.score)[0, 1])
    assert 0.93 <= np.mean(held) <= 0.975
    assert np.mean(correlations) > 0.93


def test_more_votes_narrow_the_interval():
    rng = np.random.default_rng(1)
    true = np.linspace(-1, 1, 6)
    few, many = (bradley_terry(voted(true, votes, rng)) for votes in (60, 960))
    assert np.mean(few.high - few.low) > 3 * np.mean(many.high - many.low)
