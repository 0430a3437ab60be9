"""The requests that were accepted, in SQLite: one row a study, on disk before its client is told so.

Which pictures are done is not noted here: the studies' own journals know. So nothing can be lost or done twice between
the two, however the server dies.
"""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from synth.errors import StudyError
from synth.records.files import remedy_for
from synth.records.plans import Plan

OPENING, WAITING, DONE, FAILED, CANCELLED = "opening", "waiting", "done", "failed", "cancelled"
UNFINISHED = (OPENING, WAITING)
log = logging.getLogger("synth.serve")

_TABLE = """
CREATE TABLE IF NOT EXISTS requests (
    client TEXT NOT NULL, study TEXT NOT NULL, plan TEXT NOT NULL, source TEXT NOT NULL, mask TEXT NOT NULL,
    detached INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, left INTEGER NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY (client, study)
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A request: a plan of a client.

    study: its id, and the name of its folder. source, mask: uploads that it is drawn over, or "".
    detached: goes on when its client is gone. left: pictures that are not done yet.
    state: "opening" (prompts are being written), "waiting", "done", "failed" (reason says why) or "cancelled".
    """

    client: str
    study: str
    plan: Plan
    source: str = ""
    mask: str = ""
    detached: bool = False
    state: str = OPENING
    reason: str = ""
    left: int = 0
    created: str = ""


class TooMany(Exception):
    """The queue has no room for a request."""


class Queue:
    """All requests, of which those that are unfinished wait; any thread may use it.

    most: pictures that may wait, over all clients; share: of one client.
    """

    def __init__(self, path: Path, most: int, share: int) -> None:
        self.path, self.most, self.share = path, most, share
        self._lock = Lock()
        self._unwritten: dict[tuple[str, str], Entry] = {}
        with self._guarded():
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
            self._database.row_factory = sqlite3.Row
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.execute(_TABLE)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def add(self, entry: Entry) -> tuple[Entry, bool]:
        """Accept a request: it, and whether it is new; one that has ended begins anew. Raises TooMany."""
        entry = replace(entry, left=entry.plan.pictures, created=datetime.now(UTC).isoformat(timespec="seconds"))
        with self._lock, self._guarded():
            self._write_down()
            with self._transaction():
                present = self._found(entry.client, entry.study)
                if present is not None and present.state in UNFINISHED:
                    return present, False
                if present is not None:
                    entry = replace(entry, created=present.created)
                if self._left() + entry.left > self.most or self._left(entry.client) + entry.left > self.share:
                    raise TooMany
                values = _row(entry)
                names = ", ".join(values)
                marks = ", ".join(f":{name}" for name in values)
                self._database.execute(f"INSERT OR REPLACE INTO requests ({names}) VALUES ({marks})", values)
        return entry, True

    def change(self, entry: Entry, state: str, left: int, reason: str = "") -> Entry:
        """Note what has become of a request. What a full disk does not take is remembered, and written down later."""
        entry = replace(entry, state=state, left=left, reason=reason)
        with self._lock:
            self._unwritten[entry.client, entry.study] = entry
            try:
                with self._guarded():
                    self._write_down()
            except StudyError as error:
                log.error("%s", error)
        return entry

    def find(self, client: str, study: str) -> Entry | None:
        """A client's request; None where it has none of that id."""
        with self._lock, self._guarded():
            return self._found(client, study)

    def of(self, client: str) -> list[Entry]:
        """A client's requests, the latest first."""
        return self._select("client = ? ORDER BY created DESC, rowid DESC", client)

    def unfinished(self) -> list[Entry]:
        """What waits, the oldest first."""
        return self._select("state IN (?, ?) ORDER BY rowid", *UNFINISHED)

    def clients_waiting(self) -> list[str]:
        """Who has requests that end when they are gone."""
        query = "SELECT DISTINCT client FROM requests WHERE state IN (?, ?) AND NOT detached"
        with self._lock, self._guarded():
            return [row["client"] for row in self._database.execute(query, UNFINISHED)]

    def left(self) -> int:
        """How many pictures wait."""
        with self._lock, self._guarded():
            return self._left()

    def _left(self, client: str | None = None) -> int:
        query = "SELECT coalesce(sum(left), 0) FROM requests WHERE state IN (?, ?)"
        if client is None:
            return self._database.execute(query, UNFINISHED).fetchone()[0]
        return self._database.execute(f"{query} AND client = ?", (*UNFINISHED, client)).fetchone()[0]

    def _write_down(self) -> None:
        for key, entry in list(self._unwritten.items()):
            self._database.execute(
                "UPDATE requests SET state = ?, left = ?, reason = ? WHERE client = ? AND study = ?",
                (entry.state, entry.left, entry.reason, *key),
            )
            del self._unwritten[key]

    def _found(self, client: str, study: str) -> Entry | None:
        if (client, study) in self._unwritten:
            return self._unwritten[client, study]
        row = self._database.execute(
            "SELECT * FROM requests WHERE client = ? AND study = ?", (client, study)
        ).fetchone()
        return row and _entry(row)

    def _select(self, condition: str, *values: str) -> list[Entry]:
        with self._lock, self._guarded():
            entries = map(_entry, self._database.execute(f"SELECT * FROM requests WHERE {condition}", values))
            return [self._unwritten.get((entry.client, entry.study), entry) for entry in entries]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # a full disk has ended it already
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn what the disk and SQLite say into a StudyError with a remedy."""
        try:
            yield
        except sqlite3.Error as error:
            raise StudyError(f"{self.path} cannot be used ({error}); {remedy_for(str(error))}") from error


def _row(entry: Entry) -> dict[str, object]:
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return values | {"plan": json.dumps(entry.plan.as_dict())}


def _entry(row: sqlite3.Row) -> Entry:
    values = dict(row)
    plan = Plan.from_dict(json.loads(values.pop("plan")))
    return Entry(**values | {"plan": plan, "detached": bool(values["detached"])})
