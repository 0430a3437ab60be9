"""`synth compare`: what it says and writes, and one line for each mistake."""

import argparse
import sys

import pytest

from synth.cli import compare as command
from synth.cli.parsing import Parser
from synth.errors import InputError, StudyError


def run(*words: str) -> int:
    parser = Parser(prog="synth")
    command.register(parser.add_subparsers())
    arguments: argparse.Namespace = parser.parse_args(["compare", *words])
    return arguments.run(arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


def test_a_sweep_is_announced_rendered_and_shown(tiny_sd, folder, capsys):
    words = [
        "--prompt", "a red house", "--x", "guidance_scale=1,6", "--y", "steps=1,2", "--seeds", "2", "--size", "64",
        "--model", str(tiny_sd), "--out", str(folder), "--name", "swept",
    ]  # fmt: skip
    assert run(*words, "--measure", "sharpness", "--measure", "colourfulness") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("8 pictures, 8 to render: about ")
    assert lines[1].startswith("Sharpness is highest at ") and lines[2].startswith("Colourfulness is highest at ")
    assert f"8 pictures. Look at {folder / 'swept' / 'grids'}:" in lines
    written = {path.name for path in (folder / "swept" / "grids").iterdir()}
    assert written == {
        "guidance_scale-by-steps-01.png", "guidance_scale-by-steps-02.png",
        *(f"{name}-{kind}.png" for name in ("sharpness", "colourfulness") for kind in ("curves", "cells", "frontier")),
    }  # fmt: skip
    assert run(*words) == 0
    assert capsys.readouterr().out.startswith("8 pictures, all of them there already\n")


def test_two_studies_are_laid_over_each_other(tiny_sd, folder, capsys):
    same = ["--prompt", "a red house", "--y", "steps=1,2", "--seeds", "2", "--size", "64", "--model", str(tiny_sd)]
    for name, scale in (("one", "1"), ("other", "5")):
        assert run(*same, "--out", str(folder), "--name", name, "--guidance-scale", scale) == 0
    assert run("one", "other", "--out", str(folder)) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("4 pairs. Look at ")
    [page] = folder.glob("comparison-*.html")
    assert "guidance scale" in page.read_text() and str(page) in said
    pictures = [str(path) for path in sorted((folder / "one" / "images").glob("*.png"))[:2]]
    assert run(*pictures, "--to", str(folder / "both.html")) == 0
    assert (folder / "both.html").is_file()


@pytest.mark.parametrize(("words", "message"), [
    (["a red house"], "say what varies"),
    (["a", "b", "c"], "one phrase in quotes"),
    (["a", "b", "--x", "steps=1,2"], "one phrase in quotes"),
    (["a red house", "--x", "stepps=1,2"], "did you mean 'steps'"),
    (["a red house", "--x", "steps=7"], "at least two values"),
    (["a red house", "--x", "steps=1:1000:1"], "4,000 pictures and takes about .* --yes"),
    (["--x", "steps=1,2"], "at least one word"),
    (["a red house", "--x", "steps=1,2", "--measure", "sharpnes"], "did you mean 'sharpness'"),
    (["a red house", "--x", "steps=1,2", "--measure", "kid"], "give a folder of pictures"),
    (["a red house", "--x", "steps=1,2", "--clip", "nonsense"], "did you mean 'vignettes-clip'"),
])  # fmt: skip
def test_mistakes_are_input_errors_before_anything_is_rendered(words, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "synth.rendering", None)
    monkeypatch.setitem(sys.modules, "synth.expansion", None)
    with pytest.raises(InputError, match=message):
        run(*words)


def test_studies_that_do_not_exist_are_a_study_error():
    with pytest.raises(StudyError, match="is no study"):
        run("nothing", "neither")
