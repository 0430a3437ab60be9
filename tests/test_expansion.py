import random
from itertools import pairwise

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_gpt2 import build_tiny_gpt2

from synth import expansion
from synth.errors import InputError, ModelError
from synth.expansion import TruncationWarning, expand, own_prompts
from synth.jobs import ExpansionSettings, check_text
from synth.models import languages
from synth.writing import language, scaffolds
from synth.writing.sampling import decode
from synth.writing.scaffolds import tidy
from synth.writing.selection import NEAR_DUPLICATE, overlap, words

pytestmark = pytest.mark.filterwarnings("ignore::synth.expansion.TruncationWarning")

PHRASE = "a red lighthouse"
GOLDEN = [(29, "a red lighthouse? a=gg?"), (7, "a red lighthouse etg"), (30, "a red lighthouse ld")]
GOLDEN_LOGPROBS = [-17.1571, -10.731, -7.5901]
SHORT = ExpansionSettings(max_new_tokens=8)


@pytest.fixture
def grow(tiny_gpt2, tiny_sd):
    """`expand` on the tiny models."""

    def run(phrase=PHRASE, n=4, *, seed=0, settings=SHORT, model=tiny_gpt2, **more):
        return expand(phrase, n, seed=seed, settings=settings, model=str(model), renderer=str(tiny_sd), **more)

    return run


def drawn(result):
    """All candidates as they were drawn, whatever became of them."""
    return [(prompt.text, prompt.logprob, prompt.new_tokens) for prompt in result.candidates]


def test_the_tiny_model_says_what_it_always_said(grow):
    assert [(prompt.candidate, prompt.text) for prompt in grow(n=3)] == GOLDEN
    assert [prompt.logprob for prompt in grow(n=3)] == pytest.approx(GOLDEN_LOGPROBS, abs=1e-3)


def test_prompts_are_distinct_and_begin_with_the_phrase_as_typed(grow):
    result = grow("  A red   Lighthouse ", 8)
    assert result.phrase == "A red   Lighthouse" and len(result) == len({prompt.text for prompt in result}) == 8
    for prompt in result:
        assert prompt.text.startswith("A red   Lighthouse") and prompt.added and not prompt.opening
        assert prompt.fate == "chosen" and result.candidates[prompt.candidate] == prompt
    sets = [frozenset(words(prompt.added)) for prompt in result]
    assert all(overlap(a, b) < NEAR_DUPLICATE for i, a in enumerate(sets) for b in sets[:i])


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_any_phrase_stays_text(tiny_gpt2, tiny_sd, data):
    alphabet = st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp"))
    phrase = data.draw(st.text(alphabet, min_size=1, max_size=12))
    result = expand(phrase, 1, settings=SHORT, model=str(tiny_gpt2), renderer=str(tiny_sd))
    for prompt in result.candidates:
        assert prompt.text.startswith(phrase) and check_text("prompt", prompt.text) == prompt.text


@pytest.mark.parametrize(
    "phrase",
    ["1984", "nan", "{x}", "a {red|blue} house", "<script>", "../..", "CON", "😀", "מגדלור אדום", "<|endoftext|>"],
)
def test_awkward_phrases_stay_text(grow, phrase):
    assert all(prompt.text.startswith(phrase) and prompt.phrase == phrase for prompt in grow(phrase, 2))


def test_a_candidate_depends_on_nothing_but_phrase_settings_seed_and_its_number(grow):
    reference = drawn(grow(n=2))
    assert len(reference) == 32
    grow("another phrase", 3, seed=5)
    assert drawn(grow(n=2)) == reference
    more = drawn(grow(n=9, settings=SHORT.but(pool=8, diversity=1.0)))
    assert len(more) == 96 and more[:32] == reference


def test_a_candidate_depends_on_each_of_them(grow, tmp_path):
    reference = {prompt.added for prompt in grow().candidates}
    changed = [
        grow(seed=1),
        grow(settings=SHORT.but(temperature=0.9)),
        grow("a red lighthouse,"),
        grow(model=build_tiny_gpt2(tmp_path / "other", seed=1)),
    ]
    for result in changed:
        assert len(reference & {prompt.added for prompt in result.candidates}) < 8


@settings(max_examples=3, deadline=None)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 8), st.floats(0, 1), st.booleans())
def test_asking_for_more_extends_the_list(tiny_gpt2, tiny_sd, few, more, pool, diversity, weave):
    options = {
        "settings": SHORT.but(pool=pool, diversity=diversity, weave=weave),
        "model": str(tiny_gpt2),
        "renderer": str(tiny_sd),
    }
    assert expand(PHRASE, few + more, **options).prompts[:few] == expand(PHRASE, few, **options).prompts


def test_global_generators_are_left_alone(grow):
    language._load.cache_clear()
    before = torch.get_rng_state(), random.getstate(), numpy.random.get_state()[1].tolist()
    grow()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), numpy.random.get_state()[1].tolist()) == before[1:]


def test_candidates_that_were_not_chosen_can_be_looked_at(grow):
    result = grow(n=3, settings=SHORT.but(temperature=0.3))
    fates = {prompt.fate.split(" of")[0] for prompt in result.candidates}
    assert fates >= {"chosen", "not chosen", "near-duplicate"} and len(result.candidates) >= 32
    assert [prompt.candidate for prompt in result.candidates] == list(range(len(result.candidates)))


def test_the_log_probability_is_that_of_the_tokens_still_in_the_text(grow, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        expansion, "decode", lambda *given, **more: decoded.append(decode(*given, **more)) or decoded[-1]
    )
    result = grow()
    model = language.load_language(result.model, "cpu")
    start = model.encode(PHRASE)
    for prompt, row in zip(result.candidates, decoded[0], strict=True):
        assert prompt.logprob == pytest.approx(sum(row.logprobs[: prompt.new_tokens]), abs=1e-9)
        for count, expected in ((prompt.new_tokens, True), (prompt.new_tokens - 1, False)):
            text = tidy(model.continuation(start, row.tokens[:count]), complete=True, prose=False, room=999).text
            assert count < 0 or (text == prompt.added) is expected


def test_the_first_added_token_never_makes_another_word_of_the_last(grow):
    for prompt in grow("a light").candidates:
        assert not (prompt.added[:1].isascii() and prompt.added[:1].isalnum())


@pytest.mark.parametrize("banned", [("lighthouse", "foggy"), ("Foggy Painting", "OF")])
def test_banned_words_are_never_generated(grow, banned):
    result = grow(n=6, settings=ExpansionSettings(banned_words=banned))
    for prompt in result.candidates:
        if prompt.fate != "banned word":
            assert not {word.casefold() for word in banned} & set(words(prompt.added))
            assert all(word.casefold() not in f" {prompt.added.casefold()} " for word in banned if " " in word)


def test_weaving_puts_the_phrase_after_an_opener(grow):
    weaving = SHORT.but(weave=True, temperature=5.0, top_k=0, top_p=1.0, pool=16)
    result = grow(n=6, settings=weaving)
    assert all(
        PHRASE in prompt.text and prompt.opening + PHRASE + prompt.added == prompt.text for prompt in result.candidates
    )
    openers = [prompt.opening for prompt in result.candidates if prompt.opening]
    assert openers and all(opener.endswith((" of ", " showing ", " featuring ", " depicting ")) for opener in openers)
    assert drawn(result)[:32] == drawn(grow(n=2, settings=weaving))


def test_a_template_gives_each_candidate_its_own_phrase(grow):
    result = grow("a {red|blue} lighthouse", 6, settings=SHORT.but(template=True))
    assert result.phrase == "a {red|blue} lighthouse"
    assert {prompt.phrase for prompt in result.candidates} == {"a red lighthouse", "a blue lighthouse"}
    assert all(prompt.text.startswith(prompt.phrase) for prompt in result.candidates)
    assert result.prompts[:2] == grow("a {red|blue} lighthouse", 2, settings=SHORT.but(template=True)).prompts
    with pytest.raises(InputError, match="template"):
        grow("a {red|blue lighthouse", settings=SHORT.but(template=True))


def test_phrases_of_different_lengths_share_a_batch_unharmed(grow):
    result = grow("a {red|quiet old stone} lighthouse", 2, settings=SHORT.but(template=True))
    plain = {prompt.candidate: prompt for prompt in grow(n=2).candidates}
    same = [prompt for prompt in result.candidates if prompt.phrase == PHRASE]
    assert len(same) > 4 and all(prompt.text == plain[prompt.candidate].text for prompt in same)


def test_base_gpt2_sees_a_scaffold_and_is_cut_at_the_first_sentence(grow, tiny_gpt2, monkeypatch):
    plain = grow()
    monkeypatch.setattr(scaffolds, "BASE_MODELS", {str(tiny_gpt2.resolve())})
    result = grow()
    assert {prompt.text for prompt in result} != {prompt.text for prompt in plain}
    assert all(
        prompt.text.startswith(PHRASE) and ". " not in prompt.added and "\n" not in prompt.text for prompt in result
    )


def test_counts_and_truncated_words_are_the_renderers(grow):
    with pytest.warns(TruncationWarning, match="never sees the end of 1 of 1") as caught:
        result = grow("a red lighthouse" * 6, 1)
    assert len(caught) == 1 and caught[0].filename == __file__
    prompt = result[0]
    assert prompt.renderer_tokens == len(prompt.text.replace(" ", "").encode()) > 75
    assert prompt.kept + prompt.truncated == prompt.text and len(prompt.kept.replace(" ", "")) == 75


def test_a_model_so_sure_of_itself_that_it_repeats_is_told_apart_from_a_short_pool(grow):
    cold = SHORT.but(temperature=0.05, top_k=1, pool=1)
    assert len(grow("a small garden", 1, settings=cold)) == 1
    with pytest.raises(
        InputError, match=r"n: 4 .* only 1 distinct .* 288 candidates; ask for at most 1, or raise temp"
    ):
        grow("a small garden", settings=cold)


def test_a_phrase_to_which_nothing_can_be_added_is_one_clear_error(grow, monkeypatch):
    monkeypatch.setattr(expansion, "tidy", lambda *_, **__: ("", 0))
    with pytest.raises(InputError, match=r"phrase: .* none of 288 candidates adds a word .* prompt of your own"):
        grow()


def test_a_phrase_too_long_for_the_model_is_refused_before_the_model_is_loaded(grow, tmp_path, monkeypatch):
    small = build_tiny_gpt2(tmp_path / "small", positions=64)
    monkeypatch.setattr(languages, "read_network", lambda *_: pytest.fail("loaded"))
    with pytest.raises(InputError, match="max_new_tokens to 57 or less"):
        grow(model=small, settings=ExpansionSettings(max_new_tokens=60))
    with pytest.raises(InputError, match="shorten it: "):
        grow("zq" * 60, model=small)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phrase": " "}, "phrase"), ({"phrase": "a\x00"}, "phrase"), ({"phrase": "a" * 10_000}, "phrase"),
        ({"phrase": 1984}, "phrase"), ({"n": 0}, "n"), ({"n": -1}, "n"), ({"n": 1001}, "n"), ({"seed": -1}, "seed"),
        ({"model": "vignetes-gpt2"}, "expander"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error(grow, changes, field):
    with pytest.raises(InputError, match=f"^{field}: "):
        grow(**changes)


def test_a_folder_that_is_no_language_model_is_a_model_error(grow, tiny_sd):
    with pytest.raises(ModelError):
        grow(model=tiny_sd / "text_encoder")


def test_progress_tells_how_many_candidates_were_drawn(grow):
    seen = []
    grow(n=9, settings=SHORT.but(pool=4), progress=lambda drawn, texts: seen.append(drawn))
    assert [drawn for drawn in dict.fromkeys(seen) if drawn] == [32, 64]


@pytest.mark.parametrize("phrase", [PHRASE, "été, 日本"])
@pytest.mark.parametrize("how", [{}, {"temperature": 3.0, "top_k": 0}, {"weave": True}, {"banned_words": ("e", "the")}])
def test_texts_are_seen_growing_and_what_is_written_does_not_change(grow, monkeypatch, phrase, how):
    monkeypatch.setattr(expansion, "PAUSE", 0.0)
    settings, seen = ExpansionSettings(**how), []
    watched = grow(phrase, settings=settings, progress=lambda *so_far: seen.append(so_far))
    assert watched == grow(phrase, settings=settings)
    *growing, (count, last) = seen
    assert count == 32 and last == [candidate.text for candidate in watched.candidates[:8]]
    assert {drawn for drawn, _ in growing} == {0}
    assert len({sum(map(len, texts)) for _, texts in growing}) > 10
    for final, texts in zip(last, zip(*(texts for _, texts in growing), strict=True), strict=True):
        assert all(phrase in text and "\ufffd" not in text for text in texts)
        assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
        assert texts[-1].startswith(final) or final.startswith(texts[-1])


def test_own_prompts_need_no_gpt2(tiny_sd):
    result = own_prompts(["a house", "1984"], renderer=str(tiny_sd))
    assert [(prompt.text, prompt.phrase, prompt.logprob, prompt.renderer_tokens) for prompt in result] == [
        ("a house", "a house", None, 6), ("1984", "1984", None, 4)
    ]  # fmt: skip
    assert result.model is None and result.phrase == ""
    with pytest.warns(TruncationWarning):
        own_prompts(["a" * 90], renderer=str(tiny_sd))
    with pytest.raises(InputError, match="prompts"):
        own_prompts(["a", "a"], renderer=str(tiny_sd))


def test_the_model_stays_loaded(grow):
    grow(n=1)
    misses = language._load.cache_info().misses
    grow("another", n=1)
    assert language._load.cache_info().misses == misses
