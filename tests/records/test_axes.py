"""Axes: every text is an axis or one clear error, and what an axis says of a job is what the job becomes."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import InputError
from synth.jobs import Job, ModelRef, Settings
from synth.records.axes import NAMES, SETTINGS, Axis, at, cells, check_axes, parse_values, split

JOB = Job(phrase="a red house", prompt="a red house, red sky", seed=7, settings=Settings(), model=ModelRef(name="m"))
NUMERIC = [name for name, kind in SETTINGS.items() if kind in (int, float)]


@pytest.mark.parametrize(("text", "values"), [
    ("guidance_scale=1,3,5", (1.0, 3.0, 5.0)),
    (" guidance-scale = 1, 3.5 ", (1.0, 3.5)),
    ("steps=10:50:10", (10, 20, 30, 40, 50)),
    ("steps=10:49:10", (10, 20, 30, 40)),
    ("steps=50:10:-20", (50, 30, 10)),
    ("steps=1e1:3e1:1e1", (10, 20, 30)),
    ("guidance_scale=0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
    ("scheduler=ddim,euler", ("ddim", "euler")),
    ("scheduler=ddim | euler", ("ddim", "euler")),
    ("negative_prompt=none | dark, blurry", ("", "dark, blurry")),
    ("respacing=10,10 | ddim50", ("10,10", "ddim50")),
    ("postprocess=none | sharpen=0.5", ("", "sharpen=0.5")),
    ("size=128x128,256x128", ("128x128", "256x128")),
    ("model=a/b,c", ("a/b", "c")),
    ("prompt_part=red | blue | none", ("red", "blue", "")),
])  # fmt: skip
def test_texts_become_values(text, values):
    axis = Axis.parse(text)
    assert axis.values == values
    assert [type(value) for value in axis.values] == [type(value) for value in values]


@pytest.mark.parametrize(("text", "message"), [
    ("", "give a name and its values"),
    ("steps", "give a name and its values"),
    ("foo=1,2", "did you mean"),
    ("steps=", "give a number between the commas"),
    ("steps=5", "at least two values"),
    ("steps=5,,6", "give a number between the commas"),
    ("steps=5,five", "give numbers"),
    ("steps=5.5,6", "give numbers"),
    ("steps=5,5", "each value of an axis once"),
    ("guidance_scale=1,1.0", "each value of an axis once"),
    ("steps=0,5", "from 1 to 1,000"),
    ("guidance_scale=nan,1", "from 0 to 50"),
    ("guidance_scale=inf,1", "from 0 to 50"),
    ("steps=1:5", "give numbers"),
    ("steps=5:1:1", "2 to 10,000 values"),
    ("steps=1:5:0", "first:last:step"),
    ("steps=a:5:1", "first:last:step"),
    ("steps=nan:5:1", "first:last:step"),
    ("steps=inf:5:1", "2 to 10,000 values"),
    ("steps=1:1e999999:1", "2 to 10,000 values"),
    ("guidance_scale=1e999999:1:1e-999999", "first:last:step"),
    ("guidance_scale=0:50:0.001", "2 to 10,000 values"),
    ("scheduler=ddim,ddmi", "did you mean 'ddim'"),
    ("negative_prompt=dark,blurry", "at least two values"),
    ("negative_prompt=dark | ", '"none" for an empty text'),
    ("prompt_part=none | red", "begin with the text"),
    ("size=128,256", "768x512"),
    ("size=128x130,256x128", "multiple of 8"),
])  # fmt: skip
def test_what_is_no_axis_is_one_clear_error(text, message):
    with pytest.raises(InputError, match=message):
        Axis.parse(text)


@given(st.text(max_size=40) | st.builds("{}={}".format, st.sampled_from(NAMES), st.text(max_size=30)))
def test_any_text_is_an_axis_or_an_input_error(text):
    try:
        axis = Axis.parse(text)
    except InputError:
        return
    assert axis.name in NAMES and len(axis.values) >= 2


@given(st.sampled_from(NUMERIC), st.text("0123456789.,:-+e|naif ", max_size=20))
def test_any_numbers_are_an_axis_or_an_input_error(name, values):
    try:
        axis = Axis.parse(f"{name}={values}")
    except InputError:
        return
    assert all(isinstance(value, SETTINGS[name]) for value in axis.values)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=30, unique=True))
def test_whole_numbers_are_read_as_they_were_written(values):
    assert Axis.parse(f"steps={','.join(map(str, values))}").values == tuple(values)


@given(st.integers(1, 400), st.integers(1, 7), st.integers(1, 80))
def test_ranges_hold_their_ends(first, step, gaps):
    values = parse_values("steps", f"{first}:{first + step * gaps}:{step}", int)
    assert values == list(range(first, first + step * gaps + 1, step))


@given(st.lists(st.floats(0, 50), min_size=2, max_size=10, unique_by=lambda value: f"{value:.10g}"))
def test_labels_of_numbers_tell_them_apart(values):
    axis = Axis("guidance_scale", tuple(values))
    assert len({axis.label(place) for place in range(len(values))}) == len(values)


def test_ten_thousand_values_are_checked_and_repeated_ones_found_quickly():
    values = tuple(float(number) / 1000 for number in range(10_000))
    assert len(Axis("guidance_scale", values).values) == 10_000
    with pytest.raises(InputError, match="each value of an axis once"):
        Axis("guidance_scale", (*values, 5.0))


def test_settings_change_and_nothing_else_does():
    changed = Axis.parse("guidance_scale=1,7.5").changed(JOB, 1)
    assert changed.settings == JOB.settings.but(guidance_scale=7.5)
    assert dataclasses.replace(changed, settings=JOB.settings) == JOB
    wide = Axis.parse("size=128x128,256x192").changed(JOB, 1)
    assert (wide.settings.width, wide.settings.height) == (256, 192)


def test_a_part_of_the_prompt_is_replaced_wherever_it_is_and_the_first_value_is_the_prompt_itself():
    axis = Axis.parse("prompt_part=red | blue | none")
    assert axis.changed(JOB, 0) == JOB
    assert axis.changed(JOB, 1).prompt == "a blue house, blue sky" and axis.changed(JOB, 1).phrase == "a blue house"
    assert axis.changed(JOB, 2).prompt == "a  house,  sky"
    with pytest.raises(InputError, match="every prompt contains"):
        Axis.parse("prompt_part=green | blue").changed(JOB, 1)


def test_weights_of_loras_are_set_together():
    job = dataclasses.replace(JOB, model=ModelRef(name="m", loras=(("a", 1.0), ("b", 0.5))))
    assert Axis.parse("lora_weight=0,0.25").changed(job, 1).model.loras == (("a", 0.25), ("b", 0.25))


def test_cells_run_through_the_last_axis_fastest_and_axes_differ():
    axes = check_axes(["steps=5,10", "scheduler=ddim,euler"])
    assert cells(axes) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    job = at(JOB, axes, (1, 1))
    assert (job.settings.steps, job.settings.scheduler) == (10, "euler")
    assert cells(()) == [()]
    with pytest.raises(InputError, match="each axis once"):
        check_axes(["steps=5,10", "steps=6,7"])


@given(st.sampled_from(["steps", "guidance-scale", "seed"]), st.sampled_from("=:"), st.text(max_size=9))
def test_a_name_and_its_values_are_told_apart_by_the_first_sign(name, sign, values):
    assert split(f" {name} {sign}{values}") == (name.replace("-", "_"), values)
    assert split(name) == (name.replace("-", "_"), None)


def test_values_with_signs_of_their_own_are_whole():
    assert Axis.parse("postprocess: sharpen=1 | none").values == ("sharpen=1", "")
    assert Axis.parse("steps: 10:30:10") == Axis.parse("steps=10:30:10")
