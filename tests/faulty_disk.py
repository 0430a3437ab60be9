"""A disk that fails when it is told to: faulty_disk.c, compiled and preloaded into a Python process of its own."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def has_compiler() -> bool:
    """Whether it can be had on this machine."""
    return sys.platform == "linux" and shutil.which("cc") is not None


def run_on_it(scratch: Path, *words: str, **how: object) -> subprocess.CompletedProcess[str]:
    """Run Python with these words on a disk that `fault` rules."""
    library = scratch / "faulty_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return subprocess.run([sys.executable, *words], env=os.environ | {"LD_PRELOAD": str(library)}, text=True, **how)


@contextmanager
def fault(folder: Path, at: int = 0, error: int = 0, lasting: bool = False) -> Iterator[None]:
    """Within the block, the `at`th change below `folder` fails with `error`, or, lasting, that and all that follow."""
    arm = ctypes.CDLL(None).faulty_arm
    arm(f"{folder}/".encode(), at, error, int(lasting))
    try:
        yield
    finally:
        arm(f"{folder}/".encode(), 0, 0, 0)


def changes() -> int:
    """How many changes there were since the last block began, or ended."""
    return ctypes.CDLL(None).faulty_count()
