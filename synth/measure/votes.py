"""People's votes on pairs of pictures, as columns of a study's log: how often each was compared, and how it ranks."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth import __version__
from synth.errors import InputError
from synth.measure.ballots import Ballot, Vote, read_ballots
from synth.measure.bradley_terry import PRIOR, bradley_terry
from synth.measure.sight import finished

if TYPE_CHECKING:
    import pandas

    from synth.studies import Study

COLUMNS = ("votes", "bt_score", "bt_low", "bt_high", "bt_rank")


def merge(study: "Study", files: Sequence[str | Path]) -> "pandas.DataFrame":
    """Add people's votes to the log of a study, in the place of earlier ones, and return its frame.

    files: all vote files that count, and folders of them. The columns, for each picture:
    votes: how many pairs with it were voted on. bt_score: its strength among the pictures of its phrase that were voted
    on, whose mean is 0, in natural logarithms of odds (see `synth.measure.bradley_terry`); bt_low, bt_high: its 95%
    interval. bt_rank: 1 for the strongest of its phrase. Without votes there are none of these.
    InputError for a vote file that cannot count (`read_ballots`), and where there is no vote at all.
    """
    rows = finished(study)
    phrases = dict(zip(rows["key"], rows["phrase"], strict=True))
    ballots = read_ballots(files, study.plan.key, phrases)
    votes = [vote for ballot in ballots for vote in ballot.votes]
    if not votes:
        raise InputError("votes", [str(path) for path in files], "there is no vote in them")
    ranked = _ranked(votes, phrases)
    for place, column in enumerate(COLUMNS):
        values = {key: ranked[key][place] if key in ranked else None for key in phrases}
        study.measure(column, values, _method(ballots, len(votes)))
    return study.frame()


def _ranked(votes: Sequence[Vote], phrases: dict[str, str]) -> dict[str, tuple[float, ...]]:
    """COLUMNS of each picture that was voted on."""
    found = {}
    for phrase in dict.fromkeys(phrases[vote.left] for vote in votes):
        found |= _ranked_together([vote for vote in votes if phrases[vote.left] == phrase])
    return found


def _ranked_together(votes: Sequence[Vote]) -> dict[str, tuple[float, ...]]:
    """COLUMNS of the pictures of one phrase."""
    times = Counter(key for vote in votes for key in vote[:2])
    places = {key: place for place, key in enumerate(times)}
    wins = np.zeros((len(places), len(places)))
    for left, right, pick in votes:
        share = {"left": 1.0, "right": 0.0, "equal": 0.5}[pick]
        wins[places[left], places[right]] += share
        wins[places[right], places[left]] += 1 - share
    score, low, high = bradley_terry(wins)
    ranks = [1 + int((score > value).sum()) for value in score]
    return dict(zip(places, zip(times.values(), score, low, high, ranks, strict=True), strict=True))


def _method(ballots: Sequence[Ballot], votes: int) -> str:
    prior = f"{PRIOR:g} wins and losses against the average added to each"
    counted = f"{votes:,} votes on {len(ballots):,} ballots"
    return f"Bradley-Terry (Hunter 2004), {prior}; {counted}; among the pictures of a phrase; synth {__version__}"
