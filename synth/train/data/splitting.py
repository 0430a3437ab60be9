"""Which pictures are taken, and which of them are never trained on: chosen by hashes, the same on every machine."""

import hashlib
import heapq
from collections.abc import Sequence

from synth.train.data.entries import Entry


def sample(entries: list[Entry], limit: int) -> list[Entry]:
    """At most `limit` entries (0: all), chosen by a hash of their names, which often go class by class; in order."""
    if not limit or limit >= len(entries):
        return entries
    places = heapq.nsmallest(limit, range(len(entries)), key=lambda place: _sha256(entries[place].origin))
    return [entries[place] for place in sorted(places)]


def split_by_content(contents: Sequence[str], share: float) -> list[str]:
    """The split of each of at least two pictures: "validation" for about a share of them, "train" for the others.

    contents: SHA-256 digests of the pictures, in hexadecimal. Each is compared with a threshold, so that a picture
    keeps its split whatever its name and whichever others come or go; only where a split would be empty, the picture
    nearest to the threshold goes over.
    """
    values = [int(digest, 16) / 16 ** len(digest) for digest in contents]
    chosen = {place for place, value in enumerate(values) if value < share}
    if not chosen:
        chosen = {values.index(min(values))}
    elif len(chosen) == len(values):
        chosen.remove(values.index(max(values)))
    return ["validation" if place in chosen else "train" for place in range(len(values))]


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
