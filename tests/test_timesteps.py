"""Which timesteps a text names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import InputError
from synth.jobs import Settings
from synth.timesteps import check_respacing, check_sigmas, check_timesteps, count, visited


def test_sections_are_spread_as_in_glide():
    steps = visited("10,10,3,2,2", 1000)
    assert len(steps) == count("10,10,3,2,2") == 27
    assert steps[::-1] == [
        0, 22, 44, 66, 88, 111, 133, 155, 177, 199, 200, 222, 244, 266, 288, 311, 333, 355, 377, 399,
        400, 500, 599, 600, 799, 800, 999,
    ]  # fmt: skip
    assert visited("fast27", 1000) == [997, *steps[1:]]


def test_strides_are_whole():
    assert visited("ddim50", 1000) == list(range(980, -1, -20))
    with pytest.raises(InputError, match="no whole stride through 1000"):
        visited("ddim600", 1000)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(100, 1000))
def test_as_many_are_visited_as_were_asked_for_and_they_fall(sections, total):
    respacing = ",".join(map(str, sections))
    steps = visited(respacing, total)
    assert len(steps) == count(respacing)
    assert sorted(set(steps), reverse=True) == steps
    assert set(steps) <= set(range(total))


def test_a_part_cannot_have_more_than_it_has():
    with pytest.raises(InputError, match="each of its 2 parts has only 50"):
        visited("51,1", 100)


@given(st.lists(st.integers(0, 999), max_size=30, unique=True))
def test_timesteps_survive_as_text(steps):
    steps = sorted(steps, reverse=True)
    assert check_timesteps(check_timesteps(steps)) == check_timesteps(steps) == ",".join(map(str, steps))


@given(st.one_of(st.text(max_size=20), st.integers(), st.lists(st.floats(), max_size=4)))
def test_anything_else_is_one_clear_error(value):
    for name, check in (("respacing", check_respacing), ("timesteps", check_timesteps), ("sigmas", check_sigmas)):
        try:
            assert check(check(value)) == check(value)
        except InputError as error:
            assert str(error).startswith(f"{name}: ")


def test_what_is_visited_decides_how_many_steps_there_are():
    assert Settings(respacing="fast27").steps == 27
    assert Settings(timesteps=[999, 500, 20]) == Settings(timesteps="999 500 20", steps=50)
    assert Settings(sigmas="14.6, 3, 0.1").steps == 3
    with pytest.raises(InputError, match="give either it or respacing"):
        Settings(respacing="fast27", sigmas="3,1")
