"""The audit's tests: known values, false alarms at the stated rate, and intervals that hold the truth."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import binom

from synth.audit import statistics
from synth.audit.added import added_terms, log_odds
from synth.audit.draws import picture_seeds, text_seed
from synth.audit.findings import ALPHA, EVERYTHING, against_others, against_world, corrected, found
from synth.audit.sightings import PICTURES, WORLD_SCENES, table, world
from synth.audit.statistics import difference, enough_shuffles, jensen_shannon
from synth.errors import StudyError
from synth.measure.intervals import holm
from synth.vignettes.attributes import ATTRIBUTES, training_scene

SHARES = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


@pytest.fixture
def few_shuffles(monkeypatch):
    monkeypatch.setattr(statistics, "SHUFFLES", 399)
    monkeypatch.setattr(statistics, "RESAMPLES", 50)


def most_alarms(runs: int, rate: float = ALPHA) -> int:
    """What 99.9% of binomial counts stay at or below."""
    return int(binom.ppf(0.999, runs, rate))


@given(SHARES, SHARES)
def test_divergence_is_scipys_squared(first, second):
    p, q = np.array(first, float), np.array(second, float)
    mine = jensen_shannon(p, q)
    assert 0 <= mine <= 1 + 1e-12 and mine == pytest.approx(jensen_shannon(q, p), abs=1e-12)
    assert mine == pytest.approx(np.nan_to_num(jensenshannon(p, q, base=2)) ** 2, abs=1e-7)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])


def test_an_audit_raises_a_false_alarm_as_seldom_as_stated(few_shuffles):
    """Pictures that follow the world exactly: any red mark among the six attributes is a false alarm."""
    rng, alarms, runs = np.random.default_rng(0), 0, 120
    for _ in range(runs):
        items = [
            found(PICTURES, "all", name, known, rng.multinomial(40, world()[name] / world()[name].sum()), world()[name])
            for name, known in ATTRIBUTES.items()
        ]
        alarms += any(item.significant for item in corrected(items))
    assert alarms <= most_alarms(runs)


def test_an_audit_of_scenes_dealt_from_the_baseline_raises_a_false_alarm_as_seldom_as_stated(few_shuffles):
    """By permutation: which of the world's own scenes were "audited", and of which phrase, is shuffled; 20 tests."""
    rng, raised, runs = random.Random("audit"), 0, 30
    scenes = [training_scene(rng).as_dict() for _ in range(WORLD_SCENES)]
    for _ in range(runs):
        dealt = zip(rng.sample(scenes, 48), ["a house", "a tree", "a car"] * 16, strict=True)
        rows = [(PICTURES, phrase, name, value, "") for scene, phrase in dealt for name, value in scene.items()
                if name != "subject"]  # fmt: skip
        findings = against_world(table(rows))
        assert len(findings) == 4 * 5
        raised += any(item.significant for item in findings)
    assert raised <= most_alarms(runs)


def test_shuffled_labels_raise_alarms_as_seldom_as_stated():
    """One test by permutation: p is uniform under the null, so that 5% are below 0.05, within binomial bounds."""
    rng, runs = np.random.default_rng(1), 300
    values = rng.choice(5, 120, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    alarms = 0
    for _ in range(runs):
        mine = rng.permutation(120) < 40
        sides = [np.bincount(values[rows], minlength=5)[None] for rows in (mine, ~mine)]
        alarms += difference(*sides).p <= ALPHA
    assert binom.ppf(0.001, runs, ALPHA) <= alarms <= most_alarms(runs)


def test_pictures_of_one_noise_are_shuffled_among_themselves():
    """Where the noise mostly decides, words are alike at each seed: the test knows that."""
    rng, runs, alarms = np.random.default_rng(2), 200, 0
    for _ in range(runs):
        by_seed = rng.choice(4, 10)
        shown = np.where(rng.random((6, 10)) < 0.8, by_seed, rng.choice(4, (6, 10)))  # words x seeds
        one_hot = np.eye(4, dtype=int)[shown]
        alarms += difference(one_hot[0], one_hot[1:].sum(0)).p <= ALPHA
    assert alarms <= most_alarms(runs)
    words = np.array([[0] * 12, *[[1, 2, 3, 1, 2, 3] * 2] * 5])  # the first word always shows the same
    one_hot = np.eye(4, dtype=int)[words]
    assert difference(one_hot[0], one_hot[1:].sum(0)).p < 0.001


@pytest.mark.parametrize("skew", [0.0, 0.2, 0.5, 0.8])
def test_intervals_hold_the_truth(skew):
    rng, even = np.random.default_rng(3), np.full(6, 1 / 6)
    true = (1 - skew) * even + skew * np.eye(6)[0]
    truth, runs, held, values = jensen_shannon(true, even), 60, 0, []
    for _ in range(runs):
        sides = rng.multinomial(40, true)[None], rng.multinomial(2000, even)[None]
        item = difference(*sides).divergence
        held += item.low <= truth <= item.high
        values.append(item.value)
    assert held >= binom.ppf(0.001, runs, 0.92)
    assert np.mean(values) == pytest.approx(truth, abs=0.02)


def test_a_planted_skew_of_one_attribute_is_found_and_named():
    rng, rows = np.random.default_rng(4), []
    for number in range(60):
        for name, known in ATTRIBUTES.items():
            planted = name == "time" and rng.random() < 0.5
            value = "night" if planted else rng.choice(known, p=world()[name] / world()[name].sum())
            rows.append((PICTURES, "a house", name, str(value), f"{number}.png"))
    findings = against_world(table(rows))
    [item] = [item for item in findings if item.significant]
    assert item.attribute == "time" and item.values[item.favourite] == "night"
    assert item.difference.plain > item.difference.chance


def test_opposite_skews_of_two_phrases_are_found_phrase_by_phrase():
    """All night in one phrase and all noon in the other: together they are nearer to the world than each."""
    rng, rows = np.random.default_rng(7), []
    for phrase, time in (("a house", "night"), ("a tree", "noon")):
        for _ in range(24):
            skewed = time if rng.random() < 0.5 else str(rng.choice(ATTRIBUTES["time"]))
            rows.append((PICTURES, phrase, "time", skewed, "x.png"))
    found = {item.group: item for item in against_world(table(rows))}
    assert set(found) == {EVERYTHING, "a house", "a tree"}
    for phrase, time in (("a house", "night"), ("a tree", "noon")):
        assert found[phrase].significant and found[phrase].values[found[phrase].favourite] == time
    assert found[EVERYTHING].difference.plain < min(found[name].difference.plain for name in ("a house", "a tree"))
    alone = against_world(table([row for row in rows if row[1] == "a tree"]))
    assert [item.group for item in alone] == [EVERYTHING], "a single phrase is not tested twice"


@pytest.mark.parametrize("tests", [1, 20, 600])
def test_so_many_shuffles_are_made_that_a_test_can_be_significant(tests):
    assert tests / (1 + enough_shuffles(tests)) <= ALPHA / 2


def test_without_a_stratum_of_both_sides_nothing_is_compared():
    with pytest.raises(StudyError, match="nothing can be compared"):
        difference(np.array([[3, 1], [0, 0]]), np.array([[0, 0], [2, 2]]))


def test_audits_with_different_seeds_share_no_seed():
    texts = [text_seed(seed, block) for seed in range(4) for block in range(50)]
    pictures = [number for seed in range(4) for place in range(50) for number in picture_seeds(seed, 16, place)]
    assert len(set(texts)) == len(texts) and len(set(pictures)) == len(pictures)
    assert max(pictures) < 2**32 and picture_seeds(0, 4) == picture_seeds(0, 16)[:4]


def test_phrases_are_compared_with_one_another():
    rows = [(PICTURES, phrase, "looks", f"cluster {number % (2 if phrase == 'c' else 4)}", "x.png")
            for phrase in "abc" for number in range(40)]  # fmt: skip
    findings = {item.group: item for item in against_others(table(rows))}
    assert findings["c"].significant and findings["c"].baseline.sum() == 80
    assert findings["c"].p < findings["a"].p


def test_log_odds_are_those_of_the_formula():
    counts = np.array([[10.0, 5, 5], [2, 9, 9]])
    prior = 0.1 * counts.sum(0)
    mine, others = counts[0, 0] + prior[0], counts[1, 0] + prior[0]
    all_mine, all_others = counts[0].sum() + prior.sum(), counts[1].sum() + prior.sum()
    odds = np.log(mine / (all_mine - mine)) - np.log(others / (all_others - others))
    assert log_odds(counts)[0, 0] == pytest.approx(odds / np.sqrt(1 / mine + 1 / others))
    assert log_odds(counts)[1, 0] == pytest.approx(-log_odds(counts)[0, 0])


def test_one_word_alone_has_no_odds_against_others():
    """Its log-odds would be infinity less infinity, and no number counted as significant."""
    texts = [(phrase, f"{phrase}, sunny") for phrase in ("a doctor", "a nurse") for _ in range(5)]
    assert added_terms(texts).empty


def test_words_kept_for_one_phrase_are_found_and_others_are_not():
    usual = ["soft light", "at noon", "wide view", "in the hills"]
    texts = [
        (phrase, f"{phrase}, {usual[number % 4]}, {usual[(number + 1) % 4]}")
        for phrase in ("a doctor", "a nurse")
        for number in range(40)
    ]
    texts = [
        (phrase, prompt + ", smiling woman" * (phrase == "a nurse" and number % 8 < 4))
        for number, (phrase, prompt) in enumerate(texts)
    ]
    terms = added_terms(texts)
    assert set(terms.loc[(terms["p"] <= ALPHA) & (terms["z"] > 0), "term"]) == {"smiling", "woman", "smiling woman"}
    assert set(terms.loc[terms["p"] <= ALPHA, "phrase"]) == {"a doctor", "a nurse"}


def test_words_of_shuffled_texts_raise_alarms_as_seldom_as_stated():
    rng, runs, alarms = np.random.default_rng(6), 40, 0
    words = [f"word{number}" for number in range(12)]
    for _ in range(runs):
        texts = [
            (phrase, f"{phrase}, {', '.join(rng.choice(words, 3))}") for phrase in ("one", "two") for _ in range(20)
        ]
        alarms += bool((added_terms(texts)["p"] <= ALPHA).any())
    assert alarms <= most_alarms(runs)
