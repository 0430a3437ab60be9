"""The numbers of a set are those of what was put into it."""

import pytest
from made_up_pictures import picture, sidecar

from synth.train.data.preparation import prepare
from synth.train.data.statistics import describe, reasons, words_in
from synth.train.params import Data


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = sidecar(tmp_path_factory.mktemp("statistics") / "s", 8, lambda number: f"a red house, number {number}")
    (folder / "000.txt").write_text(" ".join(["tree"] * 80 + ["unseen", "house"]))
    (folder / "001.txt").write_text("a red house\nthe blue house")
    picture(50, (300, 200)).save(folder / "002.jpg")
    (folder / "003.txt").unlink()
    (folder / "004.jpg").write_bytes(b"")
    (folder / "005.jpg").write_bytes((folder / "001.jpg").read_bytes())
    return prepare(Data(source=str(folder), size=128), folder.parent / "out", progress=False)


def test_pictures_sizes_and_reasons_are_counted(ready):
    facts = describe(ready)
    assert facts.training + facts.validation == 5
    assert facts.left_out == reasons(ready) == {"no caption": 1, "unreadable": 1, "duplicate": 1}
    assert facts.sizes.tolist() == [[96, 80], [96, 80], [300, 200], [96, 80], [96, 80]]


def test_captions_are_measured_in_tokens_and_their_unread_words_named(ready):
    facts = describe(ready)
    assert facts.limit == 75 and len(facts.tokens) == 7 and facts.too_long == 1 and facts.tokens.max() > 82
    assert set(dict(facts.beyond)) >= {"tree", "unseen", "house"}
    assert facts.words[0] == ("tree", 80) and dict(facts.words)["house"] == 7 and "a" not in dict(facts.words)


def test_another_models_tokenizer_can_be_named(ready, tiny_sd):
    assert describe(ready, str(tiny_sd)).tokens.tolist() != describe(ready).tokens.tolist()


def test_the_rows_are_sentences_for_people(ready):
    rows = dict(describe(ready).rows())
    assert rows["pictures"].startswith("5 (")
    assert rows["left out"] == "3 (1 no caption, 1 unreadable, 1 duplicate)"
    assert rows["width"] == "96 to 300 pixels, half of them up to 96"
    assert rows["enlarged"] == "4 that had a side under 128 pixels"
    assert rows["captions"] == "7 (1.4 a picture)"
    assert rows["too long"].startswith("1 of more than 75 tokens")


def test_words_are_words_in_any_script():
    assert words_in("L'été, don’t! 42 well-known Straße 东京_x") == [
        "l'été",
        "don’t",
        "well-known",
        "strasse",
        "东京",
        "x",
    ]
