"""`synth measure` and `synth votes` do what the library does, and say where to look."""

import subprocess
import sys

import pytest
from drawn_studies import drawn_study, quality_votes

from synth.cli import measure as commands
from synth.cli.parsing import Parser
from synth.errors import InputError, StudyError
from synth.measure.studies import MEASURES


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return drawn_study(tmp_path_factory.mktemp("studies") / "drawn", seeds=6)


def run(*words: str) -> int:
    parser = Parser(prog="synth")
    commands.register(parser.add_subparsers(required=True))
    arguments = parser.parse_args(words)
    return arguments.run(arguments)


def test_measure_votes_merge(study, tmp_path, capsys):
    place = [study.name, "--out", str(study.folder.parent)]
    assert run("measure", *place, "--measures", "clip_prompt, sharpness,self_bleu", "--device", "cpu") == 0
    told = capsys.readouterr().out
    assert "clip_prompt" in told and "CLIP score (Hessel et al. 2021), vignettes-clip sha256:" in told
    assert (study.folder / "measures.png").is_file()
    assert run("votes", "page", *place, "--pairs", "30", "--seed", "3", "--page", str(tmp_path / "p.html")) == 0
    assert str(tmp_path / "p.html") in capsys.readouterr().out
    files = quality_votes(tmp_path / "p.html", tmp_path, {job.key: job.seed for job in study.jobs})
    assert run("votes", "merge", *place, *map(str, files)) == 0
    told = capsys.readouterr().out
    assert "rank correlation with the votes" in told and "images/" in told
    assert all((study.folder / name).is_file() for name in ("ranks-1.png", "ranks-2.png", "agreement.png"))
    assert study.frame()["bt_rank"].notna().all()


def test_votes_without_measures_say_how_to_compare_them(tmp_path, capsys):
    bare = drawn_study(tmp_path / "bare", seeds=2)
    run("votes", "page", str(bare.folder))
    files = quality_votes(bare.folder / "votes.html", tmp_path, {job.key: 0.0 for job in bare.jobs})
    assert run("votes", "merge", str(bare.folder), *map(str, files)) == 0
    assert "run `synth measure` too" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "error", "message"), [
    (["measure", "--measures", "clip"], InputError, "did you mean 'clip_"),
    (["measure", "--reference", "nowhere"], InputError, "at least 4 pictures"),
    (["votes", "page", "--pairs", "many"], InputError, "pairs: 'many' cannot be used"),
    (["votes", "merge", "nothing.json"], InputError, "give a file that can be read"),
    (["measure", "--out", "nowhere"], StudyError, "is no study"),
])  # fmt: skip
def test_mistakes_are_told(study, words, error, message):
    name = [study.name if "--out" in words else str(study.folder)]
    command = words[: 1 + (words[0] == "votes")]
    with pytest.raises(error, match=message):
        run(*command, *name, *words[len(command) :])


def test_the_help_names_every_measure():
    assert tuple(MEASURES) == commands.MEASURES


def test_modules_stay_light():
    heavy = "{'torch', 'pandas', 'matplotlib', 'scipy'} & sys.modules.keys()"
    program = f"import sys, synth.measure, synth.cli.measure; sys.exit(', '.join({heavy}) or 0)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
