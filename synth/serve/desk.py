"""A thread for one kind of work that must not keep the web waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from synth.serve.problems import full

MOST = 64


class Desk:
    """A thread that does one thing after another; `ask` refuses where MOST wait, `do` never does.

    pace: seconds that a client is told to wait in that case.
    """

    def __init__(self, name: str, pace: Callable[[], float]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pace, self._waiting, self._stopped, self._lock = pace, 0, False, threading.RLock()

    @property
    def busy(self) -> bool:
        """Whether something is being done, or waits."""
        return self._waiting > 0

    def ask(self, task: Callable[[], Any]) -> Future:
        """The future result of a task."""
        if self._waiting >= MOST:
            raise full(self._pace())
        return self.do(task)

    def do(self, task: Callable[[], Any]) -> Future:
        """Do a task that was promised already."""
        with self._lock:
            if self._stopped:  # the next server begins with what was promised
                return Future()
            self._waiting += 1
            future = self._pool.submit(task)
        future.add_done_callback(self._done)
        return future

    def stop(self) -> None:
        """Finish what is in hand, and forget the rest."""
        with self._lock:
            self._stopped = True
        self._pool.shutdown(cancel_futures=True)

    def _done(self, future: Future) -> None:
        with self._lock:
            self._waiting -= 1
