"""Which of the noise schedule's timesteps a picture visits, written as text. Standard library only."""

import re
from itertools import pairwise

from synth.errors import InputError

SPACINGS = ("", "leading", "linspace", "trailing")
FAST27 = "10,10,3,2,2"
MOST = 1000


def check_respacing(text: object) -> str:
    """A respacing in its normal form, "10,10,3,2,2", "fast27" or "ddim50"; InputError for anything else."""
    plain = re.sub(r"\s*,\s*", ",", text.strip().lower()) if isinstance(text, str) else None
    if plain is None or not re.fullmatch(r"|fast27|ddim[1-9]\d{0,3}|[1-9]\d{0,3}(,[1-9]\d{0,3})*", plain):
        remedy = "give counts for equal parts of the schedule (10,10,3,2,2), fast27 or ddim50"
        raise InputError("respacing", text, remedy)
    return plain


def check_timesteps(value: object) -> str:
    """Timesteps, as numbers or as text, in their normal form "999,750,500,250"; they fall, to 0 at the lowest."""
    remedy = "give at most 1,000 whole numbers that fall, such as 999,750,500,250"
    numbers = _falling("timesteps", value, int, remedy)
    if min(numbers, default=0) < 0:
        raise InputError("timesteps", value, remedy)
    return ",".join(map(str, numbers))


def check_sigmas(value: object) -> str:
    """Noise levels, as numbers or as text, in their normal form "14.6,5,1,0.3"; they fall and stay above 0."""
    remedy = "give at most 1,000 numbers above 0 that fall, such as 14.6,5,1,0.3"
    numbers = _falling("sigmas", value, float, remedy)
    if not 0 < min(numbers, default=1) <= max(numbers, default=1) < float("inf"):
        raise InputError("sigmas", value, remedy)
    return ",".join(f"{number:g}" for number in numbers)


def check_interval(text: object) -> str:
    """A part of the noise schedule in its normal form, "0.2-0.9", or "" for all of it; InputError for anything else."""
    if text == "":
        return ""
    match = re.fullmatch(r"\s*([\d.]+)\s*-\s*([\d.]+)\s*", text) if isinstance(text, str) else None
    try:
        low, high = (float(number) for number in match.groups())
    except (AttributeError, ValueError):
        low = high = 0.0
    if not 0 <= low < high <= 1:
        remedy = "give where guidance begins and ends, from 0 (no noise) to 1 (nothing else), such as 0.2-0.9"
        raise InputError("guidance_interval", text, remedy)
    return "" if (low, high) == (0, 1) else f"{low:g}-{high:g}"


def interval(text: str) -> tuple[float, float]:
    """The ends of a part of the noise schedule, written in its normal form."""
    low, high = (text or "0-1").split("-")
    return float(low), float(high)


def count(respacing: str) -> int:
    """How many timesteps a respacing visits."""
    if respacing.startswith("ddim"):
        return int(respacing[4:])
    return sum(map(int, (FAST27 if respacing == "fast27" else respacing).split(",")))


def visited(respacing: str, total: int) -> list[int]:
    """The timesteps of 0 to total - 1, falling, that a respacing visits (Nichol et al. 2022, GLIDE).

    Counts divide the schedule into equal parts, from little to much noise, and are spread evenly over each, ends
    included. "ddim50" takes a whole stride (Song et al. 2021, "DDIM"). "fast27" is 10,10,3,2,2 with the noisiest step
    two earlier. InputError where the schedule has too few.
    """
    if respacing.startswith("ddim"):
        return sorted(_strided(int(respacing[4:]), total, respacing), reverse=True)
    sections = [int(part) for part in (FAST27 if respacing == "fast27" else respacing).split(",")]
    sizes = [total // len(sections) + (number < total % len(sections)) for number in range(len(sections))]
    steps: list[int] = []
    for number, (wanted, size) in enumerate(zip(sections, sizes, strict=True)):
        if wanted > size:
            raise InputError("respacing", respacing, f"each of its {len(sections)} parts has only {size} timesteps")
        stride = (size - 1) / (wanted - 1) if wanted > 1 else 1
        steps += [sum(sizes[:number]) + round(stride * place) for place in range(wanted)]
    if respacing == "fast27":
        steps[-1] = total - 3
    return steps[::-1]


def _strided(wanted: int, total: int, respacing: str) -> range:
    for stride in range(1, total):
        if len(range(0, total, stride)) == wanted:
            return range(0, total, stride)
    raise InputError("respacing", respacing, f"no whole stride through {total} timesteps gives {wanted}")


def _falling(field: str, value: object, kind: type, remedy: str) -> list:
    """The numbers that a text or a sequence gives; InputError unless each is less than the one before."""
    parts = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    if parts in ([""], [], ()):
        return []
    try:
        numbers = [kind(part) for part in parts]
        exact = all(number == float(part) for number, part in zip(numbers, parts, strict=True))
    except (ValueError, TypeError, OverflowError):
        raise InputError(field, value, remedy) from None
    if not exact or len(numbers) > MOST or any(not later < earlier for earlier, later in pairwise(numbers)):
        raise InputError(field, value, remedy)
    return numbers
