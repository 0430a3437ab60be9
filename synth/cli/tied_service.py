"""`synth serve` for one page: it ends when nobody holds its standard input any more, however the page ended."""

import os
import signal
import sys
from threading import Thread

from synth.cli import main


def _end_with_the_page() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    Thread(target=_end_with_the_page, daemon=True, name="synth-tied").start()
    sys.exit(main(["serve", *sys.argv[1:]]))
