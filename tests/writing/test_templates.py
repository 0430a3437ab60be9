import pytest

from synth.errors import InputError
from synth.vignettes.attributes import COLOURS, TIMES
from synth.writing.templates import Template


def phrases(text, count=40, seed=0):
    return [Template(text).resolve(seed, k) for k in range(count)]


def test_alternatives_and_nested_ones_are_all_used():
    assert set(phrases("a {red|blue {hot|cold}} house")) == {"a red house", "a blue hot house", "a blue cold house"}


def test_a_candidate_has_one_phrase_whenever_it_is_asked():
    text = "a {red|blue|green} house"
    assert phrases(text) == phrases(text) != phrases(text, seed=1)
    assert Template(text).resolve(0, 31) == phrases(text)[31]


def test_wildcards_are_the_picture_worlds_values():
    assert {phrase.split()[1] for phrase in phrases("a __colour__ house", 100)} == set(COLOURS)


def test_a_folder_called_wildcards_adds_more(tmp_path, monkeypatch):
    (tmp_path / "wildcards").mkdir()
    (tmp_path / "wildcards" / "wood.txt").write_text("oak\nelm\n")
    monkeypatch.chdir(tmp_path)
    assert set(phrases("a __wood__ tree, __time__")) <= {f"a {a} tree, {b}" for a in ("oak", "elm") for b in TIMES}


def test_text_without_templates_is_left_alone():
    assert phrases("1984, nan <script>שלום 😀", 2) == ["1984, nan <script>שלום 😀"] * 2


@pytest.mark.parametrize(
    "text",
    [
        "a {red|blue house", "a red|blue} house", "{a|b}}", "a __nope__ house", "__../../etc/passwd__", "${unset}",
        "%{a|b}", "{}", "{|}", "colour #1 {a|b}", "{a|b} // c", "a /* b */ {c|d}", "{" * 300 + "}" * 300,
    ],
)  # fmt: skip
def test_a_malformed_template_is_one_clear_error(text, recwarn):
    with pytest.raises(InputError, match="phrase"):
        phrases(text, 3)
    assert not recwarn.list


def test_other_generators_are_left_alone():
    import random

    before = random.getstate()
    phrases("a {red|blue} __colour__ house", 3)
    assert random.getstate() == before
