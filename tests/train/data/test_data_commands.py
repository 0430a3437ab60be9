"""The commands around captioned pictures, as they are typed."""

import pytest
from made_up_pictures import sidecar
from PIL import Image

from synth.cli.parsing import Parser, UsageError
from synth.cli.train_data import register_data
from synth.errors import InputError
from synth.train.data.prepared import PreparedSet


def run(*words: object) -> int:
    parser = Parser(prog="synth train")
    register_data(parser.add_subparsers())
    arguments = parser.parse_args(list(map(str, words)))
    return arguments.run(arguments)


@pytest.fixture
def prepared(tmp_path):
    sidecar(tmp_path / "s", 14)
    for number in range(12):
        (tmp_path / "s" / f"{number:03d}.jpg").write_bytes(b"broken")
    run("data", "prepare", tmp_path / "s", "--out", tmp_path / "out", "--size", 64)
    return tmp_path / "out"


def test_prepare_takes_fields_as_options_over_a_file(tmp_path, capsys):
    (tmp_path / "params.yaml").write_text("data: {source: vignettes, size: 96, limit: 9, validation: 0.5}")
    assert run("data", "prepare", "--params", tmp_path / "params.yaml", "--out", tmp_path / "out", "--limit", 6) == 0
    params = PreparedSet.open(tmp_path / "out").params
    assert (params.source, params.size, params.limit, params.validation) == ("vignettes", 96, 6, 0.5)
    assert capsys.readouterr().out.startswith("6 pictures (")


def test_prepare_says_how_many_were_left_out(tmp_path, prepared, capsys):
    run("data", "prepare", tmp_path / "s", "--out", prepared, "--size", 64)
    said = capsys.readouterr().out
    assert "2 pictures (1 for train, 1 for validation)" in said
    assert "12 pictures left out" in said and "left_out.jsonl says why" in said


def test_show_prints_the_numbers_and_the_first_reasons(prepared, capsys):
    assert run("data", "show", prepared) == 0
    said = capsys.readouterr().out
    assert "12 (12 unreadable)" in said and "009.jpg" in said and "and 2 more, in" in said


def test_sheet_draws_a_png(tmp_path, prepared):
    assert run("data", "sheet", prepared, tmp_path / "a.png", "--columns", 1) == 0
    with Image.open(tmp_path / "a.png") as image:
        assert image.height > image.width


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (("prepare", "s", "--out", "o", "--size", "wide"), InputError, "size: 'wide' cannot be used; give a whole"),
        (("prepare", "s", "--out", "o", "--size", "65"), InputError, "data.size: 65 cannot be used; use a multiple"),
        (("prepare", "s", "--out", "o", "--crop", "center"), InputError, "did you mean 'centre'"),
        (("prepare", "s"), UsageError, "--out"),
        (("prepare", "--params", "none.yaml", "--out", "o"), InputError, "give a YAML file that can be read"),
        (("show", "nowhere"), InputError, "give a folder that `synth train data prepare` has finished"),
        (("sheet", "nowhere", "a.pdf"), InputError, "file: 'a.pdf' cannot be used; give it the ending .png"),
        (("sheet", "nowhere", "a.png", "--count", "0"), InputError, "count: 0 cannot be used"),
    ],
)
def test_what_is_wrong_is_one_error(words, error, message):
    with pytest.raises(error, match=message):
        run("data", *words)
