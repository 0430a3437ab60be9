from dataclasses import fields

import pytest
from pydantic import ValidationError

from synth.errors import InputError
from synth.jobs import ExpansionSettings, Settings
from synth.presets import advised
from synth.records.plans import make_plan
from synth.serve.asks import BOUNDS, ExpansionChanges, RenderAsk, SettingsChanges, StudyAsk, plan_of
from synth.serve.catalogue import Catalogue
from synth.serve.limits import Limits


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue()


def plan(ask, catalogue):
    return plan_of(ask, catalogue, None, None)


def test_the_fields_are_those_of_the_package():
    assert set(SettingsChanges.model_fields) == {item.name for item in fields(Settings)}
    assert set(ExpansionChanges.model_fields) == {item.name for item in fields(ExpansionSettings)}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_of_the_schema_are_those_that_the_package_checks(name):
    cls = Settings if name in SettingsChanges.model_fields else ExpansionSettings
    step = 8 if name in ("width", "height") else 1 if isinstance(getattr(cls(), name), int) else 0.001
    for value, beyond in zip(BOUNDS[name], (-step, step), strict=True):
        assert getattr(cls(**{name: value}), name) == value
        with pytest.raises(InputError):
            cls(**{name: value + beyond})


def test_a_request_is_the_plan_that_the_library_makes(catalogue):
    ask = StudyAsk(phrase=" a red house ", n=2, seeds=[3, 1], settings={"steps": 5}, expansion={"diversity": 0.9})
    assert plan(ask, catalogue) == make_plan(
        "a red house",
        n=2,
        seeds=[3, 1],
        settings=advised("vignettes").but(steps=5),
        expansion=ExpansionSettings(diversity=0.9),
    )
    fast = StudyAsk(phrase="a red house", speed="fast")
    assert plan(fast, catalogue).settings == advised("vignettes", "fast")
    own = RenderAsk(prompts=["a", "b"], phrase="x", seeds=2, seed=7, axes=["guidance_scale=1,3"])
    made = make_plan("x", prompts=["a", "b"], seeds=2, seed=7, axes=["guidance_scale=1,3"])
    assert plan(own, catalogue).key == made.key


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": "5"}, {"steps": True}, {"steps": 5.5}, {"model": 1}, {"settings": {"step": 5}}, {"n": None},
        {"loras": []}, {"out": "/tmp"}, {"seeds": "3"}, {"settings": []}, {"source": "../x"},
    ],
)  # fmt: skip
def test_wrong_types_and_names_are_refused(changes):
    with pytest.raises(ValidationError):
        StudyAsk(phrase="a", **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"settings": {"steps": 0}}, "^steps: 0 cannot be used; use a whole number from 1 to 1,000$"),
        ({"settings": {"scheduler": "eular"}}, "did you mean 'euler'"),
        ({"model": "/etc"}, "^model: '/etc' cannot be used; .*One of: vignettes$"),
        ({"model": "sd2"}, "One of: vignettes"), ({"expander": "gpt2"}, "^expander: .*vignettes-gpt2"),
        ({"model": "vignettes-gpt2"}, "^model: "), ({"axes": ["model=vignettes,sd2"]}, "^axis: 'model'"),
        ({"speed": "fats"}, "^speed: 'fats' .*did you mean 'fast'"),
        ({"axes": ["lora_weight=0,1"]}, "^axis: 'lora_weight'"), ({"phrase": "a\0"}, "^phrase: .*control character"),
        ({"phrase": "__../../etc/passwd__", "expansion": {"template": True}}, "of wildcards use only __subject__"),
        ({"phrase": "a __sub__subject__ject__", "expansion": {"template": True}}, "of wildcards use only"),
    ],
)  # fmt: skip
def test_bad_values_are_told_in_the_packages_words(catalogue, changes, says):
    with pytest.raises(InputError, match=says):
        plan(StudyAsk(**{"phrase": "a"} | changes), catalogue)


def test_speeds_can_be_compared(catalogue):
    [axis] = plan(StudyAsk(phrase="a", axes=["speed=exact,fast"]), catalogue).axes
    assert [settings.steps for settings in axis.settings] == [20, 3]


def test_the_bundled_wildcards_are_offered(catalogue):
    ask = StudyAsk(phrase="a {red|blue} __subject__", expansion={"template": True})
    assert plan(ask, catalogue).phrase == "a {red|blue} __subject__"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n": 51}, "^pictures: 102 .*at most 100"), ({"settings": {"steps": 101}}, "^steps: 101"),
        ({"settings": {"width": 2048, "height": 1024}}, "^size: '2048 x 1024' .*at most 1,048,576 pixels"),
        ({"axes": ["steps=10,200"], "n": 1}, "^steps: 200"), ({"settings": {"respacing": "ddim200"}}, "^steps: 200"),
        ({"axes": ["size=64x64,4096x4096"], "n": 1}, "^size: "),
    ],
)  # fmt: skip
def test_more_than_the_limits_is_refused(catalogue, changes, says):
    with pytest.raises(InputError, match=says):
        Limits().check(plan(StudyAsk(**{"phrase": "a", "seeds": 2} | changes), catalogue))
