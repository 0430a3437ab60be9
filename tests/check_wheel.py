"""Check that a wheel holds all that Synth needs without its repository: `python tests/check_wheel.py FILE.whl`."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def expected_files() -> set[str]:
    """Names in the wheel of every file that git knows under synth/ and notebooks/."""
    listing = subprocess.run(
        ["git", "ls-files", "synth", "notebooks"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = listing.stdout.splitlines()
    return {f"synth/{name}" if name.startswith("notebooks/") else name for name in names}


def missing_files(wheel: Path) -> set[str]:
    """What the repository has and the wheel has not."""
    return expected_files() - set(zipfile.ZipFile(wheel).namelist())


if __name__ == "__main__":
    if missing := missing_files(Path(sys.argv[1])):
        sys.exit(f"The wheel lacks {', '.join(sorted(missing))}")
    print("The wheel is whole.")
