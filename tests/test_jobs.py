import json
import pickle
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import InputError
from synth.jobs import (
    PRECISIONS,
    SCHEDULERS,
    ExpansionSettings,
    Job,
    ModelRef,
    Settings,
    canonical_json,
    check_text,
    content_key,
    nearest,
)

texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).filter(str.strip)
seeds = st.integers(0, 2**63 - 1)
settings = st.builds(
    Settings,
    negative_prompt=st.one_of(st.just(""), texts),
    scheduler=st.sampled_from(SCHEDULERS),
    steps=st.integers(1, 1000),
    guidance_scale=st.floats(0, 50),
    guidance_rescale=st.floats(0, 1),
    eta=st.floats(0, 1),
    guidance_interval=st.sampled_from(("", "0.2-0.9", "0-0.5")),
    precision=st.sampled_from(PRECISIONS),
    width=st.integers(8, 512).map(lambda size: size * 8),
    height=st.integers(8, 512).map(lambda size: size * 8),
)
models = st.builds(
    ModelRef,
    name=texts,
    revision=st.one_of(st.none(), st.text(string.hexdigits, min_size=40, max_size=40)),
    loras=st.lists(st.tuples(texts, st.floats(-2, 2)), max_size=2).map(tuple),
)
jobs = st.builds(Job, phrase=texts, prompt=texts, seed=seeds, settings=settings, model=models)


def a_job(**changes) -> Job:
    values = {
        "phrase": "a house",
        "prompt": "a house, at dusk",
        "seed": 1,
        "settings": Settings(),
        "model": ModelRef(name="m"),
    }
    return Job(**values | changes)


@given(jobs)
def test_a_job_survives_json(job):
    again = Job.from_dict(json.loads(json.dumps(job.as_dict())))
    assert again == job
    assert again.key == job.key


@given(jobs, jobs)
def test_equal_keys_mean_equal_jobs(one, other):
    assert (one.key == other.key) == (one == other)


@given(jobs, seeds)
def test_every_field_is_in_the_key(job, seed):
    changed = [
        replace(job, phrase=job.phrase + "!"),
        replace(job, prompt=job.prompt + "!"),
        replace(job, seed=(job.seed + 1) % 2**63),
        replace(job, settings=job.settings.but(steps=job.settings.steps % 1000 + 1)),
        replace(job, model=replace(job.model, digest="sha256:0")),
    ]
    assert job.key not in {other.key for other in changed}
    assert len({other.key for other in changed}) == len(changed)


def test_the_key_never_changes_between_versions():
    """Otherwise every study on every disk would be rendered again: if this fails, undo what you did."""
    assert (
        a_job(settings=Settings(guidance_scale=5)).key
        == "c005e6ab16328146ff52f5673942a288a3353afa96d441d5e1610c1ee59571d9"
    )


def test_weights_with_a_digest_are_the_same_wherever_they_lie():
    def key(folder, digest, lora):
        return a_job(model=ModelRef(name=f"{folder}/m", digest=digest, loras=((f"{folder}/l#{lora}", 0.5),))).key

    assert key("/here", "sha256:1", "sha256:2") == key("/there", "sha256:1", "sha256:2")
    assert key("/here", None, "sha256:2") != key("/there", None, "sha256:2")
    assert (
        len(
            {
                key("/here", *pins)
                for pins in [("sha256:1", "sha256:2"), ("sha256:1", "sha256:3"), ("sha256:3", "sha256:2")]
            }
        )
        == 3
    )
    assert key("/here", "sha256:1", "4" * 40) != key("/there", "sha256:1", "4" * 40)  # a hub id and its commit


def test_numbers_that_are_equal_have_equal_keys():
    assert content_key([5, 0.0, {"x": 2.50}]) == content_key([5.0, -0.0, {"x": 2.5}])
    assert a_job(settings=Settings(guidance_scale=7)).key == a_job(settings=Settings(guidance_scale=7.0)).key


@given(st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_canonical_json_does_not_depend_on_order(data):
    assert canonical_json(data) == canonical_json(dict(reversed(data.items())))


def test_nan_has_no_canonical_json():
    with pytest.raises(ValueError):
        canonical_json(float("nan"))


@pytest.mark.parametrize(
    "text", ["1984", "nan", "{x}", "../..", "CON", "<script>", "مرحبا", "🏠", "line\nline", " spaces "]
)
def test_every_phrase_is_text(text):
    assert check_text("phrase", text) is text


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 10_000, "a\0b", "\x1b[31m", "\ud800", 1984, None, float("nan"), ["a"]]
)
def test_what_is_no_phrase_is_refused(text):
    with pytest.raises(InputError, match="^phrase: .* cannot be used; .+"):
        check_text("phrase", text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("steps", 1001), ("steps", 2.5), ("steps", True), ("width", 100), ("height", 56), ("width", 8192),
        ("guidance_scale", -1), ("guidance_scale", float("nan")), ("guidance_scale", "5"), ("guidance_rescale", 1.1),
        ("eta", float("inf")), ("scheduler", "eular"), ("negative_prompt", "x" * 2001), ("negative_prompt", None),
    ],
)  # fmt: skip
def test_settings_refuse_what_cannot_be_rendered(field, value):
    with pytest.raises(InputError, match=f"^{field}: "):
        Settings(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0), ("top_k", -1), ("top_p", 0), ("max_new_tokens", 3), ("pool", 0), ("diversity", 2),
        ("banned_words", "war"), ("banned_words", [""]), ("weave", "no"), ("template", 1),
    ],
)  # fmt: skip
def test_expansion_settings_refuse_what_cannot_be_drawn(field, value):
    with pytest.raises(InputError, match=f"^{field}: "):
        ExpansionSettings(**{field: value})


def test_a_size_error_names_the_sizes_beside_it():
    with pytest.raises(InputError, match="such as 96 or 104"):
        Settings(width=100)


def test_a_misspelt_scheduler_is_told_the_nearest():
    with pytest.raises(InputError, match="did you mean 'euler'"):
        Settings(scheduler="eular")
    assert nearest("dpm++2m-karas", SCHEDULERS) == "dpm++2m-karras"


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1"])
def test_seeds_are_whole_numbers_of_63_bits(seed):
    with pytest.raises(InputError, match="^seed: "):
        a_job(seed=seed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data | {"colour": "red"},
        lambda data: {name: value for name, value in data.items() if name != "prompt"},
        lambda data: data | {"settings": {"stepz": 3}},
        lambda data: data | {"model": {}},
        lambda data: data | {"model": None},
        lambda data: [],
    ],
)
def test_a_description_that_is_no_job_is_refused(damage):
    with pytest.raises(InputError):
        Job.from_dict(damage(a_job().as_dict()))


def test_an_input_error_that_a_worker_sent_says_the_same():
    error = pickle.loads(pickle.dumps(InputError("steps", 0, "use 1 or more")))
    assert (error.field, error.value, error.remedy) == ("steps", 0, "use 1 or more")
    assert str(error) == "steps: 0 cannot be used; use 1 or more"
