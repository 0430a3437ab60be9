"""The command serve: Synth over HTTP."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from synth.cli.options import add_common
from synth.cli.parsing import add_command
from synth.errors import InputError

INSTALL = "the service needs more libraries: pip install 'synth[serve]'"
LIMITS = {
    "pictures": "most pictures of a request", "steps": "most steps of a picture", "pixels": "most pixels of a picture",
    "queue": "most pictures that may wait", "share": "most of them of one client",
    "patience": "seconds without a word from a client until what it waits for is given up",
}  # fmt: skip


def register(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "serve", serve, "serve phrases, prompts and pictures over HTTP, here or, with keys, to others",
        "synth serve",
        "synth serve --models vignettes,vignettes-gpt2,champion=best --patience 600",
        "synth serve --host 0.0.0.0 --keys keys.txt     (a key a line; SYNTH_KEYS has them too)",
    )  # fmt: skip
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, only here)")
    parser.add_argument("--port", default="8000", metavar="N", help="(default: 8000)")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="API keys, one a line; delete one to revoke it")
    what = "names of renderers and expanders, `presets` for all, or NAME=PATH (default: vignettes,vignettes-gpt2)"
    parser.add_argument("--models", metavar="LIST", help=what)
    for name, text in LIMITS.items():
        parser.add_argument(
            f"--max-{name}" if text.startswith("most") else f"--{name}", dest=name, metavar="N", help=text
        )
    add_common(parser, "out", "device", "dtype")


def serve(arguments: Namespace) -> int:
    try:
        from synth.serve.running import Serving
        from synth.serve.running import serve as run
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("synth"):
            raise
        raise InputError("serve", error.name, INSTALL) from None
    from synth.serve.limits import Limits

    limits = {name: _number(name, getattr(arguments, name)) for name in LIMITS if getattr(arguments, name) is not None}
    given = {name: getattr(arguments, name) for name in ("keys", "device", "dtype") if getattr(arguments, name)}
    if arguments.models:
        given["models"] = tuple(name.strip() for name in arguments.models.split(",") if name.strip())
    if arguments.out:
        given["out"] = Path(arguments.out)
    run(Serving(host=arguments.host, port=_number("port", arguments.port), limits=Limits(**limits), **given))
    return 0


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < (name != "port"):
        raise InputError(name, text, "give a whole number, 1 or more")
    return int(text)
