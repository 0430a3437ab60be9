"""What README says is so."""

import re
import shlex
import tomllib
from functools import partial
from pathlib import Path

import pytest

import synth
from synth.cli import COMMANDS, _spelled_out, make_parser
from synth.jobs import ExpansionSettings, Settings
from synth.presets import PRESETS
from synth.studies import study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMAND_LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
SYNTH_LINES = [re.split(r"-m (?=synth )", line)[-1] for line in COMMAND_LINES if re.search(r"(^|-m )synth ", line)]


@pytest.mark.parametrize("line", SYNTH_LINES)
def test_every_command_is_understood(line):
    words = shlex.split(line.split(" > ")[0])[1:]
    arguments, rest = make_parser().parse_known_args(_spelled_out(words))
    assert callable(arguments.run) and not rest


def test_ci_runs_the_two_commands_to_the_letter():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    commands = [line for line in COMMAND_LINES if line.startswith("pip install")]
    assert len(commands) == 2 and set(commands) <= set(script)


def test_the_python_program_does_the_main_job_in_five_lines(tiny_sd, tiny_gpt2, monkeypatch, tmp_path):
    [program] = [block for kind, block in BLOCKS if kind == "python"]
    assert len([line for line in program.splitlines() if line]) <= 5
    small = {"settings": Settings(steps=1, width=64, height=64), "expansion": ExpansionSettings(max_new_tokens=4)}
    tiny = partial(study, model=str(tiny_sd), expander=str(tiny_gpt2), progress=False, **small)
    monkeypatch.setattr(synth, "study", tiny, raising=False)
    exec(program, {})
    assert (tmp_path / "lighthouses.png").is_file()
    assert len(list(tmp_path.glob("generated_images/*/images/*.png"))) == 16


def test_every_command_and_preset_is_in_its_table():
    for command in COMMANDS:
        assert f"| `synth {command}" in README
    for preset in PRESETS.values():
        [line] = [line for line in README.splitlines() if line.startswith("|") and f"`{preset.name}`" in line]
        assert preset.licence in line and (preset.size is None or f"| {preset.size} px |" in line)


def test_every_file_is_explained():
    tree = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    told = set(re.findall(r"\w+\.(?:py|ipynb|csv)", tree))
    files = {path.name for folder in ("synth", "notebooks") for path in (ROOT / folder).rglob("*") if path.is_file()}
    there = {name for name in files if re.fullmatch(r"\w+\.(?:py|ipynb|csv)", name)} - {"__main__.py"}
    assert told == there


def test_every_link_leads_to_a_file():
    for target in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_licence_is_apache_2():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence and "END OF TERMS AND CONDITIONS" in licence
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
