"""Commands around this machine: models, doctor."""

from argparse import Namespace
from math import prod
from pathlib import Path
from typing import Any

from synth.cli.parsing import add_command, table
from synth.models.weights import read_header
from synth.presets import PRESETS, Preset, is_present


def register(commands: Any) -> None:
    """Add the commands."""
    about = "list the models that have a name, their licences, and whether they are present"
    add_command(commands, "models", models, about, "synth models")
    about = "tell what device, memory, libraries, models and hub access there are, and what would be used"
    add_command(commands, "doctor", doctor, about, "synth doctor")


def models(arguments: Namespace) -> int:
    rows = [_row(preset, is_present(preset)) for preset in PRESETS.values()]
    print(table(("name", "kind", "native size", "licence", "parameters", "present", "about"), rows))
    return 0


def doctor(arguments: Namespace) -> int:
    from synth.doctor import examine

    examination = examine()
    width = max(len(name) for facts in examination.facts.values() for name in facts)
    for title, facts in examination.facts.items():
        print(title, *(f"  {name:{width}}  {fact}" for name, fact in facts.items()), "", sep="\n")
    for problem in examination.problems:
        print(f"problem: {problem}")
    return 1 if examination.problems else 0


def _row(preset: Preset, present: bool) -> tuple[str, ...]:
    size = f"{preset.size} px" if preset.size else ""
    parameters = preset.parameters or (_count_parameters(preset.folder) if present else 0)
    here = "yes" if present else "no"
    return preset.name, preset.kind, size, preset.licence, _amount(parameters), here, preset.about


def _count_parameters(folder: Path) -> int:
    headers = [read_header(file) for file in folder.rglob("*.safetensors")]
    return sum(prod(tensor["shape"]) for header in headers for name, tensor in header.items() if name != "__metadata__")


def _amount(parameters: int) -> str:
    """A number of parameters as people say it, such as "124 M" or "1.3 B".

    >>> _amount(124_000_000), _amount(1_290_000_000), _amount(13_346_579), _amount(0)
    ('124 M', '1.3 B', '13.3 M', '')
    """
    if parameters >= 10**9:
        return f"{parameters / 10**9:.1f} B"
    return f"{parameters / 10**6:.3g} M" if parameters else ""
