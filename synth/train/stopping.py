"""Stopping a training between two steps, so that what is saved is exactly what a step left."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Stop:
    """Within the block, Ctrl-C and SIGTERM (spot instances get it) only set `asked`; a second one interrupts at once.

    Outside the main thread, where Python allows no handlers, the block changes nothing.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in self.SIGNALS}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
