"""KID has the values that theory gives, without bias, and intervals that hold them."""

import math
from itertools import product

import numpy as np
import pytest

from synth.errors import InputError
from synth.measure.kid import kid, mmd2


def shifted(shift: float) -> float:
    """The exact discrepancy of N(0, 1) and N(shift, 1): the kernel is a sum over the moments' differences."""
    moments = {1: shift, 2: shift**2, 3: 3 * shift + shift**3}
    return sum(math.comb(3, power) * difference**2 for power, difference in moments.items())


def directly(a, b) -> float:
    """The formula as Binkowski et al. write it, pair by pair."""

    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    within = [
        sum(kernel(rows[i], rows[j]) for i in range(len(rows)) for j in range(len(rows)) if i != j)
        / (len(rows) * (len(rows) - 1))
        for rows in (a, b)
    ]
    return sum(within) - 2 * sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))


def test_it_agrees_with_the_formula_written_out():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(0.5, 2, size=(9, 5)).astype(np.float32)
    assert mmd2(a, b) == pytest.approx(directly(a.tolist(), b.tolist()), rel=1e-6)


def test_the_estimate_is_unbiased():
    """Over all samples of 3 from {0, 1} and of 2 from {1, 3}, each as likely, the mean is the exact discrepancy."""
    p, q = (0.0, 1.0), (1.0, 3.0)
    estimates = [
        mmd2(np.array(a)[:, None], np.array(b)[:, None]) for a, b in product(product(p, repeat=3), product(q, repeat=2))
    ]
    exact = sum(
        math.comb(3, power) * (np.mean([x**power for x in p]) - np.mean([y**power for y in q])) ** 2
        for power in (1, 2, 3)
    )
    assert np.mean(estimates) == pytest.approx(exact, rel=1e-12)


def test_one_distribution_is_near_zero_and_a_shift_is_not():
    rng = np.random.default_rng(1)
    same = kid(rng.normal(size=(300, 16)), rng.normal(size=(300, 16)))
    assert same.name == "kid"
    assert same.low < 0 < same.high
    moved = kid(rng.normal(size=(300, 16)), rng.normal(0.5, size=(300, 16)))
    assert moved.low > same.high
    assert moved.value == pytest.approx((moved.low + moved.high) / 2)


def test_the_value_is_the_exact_one():
    rng = np.random.default_rng(2)
    found = kid(rng.normal(size=(4000, 1)), rng.normal(0.5, 1, size=(3500, 1)), subsets=40, subset_size=500)
    assert found.low < shifted(0.5) < found.high
    assert found.value == pytest.approx(shifted(0.5), rel=0.2)


@pytest.mark.parametrize("subset_size", [1000, 30])
def test_the_interval_holds_the_exact_value_about_as_often_as_it_says(subset_size):
    rng = np.random.default_rng(3)
    found = [
        kid(rng.normal(size=(200, 1)), rng.normal(0.6, 1, size=(200, 1)), subset_size=subset_size, seed=i)
        for i in range(60)
    ]
    assert np.mean([figure.low <= shifted(0.6) <= figure.high for figure in found]) >= 0.88


def test_it_is_seeded():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(40, 3)), rng.normal(size=(50, 3))
    assert kid(a, b, seed=1) == kid(a, b, seed=1) != kid(a, b, seed=2)


@pytest.mark.parametrize(("a", "b", "words"), [
    (np.zeros((3, 8)), np.zeros((9, 8)), "pictures: 3 cannot be used; give KID at least 4"),
    (np.zeros((9, 8)), np.zeros((9, 7)), "same model's features"),
    (np.zeros(9), np.zeros((9, 7)), "two sets of rows"),
])  # fmt: skip
def test_what_cannot_be_compared_is_told(a, b, words):
    with pytest.raises(InputError, match=words):
        kid(a, b)
