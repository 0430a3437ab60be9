"""Whose picture is next: clients take turns, so that a hundred pictures of one keep nobody else waiting."""

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass(frozen=True, slots=True)
class Turn:
    """One picture of a client. study: what it belongs to; alike: equal for those that can be computed together."""

    client: str
    study: Any
    job: Any
    alike: Hashable


class Turns:
    """The pictures that wait, in a queue for each client; the clients stand in a circle. Any thread may use it."""

    def __init__(self) -> None:
        self._circle: dict[str, deque[Turn]] = {}  # in the order of their turns
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._circle.values()))

    def add(self, turns: Iterable[Turn]) -> None:
        """Queue pictures; a client that had none waiting becomes the last in the circle."""
        with self._lock:
            for turn in turns:
                self._circle.setdefault(turn.client, deque()).append(turn)

    def take(self, most: int) -> list[Turn]:
        """The next pictures, at most `most` and alike, one a client and round until that many are found.

        The first in the circle decides what they are like. A client whose next picture is not like that keeps its
        place, and so decides soon.
        """
        taken: list[Turn] = []
        with self._lock:
            found = True
            while found and len(taken) < most:
                found = False
                for client in list(self._circle):
                    if len(taken) < most and (not taken or self._circle[client][0].alike == taken[0].alike):
                        taken.append(self._next(client))
                        found = True
        return taken

    def drop(self, study: Any) -> int:
        """Forget what waits of a study; returns how many pictures that were."""
        with self._lock:
            before = sum(map(len, self._circle.values()))
            kept = {
                client: deque(turn for turn in queue if turn.study is not study)
                for client, queue in self._circle.items()
            }
            self._circle = {client: queue for client, queue in kept.items() if queue}
            return before - sum(map(len, self._circle.values()))

    def _next(self, client: str) -> Turn:
        """A client's next picture; with others waiting, it goes to the end of the circle."""
        queue = self._circle.pop(client)
        turn = queue.popleft()
        if queue:
            self._circle[client] = queue
        return turn
