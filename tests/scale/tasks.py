"""What the workers of the tests are given to do; they import it from here."""

import os
import signal
import time
from pathlib import Path


def square(number):
    """A number's square, and who computed it."""
    time.sleep(0.05)
    return os.getpid(), number * number


def fatal(item):
    """Kills its own worker over "die", always, and over a path until that file has two letters."""
    if isinstance(item, Path):
        with item.open("a") as file:
            file.write("x")
        if item.stat().st_size <= 2:
            os.kill(os.getpid(), signal.SIGKILL)
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def wrong(item):
    """Raises an error that is no SynthError."""
    raise ZeroDivisionError(f"{item} by zero")


def asleep(item):
    """Answers after a minute."""
    time.sleep(60)
    return item
