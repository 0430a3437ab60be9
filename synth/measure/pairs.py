"""Which pictures a voter sees side by side: every pair once, in rounds that are fair to all."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

Pair = tuple[int, int]


def rounds(groups: Sequence[Sequence[int]], seed: int) -> list[list[Pair]]:
    """Each pair within each group once, the left one first, in rounds in which no picture is seen twice.

    In a round of an even group everyone takes part, in that of an odd one all but one. Groups of fewer pictures have
    fewer rounds. On the left and on the right a picture is seen equally often, but for a few times. The seed decides
    who meets whom when, and on which side.
    """
    rng = random.Random(seed)
    schedules = [_schedule(rng.sample(group, len(group))) for group in groups]
    made = [[pair for pairs in of_groups for pair in pairs] for of_groups in zip_longest(*schedules, fillvalue=())]
    for pairs in made:
        rng.shuffle(pairs)
    return _sided(made, rng)


def _schedule(players: list[int]) -> list[list[Pair]]:
    """A tournament by the circle method: one stays, the others move on by one place from round to round."""
    seats: list[int | None] = [*players, None] if len(players) % 2 else list(players)
    made = []
    for _ in range(len(seats) - 1):
        facing = zip(seats[: len(seats) // 2], reversed(seats), strict=False)
        made.append([(a, b) for a, b in facing if a is not None and b is not None])
        seats = [seats[0], seats[-1], *seats[1:-1]]
    return made


def _sided(made: list[list[Pair]], rng: random.Random) -> list[list[Pair]]:
    """The pairs with that picture on the left which has been there less often than on the right, as yet."""
    lefts: Counter[int] = Counter()
    for pairs in made:
        for place, (a, b) in enumerate(pairs):
            if (lefts[a], rng.random()) > (lefts[b], rng.random()):
                a, b = b, a
            lefts[a] += 1
            lefts[b] -= 1
            pairs[place] = (a, b)
    return made
