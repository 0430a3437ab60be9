"""What happens to studies, told to everybody who listens, however slowly they read."""

import asyncio
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """kind: "state", "drawn", "prompts", "preview", "picture" or "expansion"; data: ready for JSON.

    about: of events about the same the later takes the earlier's place where that was not read yet.
    """

    kind: str
    data: Any
    about: Hashable = None


class Mailbox:
    """What a listener has not read yet. It grows no further than there are things to tell about."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._unread: dict[Hashable, Event] = {}
        self._lock, self._news = Lock(), asyncio.Event()
        self.closed = False

    def put(self, event: Event) -> None:
        """Leave an event, from any thread."""
        slot = event.about or event.kind
        with self._lock:
            self._unread.pop(slot, None)
            self._unread[slot] = event
        self._wake()

    def close(self) -> None:
        """Nothing comes any more, from any thread."""
        self.closed = True
        self._wake()

    async def get(self, patience: float) -> Event | None:
        """The next event; None where none came within `patience` seconds, or none will."""
        try:
            async with asyncio.timeout(patience):
                while not (self._unread or self.closed):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        with self._lock:
            return self._unread.pop(next(iter(self._unread))) if self._unread else None

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the loop has ended, and with it whoever listened
            self.closed = True


class Hub:
    """Hands events about a topic to all who listen to it; any thread may tell."""

    def __init__(self) -> None:
        self._listeners: dict[Hashable, list[Mailbox]] = {}
        self._lock, self._closed = Lock(), False

    @contextmanager
    def listening(self, topic: Hashable) -> Iterator[Mailbox]:
        """A mailbox for what is told about a topic within the block."""
        mailbox = Mailbox()
        with self._lock:
            self._listeners.setdefault(topic, []).append(mailbox)
            mailbox.closed = self._closed
        try:
            yield mailbox
        finally:
            with self._lock:
                self._listeners[topic].remove(mailbox)
                if not self._listeners[topic]:
                    del self._listeners[topic]

    def tell(self, topic: Hashable, event: Event) -> None:
        """Tell an event."""
        with self._lock:
            listeners = list(self._listeners.get(topic, ()))
        for mailbox in listeners:
            mailbox.put(event)

    def is_heard(self, topic: Hashable) -> bool:
        """Whether anybody listens."""
        with self._lock:
            return topic in self._listeners

    def close(self) -> None:
        """End every listener's stream, as the server stops."""
        with self._lock:
            self._closed = True
            listeners = [mailbox for mailboxes in self._listeners.values() for mailbox in mailboxes]
        for mailbox in listeners:
            mailbox.close()
