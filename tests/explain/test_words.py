"""Words over pictures: whose tokens are whose, shares that add up, and maps that light up what is there."""

import dataclasses
import io
import random
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import rankdata

import synth
from synth.errors import InputError
from synth.explain import word_figures
from synth.explain.attention import stages
from synth.explain.words import check_words, heat, study_heat, word_table, words_of
from synth.jobs import Job, ModelRef, Settings
from synth.presets import advised, resolve
from synth.records.pictures import pixel_digest
from synth.studies import Study
from synth.vignettes.attributes import random_scene
from synth.vignettes.canvas import SUBJECT
from synth.vignettes.captions import WORDINGS, plain_caption
from synth.vignettes.world import draw

TINY = Settings(width=64, height=64, steps=6)
NOWHERE = ModelRef(name="none")


def job(prompt, phrase=None, model=NOWHERE, **more):
    return Job(phrase=phrase or prompt, prompt=prompt, seed=0, settings=TINY, model=model, **more)


@pytest.fixture(scope="module")
def heats(tiny_sd):
    model = resolve(str(tiny_sd), "renderer")
    jobs = [job("a cat, by the $ea", "a cat", model), job("two dogs", "two dogs", model)]
    return list(heat(jobs, device="cpu"))


def letters(prompt):
    """A token for each character that is no space, after the one that begins the text."""
    return [(0, 0), *((place, place + 1) for place, letter in enumerate(prompt) if not letter.isspace())]


def test_a_word_has_the_tokens_of_its_letters():
    prompt = "a red-roofed house, at dusk"
    words = words_of(job(prompt, "a red-roofed house"), letters(prompt))
    assert [word.text for word in words] == ["a", "red-roofed", "house", "at", "dusk"]
    assert [len(word.tokens) for word in words] == [1, 10, 5, 2, 4]
    assert [word.added for word in words] == [False, False, False, True, True]


def test_a_woven_phrase_has_added_words_on_both_sides():
    prompt = "a painting of two cats in rain"
    assert [word.text for word in words_of(job(prompt, "two cats"), []) if not word.added] == ["two", "cats"]


def test_all_words_are_the_persons_where_the_phrase_is_not_in_the_prompt():
    assert not any(word.added for word in words_of(job("two dogs", "a cat"), []))


@given(st.text(alphabet="ab ,.;-'é红🎈\n", max_size=30))
def test_words_are_stretches_of_the_prompt_in_its_order(text):
    prompt = f"x {text}"
    words = words_of(job(prompt), letters(prompt))
    assert [prompt[word.start : word.end] for word in words] == [word.text for word in words]
    tokens = [token for word in words for token in word.tokens]
    assert tokens == sorted(set(tokens))


def test_words_that_the_encoder_never_saw_are_left_out(tiny_sd):
    model = resolve(str(tiny_sd), "renderer")
    [item] = heat([job("word " * 30, "word", model)], device="cpu")
    assert len(item.words) == 19 and len(item.words[-1].tokens) == 3  # 75 letters are read: 18 words and 3 letters


def test_shares_are_the_tokens_part_of_the_attention_to_words(heats):
    item, attention = heats[0], heats[0].attention
    by_hand = np.array([attention.shares[:, :, list(word.tokens)].sum(2).mean() for word in item.words])
    assert np.allclose(item.shares(), by_hand / by_hand.sum(), atol=1e-6)
    assert item.on_words == pytest.approx(by_hand.sum(), abs=1e-6) and item.on_words < 1
    assert item.added_share == pytest.approx(item.shares()[2:].sum())
    late = attention.shares[stages(6) == 4][:, [1]][:, :, list(item.words[1].tokens)].sum(2).mean()
    every = sum(attention.shares[stages(6) == 4][:, [1]][:, :, list(word.tokens)].sum(2).mean() for word in item.words)
    assert item.shares(stage=4, layers=[1])[1] == pytest.approx(late / every)


def test_maps_are_the_stages_and_layers_enlarged(heats):
    item = heats[0]
    whole = item.maps()
    assert whole.shape == (len(item.words), 64, 64) and whole.min() >= 0 and whole.max() <= 1
    by_layer = np.mean([item.maps(layers=[layer]) for layer in range(len(item.attention.layers))], axis=0)
    by_stage = np.average([item.maps(stage=stage) for stage in range(5)], axis=0, weights=np.bincount(stages(6)))
    assert np.allclose(whole, by_layer, atol=1e-3) and np.allclose(whole, by_stage, atol=1e-3)
    means = whole.mean((1, 2)) / whole.mean((1, 2)).sum()
    assert np.allclose(means, item.shares(), atol=0.01)  # bicubic enlarging moves the mean a little


def test_the_table_has_a_row_for_each_word(heats):
    table = word_table(heats)
    assert list(table["word"]) == ["a", "cat", "by", "the", "$ea", "two", "dogs"]
    assert np.allclose(table.groupby("key")["share"].sum(), 1)
    assert list(table["added"]) == [False, False, True, True, True, False, False]


def test_a_prompt_without_a_word_and_an_unknown_word_are_refused():
    with pytest.raises(InputError, match="give it a word"):
        heat([job("...")])
    with pytest.raises(InputError, match="did you mean 'lighthouse'"):
        check_words(["a red lighthouse"], ["red", "lighthose"])


@pytest.fixture(scope="module")
def known():
    """Scenes of the world, drawn over at half strength so that everything stays where it is known to be."""
    rng, model, jobs, pictures, truth = random.Random(5), resolve("vignettes", "renderer"), [], {}, []
    for seed in range(6):
        scene = dataclasses.replace(random_scene(rng), style="flat illustration", weather="clear")
        picture = draw(scene, seed)
        pictures[pixel_digest(picture)] = picture
        settings = advised("vignettes").but(strength=0.5, steps=12)
        text = plain_caption(scene)
        jobs.append(
            Job(phrase=text, prompt=text, seed=seed, settings=settings, model=model, source=pixel_digest(picture))
        )
        mask = draw(scene, seed, finish=lambda canvas, *_: canvas.mask(SUBJECT).resize((128, 128)))
        truth.append((scene, np.asarray(mask) > 127))
    return list(zip(heat(jobs, device="cpu", pictures=pictures), truth, strict=True))


def area_under_curve(values, mask):
    """How often a pixel of the subject has more than one of the rest."""
    ranks, inside = rankdata(values), mask.ravel()
    own = inside.sum()
    return (ranks[inside].sum() - own * (own + 1) / 2) / (own * (~inside).sum())


def test_the_words_for_the_subject_and_its_colour_light_it_up_and_the_place_lights_up_the_rest(known):
    found = {"subject": [], "colour": [], "place": []}
    hits = []
    for item, (scene, mask) in known:
        maps = item.maps()
        texts = [word.text for word in item.words]
        for name, said in (
            ("subject", scene.subject),
            ("colour", scene.colour),
            ("place", WORDINGS["place"][scene.place][0]),
        ):
            spoken = [maps[texts.index(word)] for word in said.split()]
            found[name].append(area_under_curve(sum(spoken).ravel(), mask))
            if name == "subject":
                hits.append(mask.ravel()[sum(spoken).argmax()])
    assert np.mean(found["subject"]) > 0.93 and np.mean(found["colour"]) > 0.93
    assert np.mean(found["place"]) < 0.4
    assert np.mean(hits) > 0.8


def drawn(figure):
    """The words of a figure, which must be drawn without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Image.open(io.BytesIO(figure.png())).width > 300
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_figures_show_every_word_as_it_is(heats):
    said = drawn(word_figures.word_maps(heats[0]))
    assert all(f"{word.text} " in said for word in heats[0].words)
    assert "$ea" in drawn(word_figures.maps_by_step(heats[0], ["$ea"])) and "cat" not in drawn(
        word_figures.maps_by_step(heats[0], ["$ea"])
    )
    assert "steps 3-3" not in drawn(word_figures.maps_by_step(heats[0]))
    for block in ("down 1, 4 x 4", "middle, 4 x 4", "up 0, 4 x 4"):
        assert block in drawn(word_figures.maps_by_layer(heats[0]))
    said = drawn(word_figures.who_drew(heats))
    assert f"GPT-2 {heats[0].added_share:.0%}" in said and "GPT-2 0%" in said and "the phrase 100%" in said


def test_a_sheet_of_many_words_says_how_many_it_left_out(tiny_sd):
    text = " ".join("abcdefghijklmnopqrstuvwxyz")
    [item] = heat([job(text, "a b", resolve(str(tiny_sd), "renderer"))], device="cpu")
    assert "The 23 of 26 words" in drawn(word_figures.word_maps(item))


def test_the_heat_of_a_study_asks_above_an_amount_and_is_strict_as_the_study(tiny_sd, tmp_path):
    how = {"settings": Settings(width=64, height=64, steps=2, guidance_scale=1.0), "model": str(tiny_sd)}
    plain, strict = (
        synth.study(prompts=["a cat"], seeds=2, out=tmp_path, strict=strict, progress=False, **how)
        for strict in (False, True)
    )
    first, second = (list(study_heat(study, progress=False)) for study in (plain, strict))
    assert len(first) == 2
    for a, b in zip(first, second, strict=True):
        assert np.allclose(a.shares(), b.shares(), atol=1e-3)
        light = a.without_maps()
        assert light.attention.maps == () and np.array_equal(light.shares(), a.shares())
        assert light.added_share == a.added_share and light.on_words == a.on_words
    many = Study(plain.folder, dataclasses.replace(plain.plan, seeds=tuple(range(201))), plain.expansion, plain.created)
    with pytest.raises(InputError, match="201 pictures and takes about"):
        study_heat(many)
