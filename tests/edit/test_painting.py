"""Drawing over pictures, and two wordings at equal noise: on models of both shapes."""

import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from synth.edit.figures import before_after, enlargement, outlined, wordings
from synth.edit.painting import before_after_path, fitting, paint
from synth.edit.provenance import Edited, Step
from synth.edit.wording import FIGURE, PAGE, compare_wordings, pairs
from synth.errors import InputError, StudyError
from synth.jobs import ModelRef, Settings
from synth.journal import NAME
from synth.records.pictures import pixel_digest
from synth.records.sources import read_source
from synth.studies import study

FAST = Settings(width=64, height=64, steps=3, strength=0.7)


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.sampled_from([128, 512, 768, 1024]))
def test_sizes_follow_the_picture_with_as_many_pixels_as_the_model_likes(width, height, native):
    settings = fitting(Settings(width=native, height=native), (width, height))
    assert settings.width % 8 == settings.height % 8 == 0
    assert 0.85 < settings.width * settings.height / native**2 < 1.2
    ratio = min(max(width / height, 0.25), 4)
    assert abs(settings.width - native * ratio**0.5) <= 4.01
    assert abs(settings.height - native / ratio**0.5) <= 4.01


def test_a_square_keeps_the_native_size():
    assert fitting(Settings(width=768, height=768), (31, 31)) == Settings(width=768, height=768)


@pytest.mark.parametrize("name", ["tiny_sd", "tiny_sdxl"])
def test_a_picture_is_drawn_over_and_the_figure_shows_it(request, photo, name):
    model = str(request.getfixturevalue(name))
    mask = photo.with_name("mask.png")
    Image.fromarray(np.arange(60 * 44).reshape(44, 60) % 60 > 29).save(mask)
    painted = paint(photo, ["a cat", "a dog"], mask=mask, settings=FAST, model=model, seeds=2, progress=False)
    assert painted.counts["done"] == 4
    source = read_source(photo, 64, 64)
    assert set(painted.frame()["source"]) == {pixel_digest(source)}
    made = np.asarray(Image.open(painted.folder / painted.frame()["path"][0]))
    assert np.array_equal(made[:, :20], np.asarray(source)[:, :20]), "what the mask protects stays"
    assert not np.array_equal(made[:, 40:], np.asarray(source)[:, 40:])
    with Image.open(before_after_path(painted)) as figure:
        assert figure.width > 600


def test_the_size_follows_the_picture_unless_it_is_told(photo, tiny_sd):
    wide = paint(photo, ["a cat"], model=str(tiny_sd), seeds=1, progress=False)
    job = wide.jobs[0]
    assert job.settings.width > job.settings.height
    assert job.settings.width % 8 == job.settings.height % 8 == 0


def test_a_mask_of_another_size_is_refused(photo, tmp_path):
    Image.new("L", (8, 8), 255).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="mask: '8 x 8' cannot be used; give a mask of the source's size, 60 x 44"):
        paint(photo, ["a cat"], mask=tmp_path / "mask.png")


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("a cat")
    with pytest.raises(InputError, match="source: .*notes.txt' cannot be used; give a picture that can be read"):
        paint(tmp_path / "notes.txt", ["a cat"])


def test_a_study_over_nothing_has_no_before(tiny_sd):
    plain = study(prompts=["a cat"], seeds=1, model=str(tiny_sd), settings=FAST, progress=False)
    with pytest.raises(StudyError, match="is drawn over no picture"):
        before_after(plain)


@pytest.mark.parametrize("name", ["tiny_sd", "tiny_sdxl"])
def test_two_wordings_share_their_noise(request, name):
    model = str(request.getfixturevalue(name))
    made = compare_wordings("a red cat", "a blue cat", model=model, seeds=2, settings=FAST, progress=False)
    found = pairs(made)
    assert [pair.label for pair in found.pairs] == ["seed 0", "seed 1"]
    assert all(pair.a["seed"] == pair.b["seed"] for pair in found.pairs)
    assert found.differences() == [("phrase", "a red cat", "a blue cat"), ("prompt", "a red cat", "a blue cat")]
    assert Image.open(made.folder / FIGURE).width > 600
    page = (made.folder / PAGE).read_text()
    assert "a red cat" in page.replace("<mark>", "").replace("</mark>", "")


def test_a_wording_compared_with_itself_is_refused():
    with pytest.raises(InputError, match="prompts: 'a cat' cannot be used; give two that differ"):
        compare_wordings("a cat", "a cat")


def test_two_wordings_have_no_axes():
    with pytest.raises(InputError, match="axes: .* cannot be used; leave them out: `synth compare`"):
        compare_wordings("a cat", "a dog", axes=["steps=2,3"], model="no-such-model")


def test_a_picture_that_is_not_rendered_yet_is_an_empty_place(photo, tiny_sd):
    whole = paint(photo, ["a cat"], settings=FAST, model=str(tiny_sd), seeds=2, progress=False)
    with sqlite3.connect(whole.folder / NAME) as database:
        database.execute("DELETE FROM pictures WHERE seed = 1")
    database.close()
    assert before_after(whole).png().startswith(b"\x89PNG")


def test_without_a_single_pair_nothing_is_drawn():
    from synth.compare.pairs import Comparison

    with pytest.raises(StudyError, match="no picture was rendered of both prompts: seed 0: black"):
        wordings(Comparison(("a", "b"), (), ("seed 0: black",)), ("a", "b"))


def test_a_mask_s_border_is_drawn_and_nothing_else():
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    seen = np.asarray(outlined(Image.new("RGB", (64, 64)), mask)).any(axis=2)
    assert seen[15, 16:48].all()
    assert not seen[17:47, 17:47].any()
    assert not seen[:14].any()


def test_an_enlargement_is_shown_beside_bicubic():
    small, large = (Edited(Image.new("RGB", (side, side)), "") for side in (32, 64))
    figure = enlargement(small, small.after(large.image, Step(model=ModelRef(name="a model"), scale=2)))
    assert figure.png().startswith(b"\x89PNG")
