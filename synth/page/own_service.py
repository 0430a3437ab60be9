"""A service of the page's own: a process that is started, watched and stopped with the page."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import IO

from synth.errors import SynthError
from synth.page.champions import champions
from synth.page.joined import Joined
from synth.records.files import made_folder, write_atomically
from synth.serve.client import ServiceError

CHAMPIONS = ".champions"
KEY = ".page-key"
PATIENCE = 300.0  # seconds until it answers
FAREWELL = 30.0  # seconds for the batch in hand
CHATTER = ("INFO:",)  # uvicorn's, of an address that nobody is to open


@contextmanager
def own_service(out: Path) -> Iterator[Joined]:
    """A service on a free port of this machine that offers all presets and champions; stopped at the end of the block.

    out: the root of all studies. SynthError where it cannot be, or the service does not start, after its own words.
    """
    key, port = _key(out), free_port()
    models = ",".join(["presets", *champions(out / CHAMPIONS)])
    words = ["--port", str(port), "--models", models, "--out", str(out)]
    command = [sys.executable, "-m", "synth.cli.tied_service", *words]
    environment = os.environ | {"SYNTH_KEYS": key}  # so that nobody else on this machine is answered
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}  # with stdin ends the service, should this be killed
    process = subprocess.Popen(command, env=environment, text=True, **pipes)
    Thread(target=_relay, args=(process.stderr,), daemon=True).start()
    service = Joined(f"http://127.0.0.1:{port}", key, process)
    try:
        _wait(service)
        yield service
    finally:
        stop(process)


def _key(out: Path) -> str:
    """The service's key, for this user alone: the same at every start, so that visitors find their studies again."""
    path = made_folder(out) / KEY
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe().encode(), mode=0o600)
    return path.read_text(encoding="utf-8")


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait(service: Joined) -> None:
    """Until it answers."""
    deadline = time.monotonic() + PATIENCE
    with service.client() as client:
        while time.monotonic() < deadline:
            try:
                client.offered()
                return
            except ServiceError as error:
                if service.process.poll() is not None:
                    raise SynthError("the page's own service did not start; it said why above") from error
                time.sleep(0.1)
    raise SynthError(f"the page's own service did not answer within {PATIENCE:g} seconds")


def stop(process: subprocess.Popen) -> None:
    """Let it finish the batch in hand; what waits goes on when it starts again."""
    process.terminate()
    try:
        process.wait(FAREWELL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _relay(lines: IO[str]) -> None:
    """Pass on what it says, but for its chatter."""
    for line in lines:
        if not line.startswith(CHATTER):
            print(line, end="", file=sys.stderr, flush=True)
