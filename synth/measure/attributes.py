"""Whether a picture of the bundled world shows what a text says, as the judge reads it."""

from collections.abc import Mapping

from synth.vignettes.captions import parse

METHOD = "share of the attributes named that the judge reads in the picture"


def accuracy(text: str, reading: Mapping[str, str]) -> float | None:
    """The share of the attributes that a text names, such as colour and place, which a picture shows, 0 to 1.

    reading: attribute -> value, as `Judge.read` gives it. Where a text names two values of an attribute, either is
    right. None where it names nothing of the world. The judge is right on 98% of rendered scenes or more, and means
    nothing on any other pictures.
    """
    named = parse(text).values
    return sum(reading[name] in values for name, values in named.items()) / len(named) if named else None
