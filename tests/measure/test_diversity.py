"""Vendi score, distinct-n and self-BLEU have their published, closed and independently computed values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_studies import PHRASE, make_study

from synth import plots
from synth.measure.diversity import added_words, distinct, self_bleu, vendi

SENTENCES = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6).map(" ".join), min_size=2, max_size=6)


def entropy_number(*shares: float) -> float:
    return float(np.exp(-sum(share * np.log(share) for share in shares)))


def test_equals_count_as_one_and_strangers_as_many():
    assert vendi(np.tile([0.6, 0.8], (7, 1))) == pytest.approx(1)
    assert vendi(np.eye(7)) == pytest.approx(7)
    assert vendi(np.array([[1.0, 0.0]])) == pytest.approx(1)


def test_groups_count_by_the_entropy_of_their_sizes():
    assert vendi(np.repeat(np.eye(3), [5, 3, 2], axis=0)) == pytest.approx(entropy_number(0.5, 0.3, 0.2))


@pytest.mark.parametrize("cosine", [0.1, 0.5, 0.9])
def test_two_vectors_count_by_their_cosine(cosine):
    pair = np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]])
    assert vendi(pair) == pytest.approx(entropy_number((1 + cosine) / 2, (1 - cosine) / 2))


def test_the_example_of_its_authors():
    samples = np.array([0, 0, 10, 10, 20, 20])
    kernel = np.exp(-np.abs(samples[:, None] - samples))
    values, vectors = np.linalg.eigh(kernel)
    assert vendi(vectors * np.sqrt(np.maximum(values, 0))) == pytest.approx(2.9999, abs=1e-4)


def test_many_vectors_of_few_dimensions_count_by_the_definition():
    rows = np.random.default_rng(0).normal(size=(40, 6))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(rows @ rows.T / 40)
    assert vendi(rows.astype(np.float32)) == pytest.approx(entropy_number(*shares[shares > 1e-9]), rel=1e-5)


def test_distinct_by_hand():
    assert distinct(["a b a b"], 1) == 2 / 4
    assert distinct(["a b a b"], 2) == 2 / 3
    assert distinct(["A, b", "a b c"], 2) == 2 / 3
    assert distinct(["a", "b"], 2) is None


@pytest.mark.parametrize(("texts", "value"), [  # by NLTK 3.10.4: sentence_bleu of each against the others, method1
    (["a red lighthouse at sunset", "a red lighthouse by the sea, in the rain", "an old castle at night"], 0.26474688),
    (["the cat the cat on the mat", "the cat is on the mat", "there is a cat on the mat"], 0.51596269),
    (["x y", "x y"], 0.46415888),
    (["one two three four", "one two three four"], 1.0),
    (["a", "b c d"], 0.0),
])  # fmt: skip
def test_self_bleu_is_that_of_nltk(texts, value):
    assert self_bleu(texts) == pytest.approx(value, abs=1e-8)


def test_one_text_repeats_nobody():
    assert self_bleu(["a b c"]) is None


@given(SENTENCES)
def test_self_bleu_is_a_share_whatever_the_order_and_says_one_for_copies(texts):
    assert 0 <= self_bleu(texts) <= 1
    assert self_bleu(texts[::-1]) == pytest.approx(self_bleu(texts))
    assert self_bleu([texts[0] + " x y z"] * 3) == pytest.approx(1)


@pytest.mark.parametrize(("phrase", "prompt", "added"), [
    ("a cat", "A cat, by the sea", "by the sea"),
    ("a cat", "by the sea, a cat", "by the sea, a cat"),
    ("a cat", "a cat", "a cat"),
])  # fmt: skip
def test_what_was_added(phrase, prompt, added):
    assert added_words(phrase, prompt) == added


def test_distinct_2_is_that_of_the_figure_of_prompts(tmp_path):
    study = make_study(tmp_path / "s")
    prompts = study.frame()["prompt"].unique()
    value = distinct([added_words(PHRASE, prompt) for prompt in prompts], 2)
    [axes, *_] = plots.diversity(study).axes
    assert any(f"distinct-2 {value:.2f}" in text.get_text() for text in axes.texts)
