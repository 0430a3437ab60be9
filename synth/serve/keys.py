"""API keys: several, each a client of its own, from a file that is read again when it changes, or the environment.

Only digests are kept in memory. Every key is compared with what a client gave, in constant time, so that neither how
long it takes nor where it stops tells anything about a key.
"""

import hashlib
import hmac
import os
import re
from pathlib import Path
from threading import Lock

from synth.errors import InputError

VARIABLE = "SYNTH_KEYS"
LOOPBACK = ("localhost", "127.0.0.1", "::1")  # hosts that need no key
SHORTEST = 16
REMEDY = (
    f'use at least {SHORTEST} letters and digits: python -c "import secrets; print(secrets.token_urlsafe())" makes one'
)


class Keys:
    """The keys that are good now; none at all means that none is asked for, which only loopback may do.

    file: one key a line, # begins a comment. Deleting a line revokes its key at once, deleting the file revokes all.
    InputError for a file that cannot be read, and for a key that is too short.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file, self._lock = file, Lock()
        self._fixed = _digests(os.environ.get(VARIABLE, ""), VARIABLE)
        self._seen, self._read = None, frozenset()
        if file is not None and not file.is_file():
            raise InputError("keys", str(file), "give a file that exists")
        self._refresh(strict=True)
        self.wanted = file is not None or bool(self._fixed)

    def digest_of(self, key: str) -> str | None:
        """The digest of a key that is good, 64 hexadecimal digits; None for any other text."""
        self._refresh(strict=False)
        given, found = _digest(key), None
        for known in self._fixed | self._read:
            if hmac.compare_digest(known, given):
                found = known
        return found

    def _refresh(self, strict: bool) -> None:
        """Read the file if it has changed. One that has just become unreadable has no good key in it."""
        if self._file is None:
            return
        with self._lock:
            try:
                stat = self._file.stat()
                state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                if state != self._seen:
                    self._seen, self._read = state, _digests(self._file.read_text(encoding="utf-8"), str(self._file))
            except (OSError, ValueError) as error:
                self._seen, self._read = None, frozenset()
                if strict:
                    raise (
                        error
                        if isinstance(error, InputError)
                        else InputError("keys", str(self._file), f"give a text file that can be read ({error})")
                    ) from None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _digests(text: str, source: str) -> frozenset[str]:
    keys = [word for line in text.splitlines() for word in re.split(r"[\s,]+", line.partition("#")[0]) if word]
    for key in keys:
        if len(key) < SHORTEST:
            raise InputError("keys", f"a key of {len(key)} characters in {source}", REMEDY)
    return frozenset(map(_digest, keys))
