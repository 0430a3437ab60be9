"""Intervals are as wide as theory says, and hold the truth as often as they promise."""

import numpy as np
import pytest

from synth.measure.intervals import Figure, bootstrap, wilson


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
