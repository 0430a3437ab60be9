"""Argument parsers whose complaints are one line, and tables for the terminal."""

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from synth.errors import SynthError
from synth.jobs import nearest


class UsageError(SynthError):
    """Words on the command line that mean nothing."""


class Parser(argparse.ArgumentParser):
    """A parser that raises UsageError instead of ending the process."""

    def __init__(self, **how: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **how)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def add_command(commands: Any, name: str, run: Callable[..., int] | None, about: str, *examples: str) -> Parser:
    """A parser for the command `name`, whose help shows the examples; `run(arguments)` gives the exit code."""
    epilog = "\n  ".join(["examples:" if len(examples) > 1 else "example:", *examples])
    parser = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", epilog=epilog)
    parser.set_defaults(run=run, parser=parser)
    return parser


def nearest_option(parser: Parser, word: str) -> str:
    """What is wrong with a word that the parser didn't know."""
    if not word.startswith("-"):
        return f"{word!r} is one word too many for `{parser.prog}`; put a phrase in quotes"
    options = sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", parser.format_help())))
    return f"`{parser.prog}` has no option {word.split('=')[0]}; did you mean {nearest(word.split('=')[0], options)}?"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns aligned with spaces, each row on one line, numbers to the right."""
    cells = [list(head), *([" ".join(str(cell).split()) for cell in row] for row in rows)]
    columns = [_aligned(column) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _aligned(column: Sequence[str]) -> list[str]:
    numbers = all(re.fullmatch(r"[\d.,]*", cell) for cell in column[1:])
    side, width = ">" if numbers else "<", max(map(len, column))
    return [f"{cell:{side}{width}}" for cell in column]


def shortened(text: str, length: int = 72) -> str:
    """At most `length` characters of a text."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "picture"), counted(16, "picture")
    ('1 picture', '16 pictures')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
