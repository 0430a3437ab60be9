"""The command line: one command is one call of the library.

Modules here import the library inside their functions, so that `synth --help` needs no torch. A mistake of the user's
is one line on stderr, never a traceback.
"""

import io
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from synth import __version__
from synth.cli import (
    audit,
    compare,
    edit,
    explain,
    measure,
    models,
    page,
    pictures,
    reports,
    serve,
    slides,
    train,
    vignettes,
)
from synth.cli.parsing import Parser, UsageError, nearest_option
from synth.errors import SynthError
from synth.jobs import check_choice

INTERRUPTED = "interrupted; run the same command again to go on"
PATIENCE = 10.0  # seconds; a launcher ends all processes within one of the first failure

MODULES = (
    reports, pictures, compare, explain, slides, measure, audit, edit, vignettes, train, page, serve, models,
)  # fmt: skip
COMMANDS: dict[str, tuple[str, ...]] = {
    "report": (),
    "notebook": (),
    "batch": (),
    "study": ("run", "list", "show", "delete"),
    "expand": (),
    "render": (),
    "log": (),
    "verify": (),
    "compare": (),
    "explain": explain.ACTIONS,
    "slides": (),
    "measure": (),
    "votes": measure.VOTES,
    "audit": audit.ACTIONS,
    "edit": edit.ACTIONS,
    "vignettes": ("sheet", "dataset", "showcase", "evaluate"),
    "train": train.ACTIONS,
    "page": (),
    "serve": (),
    "models": (),
    "doctor": (),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: done, but a picture failed, differs or a part is missing. 2: something to put right. 130: interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that has no letter for it is no reason to fail
    try:
        with _short_warnings(), _first_process_speaks():
            code = _run(words)
        sys.stdout.flush()
        return code
    except SynthError as error:
        return _say(error, 2)
    except KeyboardInterrupt as stop:
        return _say(str(stop) or INTERRUPTED, 130) if _is_first_process() else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return 141
    except OSError as error:
        return _say(error, 2)


def make_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="synth",
        description="A phrase becomes prompts (GPT-2), pictures (Stable Diffusion) and a report (a notebook).",
        epilog='example:\n  synth report "a red lighthouse at sunset"\n\n`synth COMMAND --help` tells more of it.',
    )
    parser.add_argument("--version", action="version", version=f"synth {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in MODULES:
        module.register(commands)
    return parser


def _run(words: list[str]) -> int:
    words = _spelled_out(words)
    arguments, rest = make_parser().parse_known_args(words)
    if rest:
        raise UsageError(nearest_option(arguments.parser, rest[0]))
    return arguments.run(arguments)


def _spelled_out(words: list[str]) -> list[str]:
    """The words with what may be left out: `run` in `study "several words"`, `paint` in `edit photo.png`.

    InputError for a command that there isn't.
    """
    for depth, choices in enumerate((tuple(COMMANDS), COMMANDS.get(words[0], ()) if words else ())):
        if depth >= len(words) or words[depth].startswith("-") or not choices:
            break
        if words[0] == "study" and depth == 1 and len(words[1].split()) > 1:
            return ["study", "run", *words[1:]]
        if words[0] == "edit" and depth == 1 and "." in words[1]:
            return ["edit", "paint", *words[1:]]
        check_choice("command", words[depth], choices)
    return words


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Synth's own warnings are one line each; those of the libraries are for whoever writes code."""

    def show(message: Warning | str, category: type[Warning], *_: object) -> None:
        if category.__module__.startswith("synth.") and _is_first_process():
            print(f"synth: note: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def _first_process_speaks() -> Iterator[None]:
    """Of several processes that fail alike the first says why; the others wait, until their launcher ends them.

    One that fails alone speaks after that wait.
    """
    try:
        yield
    except Exception:
        if not _is_first_process():
            time.sleep(PATIENCE)
        raise


def _is_first_process() -> bool:
    """Whether torchrun or accelerate started this process as the first of several, or nobody did."""
    return os.environ.get("RANK", "0") == "0"


def _say(message: object, code: int) -> int:
    print("synth:", " ".join(str(message).splitlines()), file=sys.stderr)
    return code
