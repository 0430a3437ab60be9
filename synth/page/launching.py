"""The page is opened: what it is asked for is checked, and its service is found or started."""

import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from synth.errors import InputError
from synth.jobs import check_whole
from synth.page.joined import Joined, join
from synth.page.own_service import own_service
from synth.page.server import serve_page
from synth.serve.client import ServiceError

VARIABLE = "SYNTH_KEY"
STUDIES = Path("generated_images")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How to open the page. url: of a service that runs, None for one of the page's own; out: where that keeps studies.

    host: others than this machine can use the page, and through it the service, only if it is another than loopback.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    url: str | None = None
    out: Path | None = None


def open_page(how: Opening) -> None:
    """Show the page until SIGTERM or Ctrl-C. InputError or SynthError before anything is shown."""
    _check(how)
    with _signals_end_it(), _service(how) as service:
        join(service)
        serve_page(service, how.host, how.port)


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Within the block SIGTERM and Ctrl-C leave it in order; uvicorn, while it serves, ends first and signals again."""
    before = {number: signal.signal(number, lambda *_: sys.exit()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(how: Opening) -> None:
    check_whole("port", how.port, 1, 65535)
    if how.url is not None:
        parts = urlsplit(how.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise InputError("url", parts.hostname or how.url, "give a service's address, as http://127.0.0.1:8000")
        if how.out is not None:
            raise InputError("out", str(how.out), "leave it out with --url: that service keeps its own studies")
    family = socket.AF_INET6 if ":" in how.host else socket.AF_INET
    try:
        with closing(socket.socket(family)) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind((how.host, how.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError("port", how.port, "something else uses it: give another --port") from None
        raise InputError("host", how.host, f"give an address of this machine ({error.strerror})") from None


def _service(how: Opening) -> AbstractContextManager[Joined]:
    if how.url is None:
        return own_service(how.out or STUDIES)
    service = Joined(how.url, os.environ.get(VARIABLE))
    with service.client() as client:
        try:
            client.offered()
        except ServiceError as error:
            if error.status == 401:
                raise InputError(VARIABLE, "a key" if service.key else "", "set it to a key of the service") from None
            raise
    return nullcontext(service)
