import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.errors import ModelError
from synth.writing.tokens import count_tokens, renderer_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_sd):
    return renderer_tokenizer(str(tiny_sd))


def test_counts_leave_out_start_and_end(tokenizer):
    assert count_tokens(["house", "", "ab cd"], tokenizer) == [(5, ""), (0, ""), (4, "")]
    assert count_tokens([], tokenizer) == []


def test_what_the_renderer_never_sees_is_the_exact_end_of_the_text(tokenizer):
    text = "a" * 70 + " House,  at SUNSET"
    assert count_tokens(["a" * 75, text], tokenizer) == [(75, ""), (84, ",  at SUNSET")]


@settings(deadline=None)
@given(st.text(st.sampled_from("aB 😀ש,\t{<é"), max_size=120))
def test_the_kept_part_has_as_many_tokens_as_fit(tokenizer, text):
    size, end = count_tokens([text], tokenizer)[0]
    assert text.endswith(end)
    assert (end == "") == (size <= 75)
    if end:
        assert count_tokens([text.removesuffix(end)], tokenizer)[0][0] <= 75


def test_only_the_tokenizer_of_the_renderer_is_read(tiny_sd, tokenizer):
    assert renderer_tokenizer(str(tiny_sd)) is tokenizer


def test_a_broken_tokenizer_is_a_model_error(tmp_path, tiny_sd):
    import shutil

    broken = shutil.copytree(tiny_sd, tmp_path / "broken")
    for file in (broken / "tokenizer").iterdir():
        file.write_text("{")
    with pytest.raises(ModelError, match="tokenizer"):
        renderer_tokenizer(str(broken))
