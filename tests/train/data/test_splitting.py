"""A picture stays in its split whatever it is called and whatever else there is; a limit takes from everywhere."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from synth.train.data.entries import Entry
from synth.train.data.splitting import sample, split_by_content

digests = st.sets(st.integers(0, 10**6), min_size=2).map(lambda numbers: [sha256(number) for number in numbers])


def sha256(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


@given(digests, st.floats(0.01, 0.5), st.randoms(use_true_random=False))
def test_neither_order_nor_company_changes_a_split(contents, share, rng):
    splits = dict(zip(contents, split_by_content(contents, share), strict=True))
    assert set(splits.values()) == {"train", "validation"}
    company = contents + [sha256(-number) for number in range(1, 200)]
    rng.shuffle(company)
    among_others = dict(zip(company, split_by_content(company, share), strict=True))
    moved = [digest for digest in contents if splits[digest] != among_others[digest]]
    assert len(moved) <= 1, "only the picture that filled an empty split may go back"


@given(digests, st.floats(0.01, 0.4))
def test_a_larger_share_takes_no_picture_out_of_validation(contents, share):
    fewer, more = (split_by_content(contents, part) for part in (share, share + 0.1))
    if fewer.count("validation") > 1:
        assert all(after == "validation" for before, after in zip(fewer, more, strict=True) if before == "validation")


def test_the_share_is_kept():
    contents = [sha256(number) for number in range(10_000)]
    assert abs(split_by_content(contents, 0.1).count("validation") - 1000) < 100


def test_a_limit_takes_from_the_whole_set_and_keeps_its_order():
    entries = [Entry(f"class_{number // 100:02d}/{number}", Image.Image) for number in range(1000)]
    chosen = sample(entries, 100)
    assert len(chosen) == 100 and {entry.origin[:8] for entry in chosen} == {f"class_{k:02d}" for k in range(10)}
    assert chosen == sorted(chosen, key=entries.index)
    assert sample(entries, 0) == sample(entries, 5000) == entries
    assert set(map(id, sample(entries, 50))) <= set(map(id, chosen)), "a smaller limit takes a part of the larger one"
