"""The pairs are all there are, and fair."""

from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from synth.measure.pairs import rounds

SIZES = st.lists(st.integers(2, 12), min_size=1, max_size=4)


def groups(sizes: list[int]) -> list[list[int]]:
    return [list(range(sum(sizes[:place]), sum(sizes[: place + 1]))) for place in range(len(sizes))]


@given(SIZES, st.integers(0, 99))
def test_every_pair_within_a_group_is_there_once(sizes, seed):
    made = [frozenset(pair) for pairs in rounds(groups(sizes), seed) for pair in pairs]
    assert Counter(made) == Counter(frozenset(pair) for group in groups(sizes) for pair in combinations(group, 2))


@given(SIZES, st.integers(0, 99))
def test_no_picture_is_twice_in_a_round_and_hardly_one_is_left_out(sizes, seed):
    for number, pairs in enumerate(rounds(groups(sizes), seed)):
        seen = Counter(place for pair in pairs for place in pair)
        assert max(seen.values()) == 1
        playing = [size for size in sizes if number < size - 1 + size % 2]
        assert len(seen) == sum(size - size % 2 for size in playing)


@given(SIZES, st.integers(0, 99))
def test_everybody_is_as_often_on_the_left_as_on_the_right(sizes, seed):
    made = [pair for pairs in rounds(groups(sizes), seed) for pair in pairs]
    left, right = Counter(a for a, _ in made), Counter(b for _, b in made)
    assert all(abs(left[place] - right[place]) <= 4 for place in range(sum(sizes)))


def test_the_seed_decides_all():
    four = groups([9, 4])
    assert rounds(four, 1) == rounds(four, 1) != rounds(four, 2)
