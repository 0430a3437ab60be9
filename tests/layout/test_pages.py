"""What a report shows of a study, whatever was typed."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_studies import make_study

from synth.jobs import ModelRef
from synth.layout import pages
from synth.writing.prompts import Prompt

HOSTILE = '<script>alert(1)</script> <img src=x onerror="alert(2)"> & "q" \'s\''


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "s"
    return make_study(folder, HOSTILE, added=[" <b>bold", " a long end"], failed={(1, 1)}, truncated={1: " end"})


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize(
    "page", ["headline", "prompt_table", "unknown_words", "settings_table", "log_table", "candidates", "remake"]
)
def test_no_page_lets_markup_through(page, study):
    html = getattr(pages, page)(study)
    assert not re.search(r"<(script|img|i)\b", html)
    assert html._repr_html_() == html


@given(st.text(max_size=20), st.text(min_size=1, max_size=20), st.text(max_size=20), st.data())
def test_marked_prompts_keep_every_character_and_strike_what_was_cut(opening, phrase, added, data):
    text = opening + phrase + added
    cut = text[data.draw(st.integers(0, len(text))) :]
    html = pages.marked(Prompt(text=text, phrase=phrase, truncated=cut))
    assert text_of(html) == text
    assert text_of("".join(re.findall(r"<del[^>]*>(.*)</del>", html, re.DOTALL))) == cut


def test_added_words_are_marked_and_the_phrase_is_not():
    html = pages.marked(Prompt(text="oil painting of a cat at night", phrase="a cat"))
    assert [text_of(part) for part in re.findall(r"<b[^>]*>.*?</b>", html)] == ["oil painting of ", " at night"]


def test_the_prompt_table_has_logprob_and_the_renderers_own_count(study):
    table = pages.prompt_table(study)
    assert "-4.0" in table and "-1.0" in table and "<td>90</td>" in table
    assert re.search(r"<del[^>]*><b[^>]*> end</b></del>", table)


def test_unknown_words_are_named_for_the_bundled_model_only(study, tmp_path):
    words = pages.unknown_words(make_study(tmp_path / "a", "a <i>xylophone</i> at sunset"))
    assert "<b>xylophone</b>" in words and "sunset" not in words
    assert pages.unknown_words(make_study(tmp_path / "b", "a red lighthouse at sunset")) == ""
    assert pages.unknown_words(make_study(tmp_path / "c", "a xylophone", model=ModelRef(name="sd2"))) == ""


def test_the_log_names_files_and_failures(study):
    log = pages.log_table(study)
    assert log.count('href="images/') == 3 and "failed" in log
    assert "out of memory &lt;b&gt;twice" in log


def test_candidates_are_those_not_chosen(study):
    assert "Show all 1" in pages.candidates(study) and "not chosen" in pages.candidates(study)


def test_settings_name_every_setting_and_version(study):
    text = text_of(pages.settings_table(study))
    for word in ("guidance scale", "scheduler", "sha256:0000", "temperature", "diffusers", "seeds"):
        assert word in text


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ((5, 3), "5, 3"),
        (tuple(range(2, 900)), "2 to 899"),
        (tuple(range(9, 900, 3)), "15, 18, 21, 24, 27, 30 and 289 more"),
    ],
)
def test_many_seeds_are_told_in_short(seeds, text):
    assert pages._seeds(seeds).endswith(text)


def test_the_remake_commands_name_a_picture_of_this_study(study):
    path = study.folder / study.frame()["path"][0]
    assert f"synth verify {path}" in text_of(pages.remake(study))
