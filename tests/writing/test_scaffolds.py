import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.writing.scaffolds import SCAFFOLD, scaffold_for, tidy


@pytest.mark.parametrize(
    ("raw", "complete", "prose", "text"),
    [
        (" at sunset, oil painting", True, False, " at sunset, oil painting"),
        (" at sunset, oil pai", False, False, " at sunset"),
        (" at sunset by the sea, oil pai", False, False, " at sunset by the sea"),
        (" beside a wide old ri", False, False, " beside a wide old"),
        (" in the rain of the old", False, False, " in the rain"),
        (" at dusk,\nanother line", False, False, " at dusk"),
        ("\nanother line", True, False, ""),
        (" by the sea. A man walks", False, True, " by the sea"),
        (" by the sea. Fog.", True, False, " by the sea. Fog."),
        (" in 2.5 metres of snow, see https://x.y", True, True, " in 2.5 metres of snow, see"),
        (" at noon\x00 in\u2028fog", True, False, " at noon in"),
        (" at\tnoon ,, , \ufffdfog \ufffd", True, False, " at noon, fog"),
        (", ... (", True, False, ""),
        (" !?,", True, False, ""),
        (" 😀", True, False, " 😀"),
        ("", True, False, ""),
        (" one", False, False, ""),
    ],
)
def test_what_is_kept_of_generated_text(raw, complete, prose, text):
    assert tidy(raw, complete=complete, prose=prose, room=1000).text == text


@given(st.text(max_size=80), st.booleans(), st.booleans(), st.integers(0, 90))
def test_kept_text_is_one_clean_line_that_fits(raw, complete, prose, room):
    text, used = tidy(raw, complete=complete, prose=prose, room=room)
    assert len(text) <= used <= min(len(raw), room)
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
    assert text == text.rstrip() and "\u2028" not in text and "  " not in text


def test_only_base_gpt2_sees_the_scaffold():
    for name in ("gpt2", "gpt2-xl", "distilgpt2", "openai-community/gpt2-medium", "distilbert/distilgpt2"):
        assert scaffold_for(name) == SCAFFOLD
    for name in ("vignettes-gpt2", "magicprompt", "prompt-extend", "someone/tuned-gpt2", "/models/gpt2"):
        assert scaffold_for(name) == ""


def test_the_scaffold_is_a_list_of_prompts_that_ends_where_the_next_begins():
    title, blank, *lines = SCAFFOLD.split("\n")
    assert blank == "" and lines[-1] == "" and 8 <= len(lines) - 1 <= 10
    assert all(line == line.strip() and line.count(",") >= 3 for line in lines[:-1])
