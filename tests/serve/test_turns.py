from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from synth.serve.turns import Turn, Turns


def turns_of(client: str, pictures: int, alike: str = "alike") -> list[Turn]:
    return [Turn(client, f"{client}'s study", number, alike) for number in range(pictures)]


def taken(turns: Turns, most: int) -> list[str]:
    return [turn.client for turn in turns.take(most)]


def test_a_hundred_pictures_of_one_keep_nobody_waiting():
    turns = Turns()
    turns.add(turns_of("greedy", 100))
    for number in range(30):
        turns.add(turns_of(f"pupil {number}", 4))
    order = [client for _ in range(20) for client in taken(turns, 16)]
    ends = [len(order) - order[::-1].index(f"pupil {number}") for number in range(30)]
    assert max(ends) <= 31 * 4  # each pupil has all of its pictures within four rounds
    assert len(order) == 220 and len(turns) == 0


@given(
    pictures=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    late=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), max_size=5),
    most=st.integers(1, 9),
)
def test_between_two_turns_of_a_client_everyone_who_waits_has_one(pictures, late, most):
    turns, waiting, history = Turns(), Counter(), []
    arrivals = {len(pictures) + place: when for place, (when, _) in enumerate(late)}
    amounts = dict(enumerate(pictures + [amount for _, amount in late]))
    since: dict[str, int] = {}  # where in the history a client began to wait
    batch = 0
    while waiting or batch == 0 or any(when >= batch for when in arrivals.values()):
        for number, amount in amounts.items():
            if arrivals.get(number, 0) == batch:
                name = f"client {number}"
                turns.add(turns_of(name, amount))
                waiting[name] += amount
                since[name] = len(history)
        for client in taken(turns, most):
            for other in [name for name in waiting if name != client]:
                mine = [place for place, name in enumerate(history) if name == client and place >= since[other]]
                theirs = [place for place, name in enumerate(history) if name == other and place >= since[other]]
                assert len(mine) <= len(theirs) + 1, (history, client, other)
            history.append(client)
            waiting[client] -= 1
            waiting += Counter()  # those who have nothing left are gone
        batch += 1
    assert Counter(history) == Counter({f"client {number}": amount for number, amount in amounts.items()})


@given(
    kinds=st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6), min_size=1, max_size=6),
    most=st.integers(1, 5),
)
def test_batches_are_alike_and_each_client_is_served_in_its_own_order(kinds, most):
    turns = Turns()
    for number, own in enumerate(kinds):
        turns.add(Turn(str(number), "study", place, kind) for place, kind in enumerate(own))
    seen: dict[str, list[int]] = {}
    first_in_circle = [str(number) for number in range(len(kinds))]
    while batch := turns.take(most):
        assert len({turn.alike for turn in batch}) == 1 and len(batch) <= most
        assert batch[0].client in first_in_circle
        for turn in batch:
            seen.setdefault(turn.client, []).append(turn.job)
    assert seen == {str(number): list(range(len(own))) for number, own in enumerate(kinds)}


def test_who_wants_another_kind_is_next():
    turns = Turns()
    turns.add(turns_of("a", 9, "small"))
    turns.add(turns_of("b", 1, "large"))
    turns.add(turns_of("c", 9, "small"))
    assert taken(turns, 4) == ["a", "c", "a", "c"]
    assert taken(turns, 4) == ["b"]


def test_what_is_dropped_frees_its_place():
    turns = Turns()
    kept, dropped = object(), object()
    turns.add([Turn("a", kept, 0, ""), Turn("a", dropped, 1, ""), Turn("b", dropped, 2, "")])
    assert turns.drop(dropped) == 2
    assert [turn.study for turn in turns.take(9)] == [kept]
    assert len(turns) == 0
