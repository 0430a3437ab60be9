"""Runs every command of README.md that needs no hub, in order, in the working directory: `python tests/run_readme.py`.

Part of .ci/run, after the two commands that install. Tables shown in README become the files that commands name.
"""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
NEEDS_HUB = re.compile(r"--model (sd2|sdxl)")
HEALTH = {"synth page": "http://127.0.0.1:8501/_stcore/health", "synth serve": "http://127.0.0.1:8000/readyz"}


def main() -> None:
    for kind, block in re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL):
        if kind == "csv":
            Path("phrases.csv").write_text(block, encoding="utf-8")
        elif kind == "python":
            run([sys.executable, "-c", block])
        elif kind == "sh":
            for line in block.splitlines():
                if line in HEALTH:
                    serve(line)
                elif line and not line.startswith("pip install") and not NEEDS_HUB.search(line):
                    run(["bash", "-c", line])


def run(command: list[str]) -> None:
    print(f"\n--- {command[-1].strip()}", flush=True)
    subprocess.run(command, check=True)


def serve(line: str) -> None:
    """Run a command that serves until it answers, and end it as Ctrl-C does."""
    print(f"\n--- {line}", flush=True)
    with subprocess.Popen(line.split()) as server:
        try:
            while not answers(HEALTH[line]):
                assert server.poll() is None, f"{line} ended with {server.returncode}"
                time.sleep(0.5)
        finally:
            server.send_signal(signal.SIGINT)
    assert server.returncode in (0, 130), server.returncode


def answers(address: str) -> bool:
    """Whether a server is healthy."""
    try:
        return urlopen(address, timeout=5).status == 200
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    main()
