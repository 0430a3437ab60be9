"""Seeds of an audit: those of another audit have nothing in common with them, so that repeating one is a new draw."""

from synth.jobs import content_key


def text_seed(seed: int, block: int) -> int:
    """GPT-2's, for one block of texts of an audit with that seed."""
    return int(content_key(["texts", seed, block])[:15], 16)


def picture_seeds(seed: int, count: int, place: int = 0) -> list[int]:
    """The renderer's for a phrase, `count` of them; no phrase at another place has any of these.

    They lie within 32 bits, which is all that torch takes of a seed on CPUs.
    """
    first = int(content_key(["pictures", seed])[:7], 16) + place * count
    return list(range(first, first + count))
