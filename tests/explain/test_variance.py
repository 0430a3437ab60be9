"""The split between prompt and noise: planted variances come back, and intervals hold the truth."""

import numpy as np
import pytest
from made_up_studies import make_study

from synth.errors import InputError, StudyError
from synth.explain.variance import components, shares, split, variance_bars


def planted(rng, variances, prompts=6, seeds=5, size=16):
    """Vectors (P, S, D) whose prompt, seed and rest have these variances."""
    parts = [(prompts, 1, size), (1, seeds, size), (prompts, seeds, size)]
    return sum(np.sqrt(variance) * rng.normal(size=shape) for variance, shape in zip(variances, parts, strict=True))


def test_components_are_unbiased():
    rng = np.random.default_rng(0)
    found = np.mean([components(planted(rng, (3, 0.5, 1))) / 16 for _ in range(400)], axis=0)
    assert found == pytest.approx((3, 0.5, 1), rel=0.05)


def test_components_are_those_of_the_textbook():
    """Mean squares of one number in a table of 3 x 4, by the sums of squares of the cells' deviations."""
    table = np.random.default_rng(1).normal(size=(3, 4))
    rows = sum(4 * (table[i].mean() - table.mean()) ** 2 for i in range(3)) / 2
    columns = sum(3 * (table[:, j].mean() - table.mean()) ** 2 for j in range(4)) / 3
    total = sum((value - table.mean()) ** 2 for value in table.ravel())
    rest = (total - 2 * rows - 3 * columns) / 6
    assert components(table[..., None]) == pytest.approx(((rows - rest) / 4, (columns - rest) / 3, rest))


@pytest.mark.parametrize("place", range(3))
def test_one_source_has_all_of_it(place):
    vectors = planted(np.random.default_rng(2), np.eye(3)[place], prompts=12, seeds=12, size=64)
    found = shares(vectors, resamples=100)
    assert found[place].value == pytest.approx(1, abs=0.1)
    assert sum(figure.value for figure in found) == pytest.approx(1)


def test_equal_pictures_have_no_source():
    assert [figure.value for figure in shares(np.ones((3, 3, 2)), resamples=10)] == pytest.approx([1 / 3] * 3)


def test_intervals_hold_the_truth():
    rng, variances = np.random.default_rng(3), (1, 0.3, 0.5)
    truth, held = np.array(variances) / sum(variances), []
    for _ in range(40):
        found = shares(planted(rng, variances, prompts=4, seeds=4), resamples=150)
        held.append([figure.low <= share <= figure.high for figure, share in zip(found, truth, strict=True)])
    assert np.mean(held, axis=0).min() >= 0.9


def test_a_study_is_split_and_drawn(tmp_path):
    found = split(make_study(tmp_path / "s", seeds=range(4), failed=[(1, 3)]))
    assert (found.study, found.prompts, found.seeds) == ("s", 3, 3)
    assert found.table()["share"].sum() == pytest.approx(1)
    other = split(make_study(tmp_path / "other", "a blue car", seeds=range(3)))
    names = [label.get_text() for label in variance_bars([found, other]).axes[0].get_yticklabels()]
    assert names == ["a red lighthouse\n3 prompts x 3 seeds", "a blue car\n3 prompts x 3 seeds"]
    names = [label.get_text() for label in variance_bars([found, found]).axes[0].get_yticklabels()]
    assert names[0].startswith("s\n")


def test_too_few_are_one_error(tmp_path):
    with pytest.raises(InputError, match="prompts: 2"):
        split(make_study(tmp_path / "a", added=["", " b"], seeds=range(3)))
    with pytest.raises(InputError, match="seeds: 2"):
        split(make_study(tmp_path / "b"))
    with pytest.raises(StudyError, match="2 seeds with a picture of every prompt"):
        split(make_study(tmp_path / "c", seeds=range(3), failed=[(0, 1)]))
