"""Effects: what can be left out, what is rendered for it, and changes that land where they should."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import synth
from synth.errors import InputError, StudyError
from synth.explain import effect_figures
from synth.explain.effects import difference, effects
from synth.explain.parts import find_parts, parts
from synth.presets import advised
from synth.vignettes.judge import Judge

SCENE = "a red castle by the sea at night, in the snow, flat illustration"
ATTRIBUTES = ("place", "time", "weather")


@pytest.mark.parametrize(
    ("prompt", "phrase", "texts"),
    [
        ("a cat in the fog, by night, soft light", "a cat", ["in the fog", "by night", "soft light"]),
        ("a cat, oil on canvas", "a cat", ["oil", "on canvas"]),
        ("ink drawing of a cat, foggy", "a cat", ["ink drawing of", "foggy"]),
        ("a cat", "a cat", []),
        ("a red castle at night, neon", "a red castle at night, neon", ["at night", "neon"]),
        ("a dog, neon", "a cat", ["neon"]),
        ("一只猫，水彩、夜晚", "一只猫", ["水彩", "夜晚"]),
        ("a cat, , --, !!", "a cat", []),
    ],
)
def test_what_was_added_falls_into_parts(prompt, phrase, texts):
    found = parts(prompt, phrase)
    assert [part.text for part in found] == texts
    assert all(prompt[part.start : part.end] == part.text for part in found)
    assert all(part.added == (phrase in prompt and phrase != prompt) for part in found)


@pytest.mark.parametrize(
    ("prompt", "word", "left"),
    [
        ("a cat, in the rain, ink", "in the rain", "a cat, ink"),
        ("a red cat, ink", "red", "a cat, ink"),
        ("a red cat, ink", "INK", "a red cat"),
        ("a reddish red cat", "red", "a reddish cat"),
        ("cat; ink, wet.", "ink", "cat; wet."),
    ],
)
def test_what_is_left_reads_as_if_nothing_had_been_there(prompt, word, left):
    [part] = find_parts(prompt, prompt, [word])
    assert part.left_out(prompt) == left


@given(st.lists(st.sampled_from(["cat", "in rain", "by night", "oil, old", "x"]), min_size=1, max_size=6), st.data())
def test_leaving_out_removes_the_part_and_nothing_else(pieces, data):
    prompt = "a dog, " + ", ".join(pieces)
    part = data.draw(st.sampled_from(parts(prompt, "a dog")))
    words, rest, gone = (text.replace(",", " ").split() for text in (prompt, part.left_out(prompt), part.text))
    place = len(prompt[: part.start].replace(",", " ").split())
    assert rest == words[:place] + words[place + len(gone) :]
    assert ", ," not in part.left_out(prompt) and "  " not in part.left_out(prompt)


def test_words_that_are_not_in_the_prompt_are_refused():
    for text in ("dog", "", "ca"):
        with pytest.raises(InputError, match="words of the prompt"):
            find_parts("a cat", "a cat", [text])


def test_a_difference_is_the_mean_of_the_colours():
    a, b = Image.new("RGB", (4, 2), (255, 0, 0)), Image.new("RGB", (4, 2), (0, 0, 0))
    b.putpixel((3, 1), (255, 0, 0))
    assert difference(a, b).shape == (2, 4)
    assert difference(a, b)[0, 0] == pytest.approx(1 / 3) and difference(a, b)[1, 3] == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    settings = advised("vignettes").but(steps=12)
    out = tmp_path_factory.mktemp("studies")
    return synth.study(
        "a red castle", prompts=[SCENE], seeds=3, settings=settings, out=out, device="cpu", progress=False
    )


@pytest.fixture(scope="module")
def found(study):
    return effects(study, device="cpu", progress=False)


def test_each_added_part_is_left_out_at_the_same_noise(study, found):
    assert [part.text for part in found.parts] == ["by the sea", "at night", "in the snow", "flat illustration"]
    assert list(found.whole) == [0, 1, 2] and all(list(pictures) == [0, 1, 2] for pictures in found.without)
    assert len(found.frame) == 12
    [variants] = [synth.Study.open(path.parent) for path in (study.folder / "explain").glob("*/plan.json")]
    assert {job.seed for job in variants.jobs} == {0, 1, 2} and {job.settings for job in variants.jobs} == {
        study.plan.settings
    }
    assert "a red castle by the sea at night, flat illustration" in {job.prompt for job in variants.jobs}


def test_nothing_is_rendered_twice(study, found):
    def times():
        return {path: path.stat().st_mtime_ns for path in study.folder.rglob("images/*.png")}

    before = times()
    again = effects(study, device="cpu", progress=False)
    assert again.frame.equals(found.frame) and times() == before
    next(iter(study.folder.glob("explain/*/images/*.png"))).unlink()
    effects(study, device="cpu", progress=False)
    assert sum(before.get(path) != time for path, time in times().items()) == 1
    words = effects(study, words=["red"], device="cpu", progress=False)
    assert words.parts[0].added is False and len(times()) == len(before) + 3


def test_the_measures_are_those_of_the_pictures(found):
    row = found.frame.iloc[4]
    assert (row["part"], row["seed"]) == ("at night", 1)
    assert row["pixel_difference"] == pytest.approx(found.where(1, 1).mean(), abs=1e-6)
    table = found.table().set_index("part")
    mine = found.frame[found.frame["part"] == "at night"]["clip_distance"]
    assert table.loc["at night", "clip_distance"] == pytest.approx(mine.mean())
    assert table.loc["at night", "clip_distance_low"] < mine.mean() < table.loc["at night", "clip_distance_high"]
    assert 0 < found.other_seed["clip_distance"] < 1 and "sha256:" in found.clip


def test_an_attributes_effect_is_on_that_attribute(found):
    """What the judge reads changes for the attribute that is no longer named, and for no other that still is."""
    judge = Judge.load()
    before = judge.read(list(found.whole.values()))
    changed = {}
    for name, pictures in zip(ATTRIBUTES, found.without, strict=False):
        after = judge.read(list(pictures.values()))
        for other in (*ATTRIBUTES, "subject", "colour"):
            changed[name, other] = np.mean([a[other] != b[other] for a, b in zip(before, after, strict=True)])
    own = [changed[name, name] for name in ATTRIBUTES]
    others = [share for (name, other), share in changed.items() if name != other]
    assert np.mean(own) > 0.6 and np.mean(others) < 0.1


def drawn(figure):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.png()
    texts = [text for axes in figure.axes for text in (*axes.texts, *axes.get_yticklabels())]
    return " ".join(text.get_text() for text in texts)


def test_figures_name_each_part(found):
    for figure in (effect_figures.effect_sizes(found), effect_figures.effect_sheet(found)):
        said = drawn(figure)
        assert all(part.text.split()[-1] in said for part in found.parts)


def test_a_study_of_one_seed_has_figures_too(tmp_path, tiny_sd):
    settings = advised(str(tiny_sd)).but(width=64, height=64, steps=2)
    how = {"model": str(tiny_sd), "settings": settings, "seeds": 1, "out": tmp_path, "device": "cpu", "progress": False}
    found = effects(synth.study("cat", prompts=["cat, $x$"], **how), device="cpu", progress=False)
    drawn(effect_figures.effect_sizes(found)), drawn(effect_figures.effect_sheet(found))
    assert np.isnan(found.other_seed["clip_distance"])


def test_what_cannot_be_left_out_is_one_error(study, tmp_path):
    for arguments, says in (
        ({"prompt_index": 1}, "whole number from 0 to 0"),
        ({"words": ["dog"]}, "words of the prompt"),
        ({"words": [SCENE]}, "leave something"),
    ):
        with pytest.raises(InputError, match=says):
            effects(study, **arguments)
    empty = synth.Study(tmp_path, study.plan, study.expansion, study.created)
    with pytest.raises(StudyError, match="no finished picture"):
        effects(empty)
