"""The list is fixed and held out; scores, intervals and confusions count right."""

import hashlib

import pytest

from synth.vignettes.attributes import ATTRIBUTES, Scene
from synth.vignettes.captions import parse
from synth.vignettes.evaluation import (
    LIST,
    Score,
    confusions,
    make_list,
    phrases,
    read_list,
    score,
    score_expansions,
    write_list,
)

CAT = Scene("cat", "red", "sea", "noon", "clear", "neon")
DOG_LIKE = CAT.as_dict() | {"subject": "horse"}


def test_the_list_is_600_full_captions_of_different_held_out_scenes():
    items = read_list()
    assert len(items) == len({item.scene for item in items}) == 600
    assert all(item.scene.held_out for item in items)
    assert all(parse(item.caption).values == {k: (v,) for k, v in item.scene.as_dict().items()} for item in items)


def test_the_list_can_be_made_again(tmp_path):
    write_list(make_list(), tmp_path / "list.csv")
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (LIST, tmp_path / "list.csv")}
    assert len(digests) == 1


def test_scores_and_confusions():
    scores = score([CAT, CAT], [CAT.as_dict(), DOG_LIKE])
    assert scores["subject"] == Score(1, 2)
    assert all(scores[name].share == 1 for name in ATTRIBUTES if name != "subject")
    assert confusions([CAT, CAT], [CAT.as_dict(), DOG_LIKE]) == [("subject", "cat", "horse", 1)]


def test_the_interval_is_wilsons():
    low, high = Score(570, 600).interval
    assert (low, high) == (pytest.approx(0.9295, abs=5e-4), pytest.approx(0.9648, abs=5e-4))


def test_expansions_are_scored():
    found = score_expansions(
        [
            ("a red cat", "a red cat, at night, watercolor"),
            ("a red cat", "a red cat, blue, at night"),
            ("a house", "a house with zebras"),
        ],
        training_prompts={"a red cat, at night, watercolor"},
    )
    assert found.parses == pytest.approx(1 / 3)
    assert found.contradicts == pytest.approx(1 / 3)
    assert found.adds_two == pytest.approx(1 / 3)
    assert found.copied == pytest.approx(1 / 3)
    assert 0.5 < found.distinct_2 <= 1


def test_the_phrases_are_captions_with_room_for_more():
    found = phrases(50)
    assert found == phrases(50)
    assert all(parse(text).is_caption and len(parse(text).values) <= 3 for text in found)
