"""Vote files: what a voter's browser saved, read back and checked."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from synth.errors import InputError

FORMAT = "synth votes 1"
MOST_BYTES = 1_000_000
PICKS = ("left", "right", "equal")


class Vote(NamedTuple):
    """Two pictures by their keys, and which of them was preferred: "left", "right" or "equal"."""

    left: str
    right: str
    pick: str


class Ballot(NamedTuple):
    """The votes of one voter. identity: drawn by lot when the voter began; voter: a name, often empty."""

    path: Path
    study: str
    identity: str
    voter: str
    votes: list[Vote]


def read_ballots(paths: Sequence[str | Path], study: str, phrases: Mapping[str, str]) -> list[Ballot]:
    """The ballots in files, and in the .json files of folders.

    study: the key of its plan. phrases: of each of its finished pictures, by their keys.
    InputError, which names the file, for one that is no whole vote file, of another study, of pictures that the study
    does not have, or of a ballot that another file holds too.
    """
    files = [file for path in map(Path, paths) for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise InputError("votes", [str(path) for path in paths], "give vote files, or a folder of them")
    ballots = [_read(file) for file in files]
    first: dict[str, Path] = {}
    for ballot in ballots:
        _check(ballot, study, phrases)
        if (other := first.setdefault(ballot.identity, ballot.path)) is not ballot.path:
            raise InputError("votes", str(ballot.path), f"it is the same ballot as {other}: leave out the older one")
    return ballots


def _read(path: Path) -> Ballot:
    """A vote file in its own form; InputError for anything else."""
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(MOST_BYTES))
    except OSError as error:
        raise InputError("votes", str(path), f"give a file that can be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise InputError("votes", str(path), "it is no whole vote file: have it saved again from the page") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError("votes", str(path), f"give a file that the page of `synth votes page` saved ({FORMAT})")
    try:
        votes = [Vote(*vote) for vote in data["votes"]]
        texts = [data["study"], data["ballot"], data["voter"], *(text for vote in votes for text in vote)]
    except (KeyError, TypeError):
        texts = [None]
    if not all(isinstance(text, str) for text in texts):
        raise InputError("votes", str(path), "parts of it are missing: have it saved again from the page")
    return Ballot(path, data["study"], data["ballot"], data["voter"], votes)


def _check(ballot: Ballot, study: str, phrases: Mapping[str, str]) -> None:
    """InputError unless the votes are on pairs of the study's pictures, each pair once."""
    if ballot.study != study:
        raise InputError("votes", str(ballot.path), "it belongs to another study: give votes from this study's page")
    unknown = {key for vote in ballot.votes for key in vote[:2]} - phrases.keys()
    if unknown:
        remedy = f"it has votes on {len(unknown)} pictures that the study does not have: render it to the end"
        raise InputError("votes", str(ballot.path), remedy)
    if len({frozenset(vote[:2]) for vote in ballot.votes}) < len(ballot.votes):
        raise InputError("votes", str(ballot.path), "it has two votes on one pair: have it saved again from the page")
    if not all(_is_sound(vote, phrases) for vote in ballot.votes):
        raise InputError("votes", str(ballot.path), "it has votes that the page cannot give: leave it out")


def _is_sound(vote: Vote, phrases: Mapping[str, str]) -> bool:
    return vote.pick in PICKS and vote.left != vote.right and phrases[vote.left] == phrases[vote.right]
