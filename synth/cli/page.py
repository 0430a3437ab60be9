"""The command page: Synth in a browser."""

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synth.cli.options import add_common
from synth.cli.parsing import add_command
from synth.errors import InputError

INSTALL = "the page needs more libraries: pip install 'synth[page]'"


def register(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "page", page, "open Synth in a browser: phrases, prompts and pictures as they form",
        "synth page                                     (starts a service of its own)",
        "SYNTH_KEY=... synth page --url http://127.0.0.1:8000",
        "synth page --host 0.0.0.0                      (for everybody who reaches this machine)",
    )  # fmt: skip
    parser.add_argument("--url", help="of a running `synth serve`, whose key is in SYNTH_KEY (default: one of its own)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, only here)")
    parser.add_argument("--port", default="8501", metavar="N", help="(default: 8501)")
    add_common(parser, "out")


def page(arguments: Namespace) -> int:
    for name in ("streamlit", "httpx") if arguments.url else ("streamlit", "httpx", "fastapi", "uvicorn"):
        if find_spec(name) is None:
            raise InputError("page", name, INSTALL)
    if not arguments.port.isdecimal():
        raise InputError("port", arguments.port, "give a whole number, as 8501")
    from synth.page.launching import Opening, open_page

    out = Path(arguments.out) if arguments.out else None
    open_page(Opening(host=arguments.host, port=int(arguments.port), url=arguments.url, out=out))
    return 0
