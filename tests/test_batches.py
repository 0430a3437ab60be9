"""Batches: rows from tables, reports from rows, a page that lists them, and only what is missing when run again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_publishing import Elements
from test_reporting import made_up

from synth import batches
from synth.batches import batch, read_rows
from synth.errors import InputError

__all__ = ["made_up"]


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'phrase,n,weave\n1984,2,\nnan,,true\n"{x}, ""y""",3,no\n'),
        (
            "t.yaml",
            '- {phrase: 1984, n: 2}\n- phrase: nan\n  weave: true\n- phrase: "{x}, \\"y\\""\n  n: 3\n  weave: no\n',
        ),
    ],
)
def test_phrases_stay_text_and_numbers_become_numbers(name, text, tmp_path):
    rows = read_rows(written(tmp_path / name, text))
    assert rows == [
        {"phrase": "1984", "n": 2},
        {"phrase": "nan", "weave": True},
        {"phrase": '{x}, "y"', "n": 3, "weave": False},
    ]


def test_lists_are_lists(tmp_path):
    assert read_rows(written(tmp_path / "t.yml", "- prompts: [a cat, 7]\n")) == [{"prompts": ["a cat", "7"]}]
    assert read_rows(written(tmp_path / "t.csv", 'prompts\n"a cat\na dog"\n')) == [{"prompts": ["a cat", "a dog"]}]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.csv", "phrase,stepps\nx,3\n", "row 1, parameter.*'steps'"),
        ("t.csv", "phrase,n\nx,two\n", "row 1, n.*whole number"),
        ("t.csv", "phrase\na, b\n", "row 1.*quotes"),
        ("t.csv", "phrase\n", "at least one row"),
        ("t.csv", "phrase,out\nx,y\n", "parameter"),
        ("t.yaml", "phrase: x\n", "list of rows"),
        ("t.yaml", "- phrase: {x}\n", "phrase.*quotes"),
        ("t.yaml", "- phrase: [a\n", "not well formed"),
        ("t.yaml", "- prompts: " + "[" * 20_000, "not well formed"),
        ("t.txt", "x", "csv or"),
    ],
)
def test_a_bad_file_is_one_clear_error_before_anything_runs(name, text, says, tmp_path):
    with pytest.raises(InputError, match=says):
        batch(written(tmp_path / name, text), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_read_are_errors(tmp_path):
    with pytest.raises(InputError, match="can be read"):
        batch(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"phrase\n\xe9t\xe9\n")
    with pytest.raises(InputError, match="UTF-8"):
        batch(tmp_path / "latin.csv")


@given(text=st.binary(max_size=60), ending=st.sampled_from([".csv", ".yaml"]))
def test_any_file_is_read_or_refused(text, ending, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    path.write_bytes(text)
    try:
        assert read_rows(path)
    except InputError as error:
        assert str(error)


def test_rows_become_reports_and_failures_stop_nothing(made_up, tiny_sd, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(
        batches, "make", lambda request, **more: made.append(request.title) or reporting_make(request, **more)
    )
    table = "- prompts: [boom]\n- prompts: [<b>cat</b>]\n- prompts: [a dog]\n  steps: 0\n"
    file = written(made_up / "My table.yaml", f"{table}- prompts: [half a dog]\n  name: dog\n")
    first = batch(file, out=made_up / "out", model=str(tiny_sd), seeds=1)

    assert [outcome.status for outcome in first.outcomes] == ["failed", "done", "failed", "incomplete"]
    assert "boom" in first.outcomes[0].error and "steps: 0" in first.outcomes[2].error
    assert first.failed == 3
    assert first.index == made_up / "out" / "my-table" / "index.html"
    assert "row 2 of 4" in capsys.readouterr().err

    page = first.index.read_text()
    assert "&lt;b&gt;cat" in page and "<b>cat" not in page
    links = [attributes["href"] for tag, attributes in Elements(page).found if tag == "a"]
    assert len(links) == 2 and all((first.index.parent / link).is_file() for link in links)
    sources = [attributes["src"] for tag, attributes in Elements(page).found if tag == "img"]
    assert len(sources) == 1 and sources[0].startswith("data:image/jpeg;base64,")

    made.clear()
    written(file, "- prompts: [a dog]\n  steps: 0\n- prompts: [<b>cat</b>]\n")
    again = batch(file, out=made_up / "out", model=str(tiny_sd), seeds=1)
    assert [outcome.status for outcome in again.outcomes] == ["failed", "done"]
    assert made == []


def test_a_damaged_picture_stops_no_batch(made_up, tiny_sd):
    file = written(made_up / "t.yaml", "- prompts: [a cat]\n- prompts: [a dog]\n")
    first = batch(file, out=made_up / "out", model=str(tiny_sd), seeds=1)
    [picture] = first.outcomes[0].folder.glob("images/*.png")
    picture.write_bytes(picture.read_bytes()[:60] + bytes(40) + picture.read_bytes()[100:])
    batches._thumbnail.cache_clear()
    again = batch(file, out=made_up / "out", model=str(tiny_sd), seeds=1)
    assert [outcome.status for outcome in again.outcomes] == ["done", "done"]
    assert again.index.read_text().count("<img") == 1


reporting_make = batches.make
