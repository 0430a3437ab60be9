"""Drift: similarities as CLIP has them, and flags for what lost the phrase, and for nothing else."""

import dataclasses
import random

import numpy as np
import pytest
from made_up_studies import fill_study, make_study

from synth.explain.drift import drift, drift_rows, unrelated
from synth.explain.studied import jobs_of
from synth.journal import Journal
from synth.measure.clip import Clip
from synth.records.pictures import save_picture
from synth.records.plans import make_plan
from synth.vignettes.attributes import random_scene
from synth.vignettes.captions import parse, prompt
from synth.vignettes.world import draw
from synth.writing.prompts import Expansion, Prompt

PHRASE = "a red lighthouse"
KEPT = [" at sunset, in the rain", " by the sea, watercolor", " in the forest at night, neon"]


def fill(study, texts):
    """Draw what the texts say in the place of the study's plain pictures."""
    rng = random.Random(0)
    with Journal(study.folder) as journal:
        for index, text in enumerate(texts):
            said = {name: values[0] for name, values in parse(text).values.items()}
            for job in jobs_of(study, index):
                scene = dataclasses.replace(random_scene(rng), **said)
                save_picture(draw(scene, job.seed), journal.picture_path(job), job, {})
    return study


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Three prompts that keep the phrase, of which the last one's pictures show something else."""
    folder = tmp_path_factory.mktemp("drift") / "s"
    study = make_study(folder, PHRASE, KEPT, seeds=range(3))
    return drift(fill(study, [PHRASE + KEPT[0], PHRASE + KEPT[1], "a green car in the forest at night, neon"]))


def test_similarities_are_the_cosines(found):
    clip = Clip.load()
    phrase, text = clip.embed_texts([PHRASE, PHRASE + KEPT[0]])
    assert found.frame["phrase_prompt"][0] == pytest.approx(float(phrase @ text), abs=1e-5)
    assert len(found.frame) == 9 and found.clip == clip.identity


def test_the_limit_is_what_95_percent_of_unrelated_texts_stay_below(found):
    clip = Clip.load()
    prompt_text = PHRASE + KEPT[0]
    others = clip.embed_texts(unrelated(f"{PHRASE} {prompt_text}")) @ clip.embed_texts([prompt_text])[0]
    assert np.mean(others < found.frame["prompt_limit"][0]) == pytest.approx(0.95, abs=0.006)


def test_pictures_of_something_else_are_flagged_and_others_are_not(found):
    table = found.table()
    assert table["prompt_lost"].tolist() == [False, False, False]
    assert table["picture_lost"].tolist() == [False, False, True]


def test_prompts_that_are_about_something_else_are_flagged(tmp_path):
    rng = random.Random(1)
    texts = [prompt(dataclasses.replace(random_scene(rng), subject="horse", colour="green"), rng) for _ in range(8)]
    plan = make_plan(PHRASE, prompts=[PHRASE + " at noon", *texts], seeds=1)
    prompts = tuple(Prompt(text=text, phrase=PHRASE) for text in plan.prompts)
    study = fill(fill_study(tmp_path / "s", plan, Expansion(phrase=PHRASE, prompts=prompts)), plan.prompts)
    lost = drift(study).table()["prompt_lost"]
    assert not lost[0] and lost[1:].mean() > 0.7


def test_unrelated_texts_share_no_word():
    texts = unrelated("a red lighthouse at sunset, in the rain")
    assert len(texts) == 200 and texts == unrelated("a red lighthouse at sunset, in the rain")
    assert not any(word in text.split() for text in texts for word in ("red", "lighthouse", "sunset", "rain"))
    assert len(unrelated(" ".join(unrelated("")) * 5)) > 0


def test_the_figure_marks_what_is_lost(found):
    figure = drift_rows(found)
    figure.png()
    lost = [[text.get_text() for text in axes.texts].count("lost") for axes in figure.axes]
    assert lost == [0, 1, 0]
    assert "1  at sunset, in the rain" in [label.get_text() for label in figure.axes[0].get_yticklabels()]
