"""Attribute accuracy counts what a text names, and nothing else."""

import pytest

from synth.measure.attributes import accuracy

READING = {
    "subject": "castle", "colour": "red", "place": "sea", "time": "night", "weather": "clear", "style": "neon",
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), [
    ("a red castle by the sea", 1),
    ("a red castle in the forest at night", 3 / 4),
    ("a green cat", 0),
    ("a red or green castle", 1),
    ("my uncle's portrait", None),
    ("", None),
])  # fmt: skip
def test_the_share_of_what_is_named(text, value):
    assert accuracy(text, READING) == value
