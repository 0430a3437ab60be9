"""Parameters of the report: what the notebook declares, which values fit, and what the study is called with."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import InputError
from synth.jobs import ExpansionSettings, Settings
from synth.layout.parameters import Parameter, check_parameters, declared, parse_lora, parse_parameters, study_arguments
from synth.presets import advised
from synth.reporting import MAIN, notebook_path

KNOWN = declared(notebook_path(MAIN))
DEFAULTS = {name: parameter.default for name, parameter in KNOWN.items()}


def test_every_setting_is_a_parameter_with_the_librarys_default():
    for field in fields(ExpansionSettings):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        assert KNOWN[field.name].default == default
    for field in fields(Settings):
        assert KNOWN[field.name].default in (None, field.default)


def test_types_are_read_from_the_annotations():
    assert KNOWN["phrase"] == Parameter("phrase", "str", False, False, "a red lighthouse at sunset")
    assert KNOWN["prompts"] == Parameter("prompts", "str", True, False, [])
    assert KNOWN["steps"] == Parameter("steps", "int", False, True, None)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("stpes", 20, "did you mean 'steps'"),
        ("n", "4", "whole number"),
        ("n", 4.0, "whole number"),
        ("n", True, "whole number"),
        ("temperature", "hot", "give a number"),
        ("weave", 1, "true or false"),
        ("phrase", 1984, "papermill, -r"),
        ("prompts", "one text", "list"),
        ("prompts", ["a", 2], "give a text"),
        ("steps", "20", "whole number"),
    ],
)
def test_unknown_and_ill_typed_values_are_errors_that_help(name, value, says):
    with pytest.raises(InputError, match=says):
        check_parameters({name: value}, KNOWN)


def test_fitting_values_pass_unchanged():
    values = {"n": 2, "temperature": 1, "steps": None, "prompts": ("a", "b"), "phrase": "nan", "weave": True}
    assert check_parameters(values, KNOWN) == values | {"prompts": ["a", "b"]}


@given(st.text())
def test_a_phrase_from_text_stays_as_it_is(text):
    assert parse_parameters({"phrase": text}, KNOWN) == {"phrase": text}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("phrase", "1984", "1984"),
        ("phrase", "nan", "nan"),
        ("phrase", "{x}", "{x}"),
        ("n", "4", 4),
        ("guidance_scale", "7.5", 7.5),
        ("steps", "none", None),
        ("weave", "Yes", True),
        ("prompts", "a cat, drawn\na dog\n", ["a cat, drawn", "a dog"]),
        ("prompts", '["a", "b"]', ["a", "b"]),
    ],
)
def test_texts_become_values(name, text, value):
    assert parse_parameters({name: text}, KNOWN) == {name: value}


@pytest.mark.parametrize(
    ("name", "text"), [("n", "four"), ("n", "4.5"), ("n", ""), ("weave", "perhaps"), ("banned_words", "7")]
)
def test_texts_that_do_not_fit_are_errors(name, text):
    with pytest.raises(InputError, match=name):
        parse_parameters({name: text}, KNOWN)


def test_settings_are_those_given_and_otherwise_the_models():
    arguments = study_arguments(**DEFAULTS | {"steps": 7, "diversity": 0.9, "banned_words": ["fog"]})
    assert arguments["settings"] == advised("vignettes").but(steps=7)
    assert study_arguments(**DEFAULTS | {"speed": "exact"})["settings"] == Settings()
    assert arguments["expansion"] == ExpansionSettings(diversity=0.9, banned_words=("fog",))
    assert study_arguments(**DEFAULTS | {"model": "sd2"})["settings"].width == 768


def test_own_prompts_take_the_place_of_the_phrase():
    arguments = study_arguments(**DEFAULTS | {"prompts": ["a", "b"]})
    assert (arguments["phrase"], arguments["prompts"]) == (None, ["a", "b"])


def test_a_phrase_that_papermill_made_a_number_is_refused_with_advice():
    with pytest.raises(InputError, match="-r instead of -p"):
        study_arguments(**DEFAULTS | {"phrase": 1984})


def test_loras_have_weights():
    assert parse_lora("a=b.safetensors=0.5") == ("a=b.safetensors", 0.5)
    assert parse_lora("someone/ink") == ("someone/ink", 1.0)
    with pytest.raises(InputError, match="give a number"):
        parse_lora("ink=strong")


def test_loras_reach_the_study():
    assert study_arguments(**DEFAULTS | {"loras": ["ink.safetensors=0.5"]})["loras"] == (("ink.safetensors", 0.5),)
