"""Runs every command of README.md that needs no hub, in order, in the working directory: `python tests/run_readme.py`.

Part of .ci/run, after the two commands that install. Tables shown in README become the files that commands name.
"""

import re
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
NEEDS_HUB = re.compile(r"--model (sd2|sdxl)")


def main() -> None:
    for kind, block in re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL):
        if kind == "csv":
            Path("phrases.csv").write_text(block, encoding="utf-8")
        elif kind == "python":
            run([sys.executable, "-c", block])
        elif kind == "sh":
            for line in block.splitlines():
                if line and not line.startswith("pip install") and not NEEDS_HUB.search(line):
                    run(["bash", "-c", line])


def run(command: list[str]) -> None:
    print(f"\n--- {command[-1].strip()}", flush=True)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
