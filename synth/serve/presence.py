"""Which clients are still there: those that said something lately."""

import time
from threading import Lock


class Presence:
    """When each client was last heard; any thread may use it. A client never heard counts as heard at the start."""

    def __init__(self) -> None:
        self._start, self._heard, self._lock = time.monotonic(), {}, Lock()

    def heard(self, client: str) -> None:
        """Note that a client is there."""
        with self._lock:
            self._heard[client] = time.monotonic()

    def forget(self, seconds: float) -> None:
        """Forget those who were not heard for that long."""
        with self._lock:
            latest = time.monotonic() - seconds
            self._heard = {client: when for client, when in self._heard.items() if when > latest}

    def silence(self, client: str) -> float:
        """For how many seconds a client has not been heard."""
        with self._lock:
            return time.monotonic() - self._heard.get(client, self._start)
