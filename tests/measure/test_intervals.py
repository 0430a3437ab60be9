"""Intervals are as wide as theory says, and hold the truth as often as they promise."""

import numpy as np
import pytest
from scipy import stats

from synth.measure.intervals import Figure, bootstrap, holm, students_reach, wilson


def test_the_bootstrap_agrees_with_the_normal_interval_of_many_values():
    values = np.random.default_rng(0).normal(3.0, 2.0, 2000)
    low, high = bootstrap(values)
    error = values.std() / np.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_the_bootstrap_holds_the_truth_in_about_95_of_100_cases():
    rng = np.random.default_rng(1)
    intervals = [bootstrap(rng.exponential(1.0, 80), resamples=400, seed=i) for i in range(300)]
    assert 0.89 < np.mean([low <= 1.0 <= high for low, high in intervals]) < 0.98


def test_the_bootstrap_is_seeded_and_needs_little_memory(monkeypatch):
    values = np.arange(50.0)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3) != bootstrap(values, seed=4)
    monkeypatch.setattr("synth.measure.intervals.TOGETHER", 120)  # two resamples at a time
    low, high = bootstrap(values, resamples=501, seed=3)
    assert low < values.mean() < high


def test_a_single_value_has_no_width():
    assert bootstrap(np.array([2.5])) == (2.5, 2.5)


def test_the_interval_of_a_share_is_wilsons():
    assert wilson(570, 600) == (pytest.approx(0.9295, abs=5e-4), pytest.approx(0.9648, abs=5e-4))
    low, high = wilson(0, 10)
    assert low == pytest.approx(0, abs=1e-12)
    assert high == pytest.approx(1.96**2 / (10 + 1.96**2))


def test_figures_are_made_of_values_and_of_counts():
    figure = Figure.of_mean("loss", np.array([1.0, 2.0, 3.0, 4.0]))
    assert (figure.name, figure.value) == ("loss", 2.5)
    assert figure.low < 2.5 < figure.high
    assert figure.half_width == pytest.approx((figure.high - figure.low) / 2)
    assert Figure.of_share("subject", 570, 600).low == wilson(570, 600)[0]
    assert str(Figure("loss", 0.1234, 0.1201, 0.1266)) == "loss 0.1234 (0.1201 to 0.1266)"


def test_the_mean_of_a_few_has_students_interval():
    values = [3.0, 5.0, 4.5, 9.0]
    figure, expected = Figure.of_few("x", values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (figure.value, figure.low, figure.high) == pytest.approx((np.mean(values), expected.low, expected.high))
    one = Figure.of_few("x", [3.0])
    assert (one.value, one.low, one.high) == (3, -np.inf, np.inf)


def test_missing_values_are_left_out_of_students_interval():
    found = students_reach(np.array([[3.0, np.nan, 5.0, 4.5], [1, np.nan, np.nan, np.nan], [np.nan] * 4, [2, 2, 2, 2]]))
    low, high = stats.ttest_1samp([3.0, 5.0, 4.5], 0).confidence_interval(0.95)
    assert found == pytest.approx([(high - low) / 2, np.nan, np.nan, 0], nan_ok=True)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1]) and len(holm([])) == 0
