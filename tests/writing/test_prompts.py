import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth.errors import InputError
from synth.jobs import ExpansionSettings, ModelRef
from synth.writing.prompts import Expansion, Prompt, check_prompts, read_prompts


def test_a_prompt_knows_its_parts():
    prompt = Prompt(
        text="fog over a red house at dawn", phrase="a red house", logprob=-4.0, new_tokens=2, truncated="dawn"
    )
    assert (prompt.opening, prompt.added, prompt.kept) == ("fog over ", " at dawn", "fog over a red house at ")
    assert prompt.mean_logprob == -2.0
    assert prompt.perplexity == pytest.approx(7.389, abs=1e-3)


def test_a_prompt_that_a_person_wrote_has_no_log_probability():
    prompt = Prompt(text="a red house", phrase="a red house")
    assert prompt.mean_logprob is None and prompt.perplexity is None and prompt.added == ""
    assert prompt.kept == prompt.text


def test_an_expansion_is_a_sequence_and_survives_json():
    prompts = tuple(
        Prompt(text=f"a house {k}", phrase="a house", candidate=k, logprob=-1.5, new_tokens=3) for k in range(3)
    )
    model = ModelRef(name="m", digest="sha256:0", loras=(("x", 0.5),))
    settings = ExpansionSettings(banned_words=("dog",))
    expansion = Expansion(
        phrase="a house", prompts=prompts[:2], candidates=prompts, model=model, settings=settings, seed=7
    )
    assert len(expansion) == 2 and expansion[1] is prompts[1] and list(expansion) == list(prompts[:2])
    assert Expansion.from_dict(json.loads(json.dumps(expansion.as_dict()))) == expansion


def test_own_prompts_survive_json():
    own = Expansion(phrase="", prompts=(Prompt(text="a", phrase="a"),))
    assert Expansion.from_dict(json.loads(json.dumps(own.as_dict()))) == own


def test_a_text_file_has_a_prompt_on_each_line(tmp_path):
    file = tmp_path / "p.txt"
    file.write_text("\ufeff1984\r\n\n  # nan, 100% \n<script> {x} 😀\n", encoding="utf-8")
    assert read_prompts(file) == ["1984", "# nan, 100%", "<script> {x} 😀"]


def test_a_table_has_them_in_its_column_and_they_stay_text(tmp_path):
    file = tmp_path / "p.CSV"
    file.write_text('seed,prompt\n1,1984\n2,"a house, red"\n3,\n4,nan\n')
    assert read_prompts(file) == ["1984", "a house, red", "nan"]


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("p.txt", None, "can be read"),
        ("p.txt", b"", "at least one"),
        ("p.txt", b" \n\n", "at least one"),
        ("p.txt", b"caf\xe9 \xff", "UTF-8"),
        ("p.txt", b"a\nb\na\n", "stands at 1 and at 3"),
        ("p.txt", b"a\x00b", "control character"),
        ("p.csv", b"promt,seed\na,1\n", "nearest is 'promt'"),
        ("p.csv", b"", "it has none"),
        ("p.csv", b"prompt\n", "at least one"),
        ("p.docx", b"a", ".txt"),
    ],
)
def test_an_unusable_file_is_one_clear_error(tmp_path, name, content, remedy):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=remedy):
        read_prompts(tmp_path / name)


def test_a_text_instead_of_a_list_is_refused():
    with pytest.raises(InputError, match="list"):
        check_prompts("a house")
    with pytest.raises(InputError, match="at least one"):
        check_prompts([])


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip), st.text(max_size=5))
def test_opening_phrase_and_added_make_the_text(phrase, added):
    prompt = Prompt(text=phrase + added, phrase=phrase)
    assert prompt.opening + prompt.phrase + prompt.added == prompt.text and prompt.opening == ""
