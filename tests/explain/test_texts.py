"""What a prompt becomes: tokens and states, in models of each shape."""

import pytest
import torch

from synth import presets
from synth.explain.film import Studio
from synth.explain.texts import parts_table, state_changes, states_figure, token_table, tokens

A, B = "a red lighthouse by the sea, at sunset", "a red lighthouse by the sea, at night"


@pytest.fixture(scope="module")
def bundled():
    return Studio(presets.resolve("vignettes", "renderer"), device="cpu")


def test_tokens_are_those_of_the_tokenizer(bundled):
    read = tokens(bundled, A)
    assert read[0][0] == "<|startoftext|>" and read[-1][0] == "<|endoftext|>"
    assert "".join(text.replace("</w>", " ") for text, _ in read[1:-1]) == "a red lighthouse by the sea , at sunset "
    assert [number for _, number in read] == bundled.pipeline.tokenizer(A).input_ids


def test_a_token_table_escapes_and_counts_the_padding(bundled):
    page = token_table(bundled, A)
    assert "&lt;|startoftext|&gt;" in page and "lighthouse" in page
    assert f"and {77 - len(tokens(bundled, A))} to fill up" in page


def test_nothing_before_an_exchanged_word_changes(bundled):
    changes = state_changes(bundled, A, B)
    place = [text for text, _ in changes].index("night</w>")
    assert all(change < 1e-5 for _, change in changes[:place])
    assert all(change > 1e-3 for _, change in changes[place:])


def test_changes_are_angles_between_the_encoders_states(bundled):
    pipeline = bundled.pipeline
    with torch.inference_mode():
        states = [
            pipeline.encode_prompt([text], "cpu", 1, do_classifier_free_guidance=False)[0][0].double()
            for text in (A, B)
        ]
    for place, (_, change) in enumerate(state_changes(bundled, A, B)):
        a, b = (state[place] for state in states)
        assert change == pytest.approx(float(1 - a @ b / (a.norm() * b.norm())), abs=1e-4)


def test_the_figure_names_every_token(bundled):
    labels = [label.get_text() for label in states_figure(bundled, A, B).axes[0].get_xticklabels()]
    assert labels == [text.removesuffix("</w>") for text, _ in tokens(bundled, B)]


def test_the_parts_are_told_with_their_shapes(bundled, tiny_sdxl):
    page = parts_table(bundled, 128, 128)
    assert "8 x 16 x 16" in page and "77 states of 128 numbers" in page and "10.8 M" in page
    large = parts_table(Studio(presets.resolve(str(tiny_sdxl), "renderer")), 64, 64)
    assert "text encoder 2" in large and "4 x 8 x 8" in large
