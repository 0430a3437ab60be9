"""When two models' figures may be compared, and whether one is better by more than its noise."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from synth.errors import InputError
from synth.measure.intervals import Figure


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of a model, and what makes it comparable to another model's.

    terms: what it was measured on and how, in which unit. values: one for each held-out picture or text, in the order
    of the data, if the figure is their mean; else none.
    """

    figure: Figure
    terms: Mapping[str, Any] = field(default_factory=dict)
    values: Sequence[float] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `as_dict` described."""
        return cls(Figure(**data["figure"]), data["terms"], data["values"])


def check_comparable(new: Measured, old: Measured, model: str) -> None:
    """InputError if the figures are of different metrics, or not measured on the same data in the same way."""
    if new.figure.name != old.figure.name:
        remedy = f"use {old.figure.name}, by which the champion was measured, or another track.model"
        raise InputError("track.metric", new.figure.name, remedy)
    names = dict.fromkeys((*old.terms, *new.terms))
    differing = [name for name in names if new.terms.get(name) != old.terms.get(name)]
    if differing:
        remedy = (
            f"its champion was measured with other {', '.join(differing)}: evaluate and promote the champion's run in "
            "the same way first, or use another track.model"
        )
        raise InputError("track.model", model, remedy)


def compare(new: Measured, old: Measured, better: str) -> tuple[bool, str]:
    """Whether `new` is better than `old` by more than the noise (see `gain`), and that in words."""
    difference, noise = gain(new, old, better)
    verdict = "better" if difference > 0 else "worse" if difference < 0 else "no better"
    ending = "more than" if difference > noise else "not more than"
    reason = f"{new.figure} is {verdict} than {old.figure} by {abs(difference):.4g}, {ending} the noise of {noise:.4g}"
    return difference > noise, reason


def gain(new: Measured, old: Measured, better: str) -> tuple[float, float]:
    """By how much `new` is better, and its noise: the half width of the 95% interval of that difference.

    Where both have values, those of the same picture are subtracted, so that it does not matter how hard the pictures
    are; the interval is Student's for paired samples (1908), infinite for a single one. Elsewhere the half widths of
    the two figures are combined in quadrature.
    """
    sign = 1 if better == "higher" else -1
    if not new.values or len(new.values) != len(old.values):
        noise = math.hypot(new.figure.half_width, old.figure.half_width)
        return sign * (new.figure.value - old.figure.value), noise
    gains = Figure.of_few("gain", sign * np.subtract(new.values, old.values))
    return gains.value, gains.half_width
