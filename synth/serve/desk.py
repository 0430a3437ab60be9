"""Work that must not keep the web waiting: a thread for each kind, and turns between those who ask for it."""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from synth.serve.problems import full

MOST, SHARE = 64, 8  # tasks that may wait at a desk, and those of one client
OWN = ""  # the service's own tasks have turns like a client's
log = logging.getLogger("synth.serve")


class Tasks:
    """Tasks that wait: one of each client, then the next of each. Its owner sees to it that threads take turns too."""

    def __init__(self, most: int = MOST, share: int = SHARE) -> None:
        self.most, self.share, self._waiting = most, share, OrderedDict[str, deque[tuple[Future, Callable]]]()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def is_full(self, client: str) -> bool:
        """Whether nothing more of this client may wait."""
        return len(self) >= self.most or len(self._waiting.get(client, ())) >= self.share

    def add(self, client: str, task: Callable[[], Any]) -> Future:
        """The future result of a task."""
        future: Future = Future()
        self._waiting.setdefault(client, deque()).append((future, task))
        return future

    def take(self) -> tuple[Future, Callable[[], Any]]:
        """The next one."""
        client, tasks = self._waiting.popitem(last=False)
        found = tasks.popleft()
        if tasks:
            self._waiting[client] = tasks
        return found


def settle(future: Future, task: Callable[[], Any]) -> None:
    """Do a task whose result is still wanted; an error belongs to whoever asked."""
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(task())
        except Exception as error:
            future.set_exception(error)


def log_error(future: Future) -> None:
    """Note the error of a task that nobody asks about."""
    if not future.cancelled() and (error := future.exception()):
        log.error("something failed that nobody waits for", exc_info=error)


class Desk:
    """A thread that does one thing after another; `ask` refuses where too many wait, `do` never does.

    pace: seconds that a client is told to wait in that case.
    """

    def __init__(self, name: str, pace: Callable[[], float]) -> None:
        self._pace, self._tasks, self._busy, self._stopped = pace, Tasks(), False, False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether something is being done, or waits."""
        return self._busy or bool(self._tasks)

    def ask(self, client: str, task: Callable[[], Any]) -> Future:
        """The future result of a task, which is given up if that is cancelled before its turn."""
        with self._news:
            if self._tasks.is_full(client):
                raise full(self._pace())
            return self._add(client, task)

    def do(self, task: Callable[[], Any], client: str = OWN) -> None:
        """Do a task that was promised already; after `stop` the next server begins with it."""
        with self._news:
            self._add(client, task).add_done_callback(log_error)

    def stop(self) -> None:
        """Finish what is in hand, and forget the rest."""
        with self._news:
            self._stopped = True
            while self._tasks:
                self._tasks.take()[0].cancel()
            self._news.notify()
        self._thread.join()

    def _add(self, client: str, task: Callable[[], Any]) -> Future:
        future = self._tasks.add(client, task)
        self._news.notify()
        return future

    def _work(self) -> None:
        while True:
            with self._news:
                self._busy = False
                self._news.wait_for(lambda: self._stopped or self._tasks)
                if self._stopped:
                    return
                self._busy = True
                future, task = self._tasks.take()
            settle(future, task)
