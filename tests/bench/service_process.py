"""A real server in a process of its own, for tests and benchmarks: started, asked, stopped or killed.

Every server is forked from a process that has only imported the libraries, so that one starts in a second. It may
connect to nothing, and notes every attempt and every file that it opens for which a test asks.
"""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from ports import free_port

from synth.serve.client import Client

LOCAL = ("127.0.0.1", "localhost", "::1", None, "")
FILES = ("open", "os.listdir", "os.mkdir", "os.rename", "os.scandir", "os.remove")
READY = 120.0  # seconds


class Server:
    """A server of a folder. how: fields of `Serving`, and `limits` as a dict; threads: of torch.

    notes: the file of what it tried that it must not: connections, and files with "hostile" in their names.
    """

    def __init__(self, folder: Path, *, threads: int = 1, **how: Any) -> None:
        self.out, self.threads, self.how = folder / "out", threads, how
        self.notes, self.log = folder / "notes.txt", folder / "server.log"
        self.port = free_port()
        self.process: Any = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Server":
        """Start it and wait until it can render."""
        arguments = (self.port, str(self.out), self.how, self.threads, str(self.log), str(self.notes))
        self.process = _context().Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        deadline = time.monotonic() + READY
        while not self._is_ready():
            assert self.process.is_alive() and time.monotonic() < deadline, f"it does not start: see {self.log}"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """SIGKILL: nothing is finished."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()

    def stop(self) -> None:
        """SIGTERM: the batch in hand is finished."""
        if self.process is not None and self.process.is_alive():
            os.kill(self.process.pid, signal.SIGTERM)
            self.process.join(60)
        assert self.process is None or not self.process.is_alive(), "it does not stop"

    def client(self, session: str = "", key: str | None = None, **how: Any) -> Client:
        """A client of it."""
        return Client(self.url, key, session=session, **how)

    def noted(self) -> list[str]:
        """What it tried that it must not."""
        return self.notes.read_text().splitlines() if self.notes.is_file() else []

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


def _context() -> multiprocessing.context.BaseContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["synth.serve.running", "synth.rendering", "pandas", "pyarrow.parquet"])
    return context


def _serve(port: int, out: str, how: dict[str, Any], threads: int, log: str, notes: str) -> None:
    """What the process runs."""
    import torch

    from synth.serve.limits import Limits
    from synth.serve.running import Serving, serve

    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1), os.dup2(file, 2)
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(threads)
    sys.addaudithook(_Watchman(notes))
    serve(Serving(port=port, out=Path(out), **how | {"limits": Limits(**how.get("limits", {}))}))


class _Watchman:
    """Notes connections to other machines, which it forbids, and the opening of files with a suspicious name."""

    def __init__(self, notes: str) -> None:
        self._notes = os.open(notes, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
            host = address[0] if isinstance(address, tuple) else address
            if host not in LOCAL:
                os.write(self._notes, f"{event} {host!r}\n".encode())
                raise OSError(f"the network is blocked: {host!r}")
        elif event in FILES and "hostile" in str(arguments[0]):
            os.write(self._notes, f"{event} {arguments[0]!r}\n".encode())
