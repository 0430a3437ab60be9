"""The commands that open up the method: what they write, and that mistakes are told before a model is loaded."""

import sys

import pandas as pd
import pytest
from made_up_studies import make_study

import synth
from synth.cli import explain_inside, slides
from synth.cli.parsing import Parser
from synth.errors import InputError, StudyError
from synth.jobs import Settings

PNG = b"\x89PNG"


@pytest.fixture
def run(monkeypatch):
    """Runs an action by its words; returns the exit code."""
    parser = Parser(prog="synth explain")
    actions = parser.add_subparsers(required=True)
    explain_inside.register_inside(actions)
    slides.register(actions)

    def run(*words):
        arguments = parser.parse_args([str(word) for word in words])
        return arguments.run(arguments)

    return run


def test_a_phrase_gets_its_tree(run, tmp_path, tiny_gpt2, capsys):
    words = ["a small garden", "--n", 2, "--expander", tiny_gpt2, "--depth", 2, "--max-new-tokens", 8]
    assert run("tree", *words) == 0
    [folder] = (tmp_path / "generated_images" / "explained").iterdir()
    assert str(folder.name) in capsys.readouterr().out
    assert (folder / "tree.png").read_bytes().startswith(PNG)
    assert "a small garden" in (folder / "tree.html").read_text()
    rows = pd.read_csv(folder / "tree.csv")
    assert rows["text"][0] == "a small garden" and rows["whole"].between(0, 1).all()
    assert run("tree", *words, "--to", tmp_path / "mine") == 0
    assert (tmp_path / "mine" / "tree.html").read_text() == (folder / "tree.html").read_text()


def test_a_study_has_its_tree_in_its_folder_with_its_pictures(run):
    settings = Settings(width=64, height=64, steps=1)
    study = synth.study("a red lighthouse", n=2, seeds=1, settings=settings, name="real", progress=False)
    assert run("tree", "--study", "real", "--depth", 2) == 0
    page = (study.folder / "explain" / "tree.html").read_text()
    assert page.count('<img src="data:image/webp') == 2


def test_a_prompt_gets_its_film(run, tmp_path, tiny_sd, capsys):
    words = ["a cat", "--against", "a dog", "--model", tiny_sd, "--size", 64, "--steps", 4, "--to", tmp_path / "film"]
    assert run("film", *words) == 0
    assert "part at step" in capsys.readouterr().out
    names = {"film.png", "guidance.png", "two_prompts.png", "parting.png", "distances.csv"}
    assert {path.name for path in (tmp_path / "film").iterdir()} == names
    table = pd.read_csv(tmp_path / "film" / "distances.csv")
    assert list(table["step"]) == [1, 2, 3, 4] and table["latents"][0] == 0


def test_a_model_gets_its_schedule(run, tmp_path, tiny_sdxl):
    assert run("schedule", "--model", tiny_sdxl, "--steps", 5, "--to", tmp_path / "schedule") == 0
    visits = pd.read_csv(tmp_path / "schedule" / "visits.csv")
    assert visits[visits["way"] == "trailing"]["timestep"].tolist() == [999, 799, 599, 399, 199]
    assert len(pd.read_csv(tmp_path / "schedule" / "noise.csv")) == 1000
    assert (tmp_path / "schedule" / "noise.png").read_bytes().startswith(PNG)


def test_a_sweep_over_steps_gets_its_errors(run, tmp_path, tiny_sd, capsys):
    settings = Settings(width=64, height=64, guidance_scale=1.0)
    axes = ["steps=2,8"]
    found = synth.study(
        prompts=["a cat"], seeds=1, settings=settings, model=str(tiny_sd), axes=axes, name="steps", progress=False
    )
    assert run("steps", "steps") == 0
    assert "grey levels off" in capsys.readouterr().out
    assert list(pd.read_csv(found.folder / "explain" / "steps.csv")["steps"]) == [2, 8]
    assert (found.folder / "explain" / "steps.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(("words", "message"), [
    (["tree"], "phrase"),
    (["tree", "a cat", "--study", "x"], "phrase"),
    (["tree", "a cat", "--branches", "0"], "branches"),
    (["tree", "a cat", "--expander", "gpt-2000"], "expander"),
    (["film", "a cat", "--steps", "0"], "steps"),
    (["film", "a cat", "--respacing", "900,1", "--steps", "3"], "respacing"),
    (["film", ""], "phrase"),
    (["film", "a cat", "--against", "a cat"], "another prompt"),
    (["schedule", "--steps", "many"], "steps"),
    (["schedule", "--model", "gpt2"], "model"),
])  # fmt: skip
def test_mistakes_are_told(run, words, message):
    with pytest.raises(InputError, match=message):
        run(*words)


def test_a_tree_that_cannot_be_grown_is_refused_before_gpt2_writes(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "synth.expansion", None)
    for words in (["--branches", "0"], ["--depth", "99"], ["--least", "2"]):
        with pytest.raises(InputError, match=words[0].strip("-")):
            run("tree", "a cat", *words)


def test_a_sweep_over_respacings_gets_its_errors(run, tiny_sd):
    settings = Settings(width=64, height=64, guidance_scale=1.0)
    how = {"settings": settings, "model": str(tiny_sd), "axes": ["respacing=2,1 | ddim5"], "name": "glide"}
    found = synth.study(prompts=["a cat"], seeds=1, progress=False, **how)
    assert run("steps", "glide") == 0
    table = pd.read_csv(found.folder / "explain" / "steps.csv")
    assert list(table["way"]) == ["2,1", "ddim5"] and list(table["steps"]) == [3, 5]


def test_studies_that_cannot_be_explained_so_are_refused(run, tmp_path):
    with pytest.raises(StudyError, match="no study"):
        run("steps", "missing")
    make_study(tmp_path / "generated_images" / "mine")
    with pytest.raises(InputError, match="sweep over steps"):
        run("steps", "mine")


def test_slides_are_written_beside_the_notebook(run, tmp_path, capsys):
    import nbformat

    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A")]), tmp_path / "n.ipynb")
    assert run("slides", tmp_path / "n.ipynb") == 0
    assert "1 slide." in capsys.readouterr().out
    assert "<h1>A</h1>" in (tmp_path / "n.slides.html").read_text()
