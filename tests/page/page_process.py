"""A real `synth page`: the command in a process of its own, which can reach nothing but this machine."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from ports import free_port

GUARD = Path(__file__).parents[1] / "guard"
PATIENCE = 120.0  # seconds until the page is open
FAREWELL = 60.0  # seconds until everything has ended


class Page:
    """The command in a folder. words: more of its options; variables: of its environment.

    notes: what was tried that must not be; log: what it said.
    """

    def __init__(self, folder: Path, *words: str, **variables: str) -> None:
        self.notes, self.log, self.port = folder / "notes.txt", folder / "page.log", free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        path = os.pathsep.join([str(GUARD), os.environ["PYTHONPATH"]])
        environment = os.environ | {"PYTHONPATH": path, "GUARD": str(self.notes), "OMP_NUM_THREADS": "1"} | variables
        command = [sys.executable, "-m", "synth", "page", "--port", str(self.port), *words]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)

    def opened(self) -> "Page":
        """It, once it is open."""
        deadline = time.monotonic() + PATIENCE
        while "Synth is open" not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def family(self) -> list[psutil.Process]:
        """Its processes: the page first, then the service."""
        page = psutil.Process(self.process.pid)
        return [page, *page.children(recursive=True)]

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(FAREWELL)
