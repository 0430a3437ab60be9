"""Two studies or pictures side by side: the right ones together, every difference told, and pixels compared exactly."""

import io
import re
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import stats

from synth.compare.difference import coloured, difference, gain, in_words, pair_figure
from synth.compare.pair_page import page
from synth.compare.pairs import JOB, compare
from synth.edit import provenance
from synth.edit.provenance import Step
from synth.errors import InputError, StudyError
from synth.jobs import Settings


@pytest.fixture
def two(make_sweep, tmp_path):
    """A sweep over guidance, and one over guidance and eta, with another scheduler, in which seed 2 failed."""
    one = make_sweep(tmp_path, x="guidance_scale=1,3")
    settings = Settings(width=64, height=64, scheduler="euler", negative_prompt="dark")
    other = make_sweep(
        tmp_path, x="guidance_scale=1,3", y="eta=0,1", settings=settings, failed=lambda job: job.seed == 2
    )
    return one.study, other.study


def test_studies_are_paired_by_prompt_seed_and_the_axes_of_both(two, tmp_path):
    a, b = two
    found = compare(a.name, b.name, tmp_path)
    assert len(found.pairs) == 2 * 2 * 2 * 2  # prompts, seeds that did not fail, guidance, eta
    for pair in found.pairs:
        for field in ("prompt", "seed", "guidance_scale"):
            assert pair.a[field] == pair.b[field]
    assert found.pairs[0].label == "prompt 1, seed 0, guidance scale 1"
    assert len(found.left_out) == 8 and found.left_out[0].endswith("out of memory")
    differences = found.differences()
    assert differences == [("negative_prompt", "none", "dark"), ("scheduler", "ddim", "euler"), ("eta", "0", "1")]


def test_other_prompts_are_paired_by_their_place(make_sweep, tmp_path):
    a = make_sweep(tmp_path, x="steps=1,2", prompts=["a red house", "a red boat"]).study
    b = make_sweep(tmp_path, x="steps=1,2", prompts=["a blue house", "a blue boat"]).study
    found = compare(a.folder, b.folder)
    assert {(pair.a["prompt"], pair.b["prompt"]) for pair in found.pairs} == {
        ("a red house", "a blue house"), ("a red boat", "a blue boat"),
    }  # fmt: skip
    assert ("prompt", "a red boat", "a blue boat") in found.differences()


def test_many_values_are_told_in_part(make_sweep, tmp_path):
    a = make_sweep(tmp_path, x="seed", y="prompt", prompts=[f"red {number}" for number in range(9)]).study
    b = make_sweep(tmp_path, x="seed", y="prompt", prompts=[f"blue {number}" for number in range(9)]).study
    rows = [row for row in compare(a.folder, b.folder).differences() if row[0] == "prompt"]
    assert len(rows) == 5 and rows[-1][1] == "and 5 more"


def test_measures_are_compared_pair_by_pair(two, tmp_path):
    rng = np.random.default_rng(0)
    for study in two:
        study.measure("sharpness", {job.key: float(rng.normal(10 * job.seed)) for job in study.jobs}, "x")
    found = compare(two[0].name, two[1].name, tmp_path)
    [(a, b, apart)] = found.measured()
    first = np.array([pair.a["sharpness"] for pair in found.pairs])
    second = np.array([pair.b["sharpness"] for pair in found.pairs])
    assert (a.value, b.value) == pytest.approx((first.mean(), second.mean()))
    expected = stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (apart.low, apart.high) == pytest.approx((expected.low, expected.high))


def test_pictures_are_compared_by_the_jobs_that_they_carry(two):
    a, b = (sorted((study.folder / "images").glob("*.png"))[0] for study in two)
    found = compare(a, b)
    [pair] = found.pairs
    assert found.names == (a.name, b.name) and found.measured() == []
    assert {"scheduler", "negative_prompt"} <= {field for field, _, _ in found.differences()}
    assert pair.pictures()[0].tobytes() == Image.open(a).convert("RGB").tobytes()
    assert compare(a, a).differences() == []


def test_what_cannot_be_compared_is_one_clear_error(two, make_sweep, tmp_path):
    a, b = two
    picture = next((a.folder / "images").glob("*.png"))
    with pytest.raises(InputError, match="two pictures or two studies"):
        compare(a.folder, picture)
    with pytest.raises(StudyError, match="did you mean"):
        compare(a.name, f"{b.name}x", tmp_path)
    with pytest.raises(StudyError, match="does not exist"):
        compare(picture, tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(StudyError, match="no whole PNG"):
        compare(picture, tmp_path / "text.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "foreign.png")
    with pytest.raises(StudyError, match="carries no Synth job"):
        compare(picture, tmp_path / "foreign.png")
    empty = make_sweep(tmp_path, x="steps=3,4", empty=True).study
    with pytest.raises(StudyError, match="no pictures yet"):
        compare(a.name, empty.name, tmp_path)
    seeds = make_sweep(tmp_path, x="seed=7,8", y="prompt", seeds=None).study
    with pytest.raises(InputError, match="seeds in common"):
        compare(a.name, seeds.name, tmp_path)
    large = make_sweep(tmp_path, x="steps=3,4", settings=Settings(width=72, height=64)).study
    with pytest.raises(InputError, match="64 x 64 and 72 x 64"):
        compare(a.name, large.name, tmp_path)
    with pytest.raises(InputError, match="64 x 64 and 72 x 64"):
        compare(picture, next((large.folder / "images").glob("*.png")))


def random_pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(0, 256, (2, 9, 7, 3), dtype=np.uint8))


def test_the_difference_is_of_the_channel_that_differs_most():
    a, b = random_pictures(0)
    found = difference(Image.fromarray(a), Image.fromarray(b))
    for y, x in np.ndindex(9, 7):
        assert found[y, x] == max(abs(int(one) - int(other)) for one, other in zip(a[y, x], b[y, x], strict=True))
    assert (found == difference(Image.fromarray(b), Image.fromarray(a))).all()


def test_the_gain_is_the_largest_that_spares_the_pixels():
    small = np.full((100, 100), 15, np.uint8)
    assert gain([small]) == 16 and gain([small * 0]) == 32
    small[:2] = 200  # 2% of the pixels
    assert gain([small]) == 16
    small[:5] = 200
    assert gain([small]) == 1
    assert gain([np.zeros((100, 100), np.uint8), np.full((100, 100), 60, np.uint8)]) == 4


def test_the_map_is_black_where_nothing_differs_and_brightest_from_the_scale_on():
    shown = np.asarray(coloured(np.array([[0, 16, 200]], np.uint8), 16))
    assert shown[0, 0].max() <= 4 and (shown[0, 1] == shown[0, 2]).all() and shown[0, 1].min() > 150


def test_differences_in_words():
    assert in_words(np.zeros((4, 4), np.uint8)) == "are equal in every pixel"
    half = np.zeros((4, 4), np.uint8)
    half[:2] = 20
    assert in_words(half) == "differ by 10 of 255 levels on average, 50% of the pixels by more than 8"


def test_the_figure_shows_both_pictures_and_a_scale(two, tmp_path):
    found = compare(two[0].name, two[1].name, tmp_path)
    figure = pair_figure(found.pairs[0], found.names)
    shown = [axes.images[0].get_array() for axes in figure.axes[:3]]
    assert (shown[0] == np.asarray(found.pairs[0].pictures()[0])).all()
    assert (shown[2] == difference(*found.pairs[0].pictures())).all()
    assert re.search("prompt 1, seed 0.*levels", figure.get_suptitle())
    assert Image.open(io.BytesIO(figure.png())).width > 900


def test_pictures_that_were_edited_are_compared_too(two, tmp_path):
    picture = sorted((two[0].folder / "images").glob("*.png"))[0]
    brighter = ImageEnhance.Brightness(Image.open(picture)).enhance(1.5)
    provenance.read(picture).after(brighter, Step(postprocess="contrast=1.2")).save(tmp_path / "after.png")
    found = compare(picture, tmp_path / "after.png")
    assert found.differences() == [("edited", "none", "contrast=1.2")]
    assert [shown.tobytes() for shown in found.pairs[0].pictures()] == [
        Image.open(picture).tobytes(),
        brighter.tobytes(),
    ]
    Image.new("RGB", (64, 64)).save(tmp_path / "foreign.png")
    provenance.read(tmp_path / "foreign.png").after(brighter, Step(postprocess="contrast=2")).save(
        tmp_path / "mine.png"
    )
    foreign = compare(tmp_path / "mine.png", picture)
    assert ("edited", "contrast=2", "none") in foreign.differences()
    assert ("seed", "unknown", str(foreign.pairs[0].b["seed"])) in foreign.differences()
    assert page(foreign).count("data:image/png") >= 3 and foreign.key != found.key


def test_every_setting_that_differs_is_told():
    assert {field.name for field in fields(Settings)} <= set(JOB)
