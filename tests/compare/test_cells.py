"""Measures of cells: means, intervals and frontiers, computed a second time by scipy and by hand."""

import io
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from synth.compare import findings
from synth.compare.cells import _corrected, cells, sign
from synth.compare.curves import curves, heat_map
from synth.compare.frontier import frontier, on_frontier, with_frontier
from synth.errors import InputError

SCALES, STEPS, SEEDS = (1.0, 3.0, 5.0), (5, 10), 6


def value(job) -> float:
    """Rises with guidance, falls with steps; seeds shift all cells alike, and prompts and cells a little."""
    settings = job.settings
    chance = np.random.default_rng(abs(hash((job.seed, settings.steps, settings.guidance_scale, job.prompt))) % 2**32)
    return 20 + settings.guidance_scale - 0.1 * settings.steps + 3 * job.seed + chance.normal(scale=0.2)


@pytest.fixture(scope="module")
def made(make_sweep, tmp_path_factory):
    found = make_sweep(
        tmp_path_factory.mktemp("sweep"), x="guidance_scale=1,3,5", y="steps=5,10", seeds=SEEDS,
        failed=lambda job: job.settings.steps == 10 and job.settings.guidance_scale == 5,
        seconds=lambda job: job.settings.steps * (2 if job.settings.guidance_scale > 1 else 1) / 10,
    )  # fmt: skip
    found.study.measure("quality", {job.key: value(job) for job in found.study.jobs}, "a ruler sha256:0; synth 1")
    return found


def by_hand(made, scale: float, steps: int) -> np.ndarray:
    """The means over the prompts, one for each seed."""
    jobs = [job for job in made.study.jobs if (job.settings.guidance_scale, job.settings.steps) == (scale, steps)]
    return np.array([np.mean([value(job) for job in jobs if job.seed == seed]) for seed in range(SEEDS)])


def drawn(figure) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return np.array(Image.open(io.BytesIO(figure.png())))


def test_means_and_intervals_are_those_of_scipy(made):
    table = cells(made, "quality", ["guidance_scale", "steps"]).set_index(["guidance_scale", "steps"])
    for scale, steps in ((1.0, 5), (3.0, 10), (5.0, 5)):
        values, cell = by_hand(made, scale, steps), table.loc[(scale, steps)]
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert cell["mean"] == pytest.approx(values.mean())
        assert (cell["low"], cell["high"]) == pytest.approx((expected.low, expected.high))
        assert cell["seeds"] == SEEDS and cell["pictures"] == 2 * SEEDS and cell["failed"] == 0
        assert cell["seconds"] == pytest.approx(steps * (2 if scale > 1 else 1) / 10)


def test_gaps_are_paired_by_seed(made):
    table = cells(made, "quality", ["guidance_scale", "steps"]).set_index(["guidance_scale", "steps"])
    cell, best = table.loc[(3.0, 5)], by_hand(made, 5.0, 5)
    expected = stats.ttest_rel(by_hand(made, 3.0, 5), best).confidence_interval(0.95)
    assert (cell["gap_low"], cell["gap_high"]) == pytest.approx((expected.low, expected.high))
    assert table.loc[(5.0, 5), "gap"] == 0
    assert cell["high"] - cell["low"] > 5 * (cell["gap_high"] - cell["gap_low"])


def test_failed_cells_are_there_without_values(made):
    table = cells(made, "quality", ["guidance_scale", "steps"]).set_index(["guidance_scale", "steps"])
    cell = table.loc[(5.0, 10)]
    assert len(table) == 6 and cell["failed"] == 2 * SEEDS
    assert np.isnan(cell[["mean", "low", "gap", "seconds"]].astype(float)).all()


def test_one_seed_and_measures_of_groups_have_no_interval(make_sweep, tmp_path):
    one = make_sweep(tmp_path, x="steps=1,2", seeds=1, prompts=["a house"])
    for name in ("quality", "vendi_pictures"):
        one.study.measure(name, {job.key: float(job.settings.steps) for job in one.study.jobs}, "x")
    assert cells(one, "quality")[["low", "high", "gap_low"]].isna().all(axis=None)
    assert "one seed cannot tell" in findings.verdict(one, "quality")
    many = make_sweep(tmp_path, x="steps=1,2", seeds=3, prompts=["a house"])
    many.study.measure("vendi_pictures", {job.key: 2.0 for job in many.study.jobs}, "x")
    assert cells(many, "vendi_pictures")[["low", "high"]].isna().all(axis=None)
    drawn(curves(one, "quality"))


def test_a_measure_that_is_no_column_and_a_sweep_of_seeds_are_refused(made, make_sweep, tmp_path):
    for name in ("qualty", "prompt"):
        with pytest.raises(InputError, match="name a measure"):
            cells(made, name)
    seeds = make_sweep(tmp_path, x="seed", y="prompt", prompts=["a house"])
    with pytest.raises(InputError, match="nothing but seeds varies"):
        cells(seeds, "seconds")
    assert findings.figures(seeds, "seconds") == {} and seeds.measure() == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_the_frontier_is_what_no_other_beats(points):
    values, seconds = np.array(points, float).T
    for place, found in enumerate(on_frontier(values, seconds)):
        beaten = any(
            v >= values[place] and s <= seconds[place] and (v, s) != (values[place], seconds[place])
            for v, s in zip(values, seconds, strict=True)
        )
        assert found == (not beaten)


def test_missing_values_are_never_on_the_frontier():
    assert list(on_frontier(np.array([1, np.nan, 2]), np.array([1, 0.5, np.nan]))) == [True, False, False]


def test_the_frontier_of_a_sweep_is_marked_and_named(made):
    table = with_frontier(made, "quality")
    places = {(row["guidance_scale"], row["steps"]) for _, row in table[table["frontier"]].iterrows()}
    assert places == {(1.0, 5), (5.0, 5)}
    texts = [text.get_text() for text in frontier(made, "quality").axes[0].texts]
    assert any(text.startswith("guidance scale 5, steps 5") for text in texts)


def test_of_measures_where_less_is_better_the_lowest_is_best(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x="steps=1,2,3", prompts=["a house"])
    made.study.measure("kid", {job.key: float(job.settings.steps) for job in made.study.jobs}, "x")
    assert findings.verdict(made, "kid").startswith("KID is lowest at steps 1: 1")
    assert list(with_frontier(made, "kid")["frontier"]) == [True, False, False]


def test_the_verdict_counts_the_cells_that_may_equal_the_best(made):
    said = findings.verdict(made, "quality")
    assert said.startswith("Quality is highest at guidance scale 5, steps 5, prompt ")
    assert " of the other 9 may equal it" in said or "no other equals it but by chance" in said
    assert said.endswith("(paired t-tests, corrected for all pairs)")


def test_the_ranking_is_escaped_and_in_order(made):
    page = findings.ranking(made, "quality")
    assert "a blue &lt;b&gt;boat&lt;/b&gt;" in page and "<b>boat" not in page
    assert "0, 6 failed" in page and "on the frontier" in page
    means = cells(made, "quality")["mean"].dropna().sort_values(ascending=False)
    places = [page.index(f"<td>{mean:.3g}&nbsp;(") for mean in means.head(3)]
    assert places == sorted(places)


def test_extremes_are_pairs_of_one_prompt_and_noise(make_sweep, tmp_path):
    made = make_sweep(tmp_path, x="steps=1,2", y="guidance_scale=1,3")
    made.study.measure("quality", {job.key: value(job) for job in made.study.jobs}, "x")
    both = findings.extremes(made, "quality")
    assert len(both.pairs) == 3 and all(pair.a["seed"] == pair.b["seed"] for pair in both.pairs)
    assert {(pair.a["guidance_scale"], pair.b["guidance_scale"]) for pair in both.pairs} == {(1.0, 3.0)}
    sizes = make_sweep(tmp_path, x="size=64x64,64x72", prompts=["a house"])
    sizes.study.measure("quality", {job.key: float(job.settings.height) for job in sizes.study.jobs}, "x")
    assert findings.extremes(sizes, "quality").pairs == ()


def test_every_figure_is_drawn_without_a_warning_and_says_how_it_was_measured(made):
    figures = findings.figures(made, "quality")
    assert set(figures) == {"curves", "cells", "frontier"}
    for figure in figures.values():
        assert drawn(figure).size
        heading = " ".join(text.get_text() for text in figure.texts)
        assert "Quality" in heading and "a ruler" in heading and "sha256" not in heading and "95% interval" in heading


def test_points_of_curves_are_the_means(made):
    lines = {line.get_label(): line for line in curves(made, "quality").axes[0].containers}
    table = cells(made, "quality")
    prompts = table["prompt"].unique()
    panel = table[(table["prompt"] == prompts[0]) & (table["steps"] == 5)].sort_values("guidance_scale")
    assert list(lines["5"].lines[0].get_ydata()) == pytest.approx(list(panel["mean"]))


@pytest.mark.parametrize("axes", [
    {"x": "scheduler=ddim,euler,heun"},
    {"x": "scheduler=ddim,euler", "y": "negative_prompt=none | dark, blurry and much else", "pages": "eta=0,1"},
    {"x": "steps=1,100", "y": "guidance_scale=1:13:1"},
    {"y": "prompt", "x": "respacing=ddim5 | 3,3 | 2,2,2"},
])  # fmt: skip
def test_figures_of_all_kinds_of_axes(axes, make_sweep, tmp_path):
    made = make_sweep(tmp_path, **axes)
    made.study.measure("quality", {job.key: value(job) for job in made.study.jobs}, "x")
    for figure in findings.figures(made, "quality").values():
        assert drawn(figure).shape[0] < 2500
    assert drawn(heat_map(made, "quality")).size


def test_p_is_of_a_paired_test_corrected_for_all_pairs(made):
    by = ["guidance_scale", "steps"]
    table = cells(made, "quality", by).set_index(by)
    known = [place for place in table.index if place != (5.0, 10)]
    pairs = list(combinations(known, 2))
    plain = [stats.ttest_rel(by_hand(made, *a), by_hand(made, *b)).pvalue for a, b in pairs]
    adjusted = dict(zip(pairs, multipletests_by_hand(plain), strict=True))
    for place in known:
        if place != (5.0, 5):
            expected = adjusted.get((place, (5.0, 5)), adjusted.get(((5.0, 5), place)))
            assert table.loc[place, "gap_p"] == pytest.approx(expected)
    assert table.loc[(5.0, 5), "gap_p"] == 1 and np.isnan(table.loc[(5.0, 10), "gap_p"])


def multipletests_by_hand(values):
    """Holm's step-down, one value after the other."""
    found, least = {}, 0.0
    for rank, place in enumerate(np.argsort(values)):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        found[place] = least
    return [found[place] for place in range(len(values))]


def test_the_winner_of_cells_that_are_all_alike_is_hardly_ever_better_than_another():
    """Of 200 sweeps of 12 cells in which nothing differs, not many more than 5% may claim a difference."""
    rng, claims, uncorrected = np.random.default_rng(0), 0, 0
    for _ in range(200):
        values = pd.DataFrame(rng.normal(size=(12, 4)))
        claims += (_corrected(values, 1) <= 0.05).any()
        best = values.loc[values.mean(axis=1).idxmax()]
        uncorrected += (stats.ttest_rel(values.drop(best.name), best, axis=1).pvalue <= 0.05).any()
    assert claims <= 18 and uncorrected > 60


def test_few_seeds_and_equal_cells_have_no_small_p():
    values = pd.DataFrame([[1.0, np.nan], [2.0, 2.5], [2.0, 2.5], [np.nan, 9.0]])
    found = _corrected(values, 1)
    assert np.isnan(found[[0, 3]]).all() and list(found[[1, 2]]) == [1, 1]
    assert np.isnan(_corrected(values[[0]], 1)).all()


@pytest.mark.parametrize("measure", ["kid", "error_of_steps", "words_flagged", "content_flagged", "content_nudity"])
def test_less_of_what_is_wrong_is_better(measure):
    assert sign(measure) == -1 and sign("clip_prompt") == 1
