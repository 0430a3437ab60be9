"""Writing beside the model: one thread encodes pictures and writes rows while the next batch is being rendered."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from synth.jobs import Result

WAITING = 16  # results that may wait to be written, so that memory stays flat however slow the disk is


class Recorder:
    """Hands results to `write`, in order, on a thread of its own; leaving the `with` block waits until all are written.

    The first error of `write` is raised by the next `put` or at the end of the block; later results are dropped, as
    their jobs are not done and the next run renders them.
    """

    def __init__(self, write: Callable[[Result], None]) -> None:
        self._write = write
        self._waiting: queue.Queue[Result | None] = queue.Queue(WAITING)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="synth-recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._waiting.put(None)
        self._thread.join()
        if error is None:
            self._raise_error()

    def put(self, result: Result) -> None:
        """Queue a result; waits while WAITING others are queued."""
        self._raise_error()
        self._waiting.put(result)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while (result := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    self._write(result)
                except Exception as error:  # whatever it is, it belongs to the thread that renders
                    self._error = error
