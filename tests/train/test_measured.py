"""Which of two figures is better, by more than the noise, and whether they may be compared at all."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from synth.errors import InputError
from synth.measure.intervals import Figure
from synth.train.measured import Measured, check_comparable, compare, gain

numbers = st.floats(-1e6, 1e6)
widths = st.floats(0, 1e3)
pictures = st.integers(2, 20).flatmap(lambda n: st.tuples(*2 * [st.lists(numbers, min_size=n, max_size=n)]))


def loss(value: float, half_width: float = 0.01, **terms: str) -> Measured:
    return Measured(Figure("loss", value, value - half_width, value + half_width), terms)


def of(values) -> Measured:
    return Measured(Figure.of_mean("loss", np.array(values)), {}, values)


@given(numbers, widths, numbers, widths)
def test_two_models_never_beat_each_other(one, one_width, other, other_width):
    a, b = loss(one, one_width), loss(other, other_width)
    assume(a != b)
    for better in ("lower", "higher"):
        assert not (compare(a, b, better)[0] and compare(b, a, better)[0])
    assert compare(a, b, "lower")[0] == compare(b, a, "higher")[0]
    old, new = b.figure, a.figure
    assert compare(a, b, "lower")[0] == (old.value - new.value > math.hypot(new.half_width, old.half_width))


@given(pictures)
def test_nor_do_they_on_the_same_pictures(values):
    a, b = map(of, values)
    assert not (compare(a, b, "lower")[0] and compare(b, a, "lower")[0])
    assert compare(a, b, "lower")[0] == compare(b, a, "higher")[0]


def test_on_the_same_pictures_the_noise_is_that_of_their_differences():
    rng = np.random.default_rng(0)
    old = rng.exponential(1.0, 40)
    new = old - rng.normal(0.01, 0.01, 40)
    interval = stats.ttest_rel(old, new).confidence_interval()
    value, noise = gain(of(new.tolist()), of(old.tolist()), "lower")
    assert (value - noise, value + noise) == pytest.approx(tuple(interval))
    assert compare(of(new.tolist()), of(old.tolist()), "lower")[0]
    unpaired = [Measured(of(values.tolist()).figure) for values in (new, old)]
    assert not compare(*unpaired, "lower")[0], "how hard the pictures are hides the gain"


def test_one_picture_proves_nothing():
    promoted, reason = compare(of([0.1]), of([0.9]), "lower")
    assert not promoted and "not more than the noise of inf" in reason


def test_equal_models_are_no_better():
    assert compare(of([0.1, 0.2]), of([0.1, 0.2]), "lower") == (
        False, "loss 0.15 (0.1 to 0.2) is no better than loss 0.15 (0.1 to 0.2) by 0, not more than the noise of 0"
    )  # fmt: skip


def test_what_was_measured_otherwise_is_not_compared():
    with pytest.raises(InputError, match="measured with other prediction, data, noises: evaluate and promote"):
        check_comparable(loss(1, prediction="epsilon", noises="2"), loss(2, prediction="v", data="d"), "tiny")
    check_comparable(loss(1, data="d"), loss(2, data="d"), "tiny")


@given(pictures)
def test_it_comes_back_from_json_as_it_was(values):
    measured = of(values[0])
    assert Measured.from_dict(measured.as_dict()) == measured
