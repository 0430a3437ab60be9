"""`synth explain words | effects | variance | drift`: files in the study's folder, and one error for what cannot be."""

import pandas
import pytest

import synth
from synth.cli import explain
from synth.cli.parsing import Parser
from synth.errors import InputError, StudyError, SynthError
from synth.jobs import Settings
from synth.presets import PRESETS

GPT2 = PRESETS["vignettes-gpt2"].folder


@pytest.fixture(scope="module", params=["tiny_sd", "tiny_sdxl"])
def root(tmp_path_factory, request):
    """A folder with the study "cats" of three prompts and three seeds."""
    out = tmp_path_factory.mktemp("studies")
    settings = Settings(width=64, height=64, steps=2)
    prompts = [f"a cat, {word}" for word in ("by night", "in rain", "=ink")]
    how = {
        "model": str(request.getfixturevalue(request.param)),
        "settings": settings,
        "device": "cpu",
        "progress": False,
    }
    synth.study("a cat", prompts=prompts, seeds=3, out=out, name="cats", **how)
    return out


def run(root, *words):
    parser = Parser(prog="synth")
    explain.register(parser.add_subparsers())
    arguments = parser.parse_args(["explain", *words, "--out", str(root), "--device", "cpu"])
    return arguments.run(arguments)


def test_words_leaves_figures_for_each_prompt_and_a_table(root, capsys):
    assert run(root, "words", "cats") == 0
    folder = root / "cats" / "explain"
    figures = {f"words_{number}{view}.png" for number in (1, 2, 3) for view in ("", "_by_step", "_by_layer")}
    assert figures | {"who_drew.png", "words.csv"} == {path.name for path in folder.iterdir()}
    table = pandas.read_csv(folder / "words.csv")
    assert len(table) == 3 * (4 + 4 + 3) and set(table.loc[table["added"], "word"]) == {
        "by",
        "night",
        "in",
        "rain",
        "'=ink",
    }
    assert f"9 pictures recorded. Look at {folder / 'who_drew.png'}" in capsys.readouterr().out


def test_effects_of_one_prompt(root, capsys):
    assert run(root, "effects", "cats", "--prompt", "2", "--word", "cat", "--word", "in rain") == 0
    folder = root / "cats" / "explain"
    assert list(pandas.read_csv(folder / "effects_2.csv")["part"]) == ["cat", "in rain"]
    assert len(pandas.read_csv(folder / "effects_2_by_seed.csv")) == 6
    assert (folder / "effects_2.png").is_file() and (folder / "effects_2_pictures.png").is_file()
    assert "2 phrases left out" in capsys.readouterr().out


def test_variance_and_drift(root, capsys):
    assert run(root, "variance", "cats", "cats") == 0
    assert run(root, "drift", "cats") == 0
    folder = root / "cats" / "explain"
    assert pandas.read_csv(folder / "variance.csv")["share"].sum() == pytest.approx(1)
    assert len(pandas.read_csv(folder / "drift.csv")) == 3
    assert {"variance.png", "drift.png", "drift_by_picture.csv"} <= {path.name for path in folder.iterdir()}
    said = capsys.readouterr().out
    assert "18 pictures compared" in said and "of 3 prompts lost the phrase" in said


def test_a_phrase_is_made_a_study_first(root, tiny_sd, capsys):
    words = ["drift", "a red house", "--model", str(tiny_sd), "--n", "1", "--seeds", "1", "--name", "house"]
    assert run(root, *words) == 0
    assert (root / "house" / "explain" / "drift.png").is_file()


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        (["words", "cat"], StudyError, "did you mean 'cats'"),
        (["words", "cats", "--word", "cut"], InputError, "did you mean 'cat'"),
        (["words", "cats", "--prompt", "4"], InputError, "from 1 to 3"),
        (["effects", "cats", "--word", "dog"], InputError, "words of the prompt"),
        (["variance", "cats", "--seeds", "9"], InputError, "is a study, which has its own"),
        (["drift", "cats", "--clip", "nonsense"], InputError, "did you mean 'vignettes-clip'"),
    ],
)
def test_a_mistake_is_one_error(root, words, kind, says):
    with pytest.raises(kind, match=says):
        run(root, *words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["words", "a red house", "--n", "2", "--prompt", "3"], "from 1 to 2"),
        (["effects", "a red house", "--clip", "nonsense"], "did you mean 'vignettes-clip'"),
        (["effects", "a red house", "--prompt", "0"], "from 1 to 4"),
        (["variance", "a red house", "a blue house", "--seeds", "2"], "three prompts and three seeds"),
        (["variance", "cats", "a blue house", "--n", "1"], "is a study, which has its own"),
        (["drift", "a red house", "--clip", str(GPT2)], "is no CLIP"),
    ],
)
def test_nothing_is_rendered_where_a_phrase_is_explained_wrongly(root, words, says):
    before = sorted(root.iterdir())
    with pytest.raises(SynthError, match=says):
        run(root, *words)
    assert sorted(root.iterdir()) == before
