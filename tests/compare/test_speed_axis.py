"""The axis "speed": what a model is advised to be used with, as one value of a sweep."""

import pytest

from synth.compare.sweeps import prepare
from synth.errors import InputError
from synth.jobs import Settings
from synth.presets import SPEEDS, advised
from synth.records.axes import OF_A_SPEED
from synth.records.plans import Plan, make_plan


def plan(**how) -> Plan:
    return make_plan(prompts=["a red house"], seeds=1, **how)


def test_each_value_has_the_settings_of_its_speed_and_keeps_all_others():
    own = advised("vignettes").but(negative_prompt="blurry", width=64)
    jobs = plan(settings=own, axes=["speed=exact,quality,fast"]).jobs(["a red house"])
    for job, speed in zip(jobs, SPEEDS, strict=True):
        advice = advised("vignettes", speed)
        assert job.settings == own.but(**{name: getattr(advice, name) for name in OF_A_SPEED})


def test_a_speed_differs_from_the_others_in_nothing_but_what_the_axis_changes():
    for speed in SPEEDS:
        changed = {name: getattr(advised("vignettes", speed), name) for name in OF_A_SPEED}
        assert advised("vignettes", speed) == Settings().but(**changed)


def test_a_plan_with_speeds_is_the_same_after_it_was_written_and_another_without():
    made = plan(axes=["speed=quality,fast"])
    assert Plan.from_dict(made.as_dict()) == made
    assert Plan.from_dict(made.as_dict()).key == made.key != plan(axes=["speed=exact,fast"]).key


@pytest.mark.parametrize("given", ["speed=exact,fats", "speed=exact", "speed=exact,exact"])
def test_what_is_no_speed_is_refused_by_name(given):
    with pytest.raises(InputError, match="speed"):
        prepare(prompts=["a red house"], x=given)


def test_a_model_without_measured_speeds_has_no_such_axis(tiny_sd):
    with pytest.raises(InputError, match="nobody measured speeds"):
        plan(model=str(tiny_sd), axes=["speed=exact,fast"])
