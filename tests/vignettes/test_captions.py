"""Captions say what a scene shows, and `parse` reads it back."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.vignettes.attributes import ATTRIBUTES, Scene, held_out_scene, random_scene, training_scene
from synth.vignettes.captions import caption, parse, plain_caption, prompt, unknown_words

scenes = st.builds(Scene, **{name: st.sampled_from(values) for name, values in ATTRIBUTES.items()})
seeds = st.integers(0, 2**32)


@given(scenes, seeds, st.booleans())
def test_what_caption_says_parse_reads(scene, seed, full):
    reading = parse(caption(scene, random.Random(seed), full=full))
    assert not reading.unknown
    assert all(values == (getattr(scene, name),) for name, values in reading.values.items())
    assert reading.values
    if full:
        assert reading.values.keys() == ATTRIBUTES.keys()


@given(scenes, seeds)
def test_prompts_are_long_captions(scene, seed):
    reading = parse(prompt(scene, random.Random(seed)))
    assert reading.is_caption
    assert len(reading.values) >= 5
    assert all(values == (getattr(scene, name),) for name, values in reading.values.items())


@given(scenes)
def test_the_plain_caption_names_everything(scene):
    assert parse(plain_caption(scene)).values == {name: (value,) for name, value in scene.as_dict().items()}


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    reading = parse(text)
    assert all(word in text for word in reading.unknown)


def test_many_captions_are_partial_and_some_are_single_words():
    rng = random.Random(1)
    counts = [len(parse(caption(random_scene(rng), rng)).values) for _ in range(2000)]
    assert 0.2 < sum(count == 6 for count in counts) / 2000 < 0.5
    assert sum(count == 1 for count in counts) > 40


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("An astronaut riding a green horse", ["riding"]),
        ("a red lighthouse at sunset", []),
        ("Zürich, 42 zebras and Zürich", ["Zürich", "42", "zebras"]),
        ("UNIVERSITY at Night", []),
        ("", []),
    ],
)
def test_unknown_words_are_named_as_typed(text, unknown):
    assert unknown_words(text) == unknown


def test_contradictions_are_no_captions():
    assert not parse("a red blue castle").is_caption
    assert not parse("at night").is_caption
    assert parse("a castle at night, at midnight").is_caption


def test_held_out_scenes_are_one_in_twenty_and_never_trained_on():
    rng = random.Random(2)
    share = sum(random_scene(rng).held_out for _ in range(20_000)) / 20_000
    assert share == pytest.approx(1 / 20, abs=0.006)
    assert not any(training_scene(rng).held_out for _ in range(500))
    assert all(held_out_scene(rng).held_out for _ in range(50))


def test_a_scene_refuses_what_the_world_does_not_have():
    with pytest.raises(ValueError, match="colour 'beige' is not one of red"):
        Scene("cat", "beige", "sea", "noon", "clear", "neon")
