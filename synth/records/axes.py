"""An axis of a study: a setting, the model or a part of the prompt, and the values that it takes one after another."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from itertools import product
from typing import Any, Self

from synth.errors import InputError
from synth.jobs import Job, ModelRef, Settings, check_choice

SETTINGS = {item.name: item.type for item in fields(Settings)}
OTHERS = ("size", "model", "lora_weight", "prompt_part", "speed")
OF_A_SPEED = ("scheduler", "steps", "guidance_scale", "guidance_interval", "precision")
NAMES = (*SETTINGS, *OTHERS)
EXAMPLES = 'guidance_scale=1,3,5 steps=10:50:10 scheduler=ddim,euler negative_prompt="none | blurry"'
NOTHING = "none"  # how an empty text is written
WITH_COMMAS = ("negative_prompt", "prompt", "prompt_part", "postprocess", "respacing", "timesteps", "sigmas")
MOST_IN_A_RANGE = 10_000

Value = str | int | float


@dataclass(frozen=True)
class Axis:
    """A name of NAMES, and at least two different values.

    models: what the values of the axis "model" stand for, in their order; settings: the same for "speed", which changes
    OF_A_SPEED and leaves the rest. Of the axis "prompt_part" the first value is what the others take the place of.
    """

    name: str
    values: tuple[Value, ...]
    models: tuple[ModelRef, ...] = ()
    settings: tuple[Settings, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The axis that a text describes: "guidance_scale=1,3,5", "steps=10:50:10" (ends included).

        Where values may have commas of their own (texts, respacing, timesteps, sigmas), "|" stands between them, and
        "none" for an empty one. InputError for an unknown name, and for values that the setting does not take.
        """
        name, values = split(text)
        if values is None:
            raise InputError("axis", text, f"give a name and its values, as in {EXAMPLES}")
        if name not in NAMES:
            check_choice("axis", name, NAMES)
        kind = {"lora_weight": float}.get(name) or SETTINGS.get(name, str)
        return cls(name, tuple(parse_values(name, values, kind)))

    def __post_init__(self) -> None:
        if len(self.values) < 2:
            raise InputError(self.name, self.values, "give an axis at least two values")
        for label, times in Counter(map(self.label, range(len(self.values)))).items():
            if times > 1:
                raise InputError(self.name, label, "give each value of an axis once")
        self._check()

    def identity(self) -> list[Any]:
        """What decides the key of a plan that has it, ready for JSON."""
        known = [self.name, self.values, [model.identity() for model in self.models]]
        return [*known, [item.identity() for item in self.settings]] if self.settings else known

    def label(self, place: int) -> str:
        """How the value at a place is written beside the pictures."""
        value = self.values[place]
        return f"{value:.10g}" if isinstance(value, float) else str(value) or NOTHING

    def changed(self, job: Job, place: int) -> Job:
        """The job with the value at a place; InputError where it cannot have it."""
        value = self.values[place]
        if self.name == "prompt_part":
            return self._with_part(job, str(value))
        if self.name == "model":
            return replace(job, model=self.models[place])
        if self.name == "speed":
            advised = self.settings[place]
            return replace(job, settings=job.settings.but(**{name: getattr(advised, name) for name in OF_A_SPEED}))
        if self.name == "lora_weight":
            loras = tuple((name, float(value)) for name, _ in job.model.loras)
            return replace(job, model=replace(job.model, loras=loras))
        return replace(job, settings=job.settings.but(**self._settings(value)))

    def _settings(self, value: Value) -> dict[str, Value]:
        if self.name != "size":
            return {self.name: value}
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(value))
        if not match:
            raise InputError("size", value, "give it as 768x512")
        return {"width": int(match[1]), "height": int(match[2])}

    def _with_part(self, job: Job, part: str) -> Job:
        sought = str(self.values[0])
        if sought not in job.prompt:
            raise InputError("prompt_part", sought, f"give a text that every prompt contains; {job.prompt!r} does not")
        return replace(job, prompt=job.prompt.replace(sought, part), phrase=job.phrase.replace(sought, part))

    def _check(self) -> None:
        """InputError for values that no job can have."""
        if self.name == "prompt_part" and not self.values[0]:
            raise InputError("prompt_part", "", "begin with the text that the others replace")
        if self.name in SETTINGS or self.name == "size":
            for value in self.values:
                Settings(**self._settings(value))


def split(text: str) -> tuple[str, str | None]:
    """A name and its values, written "name=values" or "name: values"; None where there is only a name.

    >>> split("guidance-scale=1,3"), split("postprocess: sharpen=1 | none"), split("seed")
    (('guidance_scale', '1,3'), ('postprocess', ' sharpen=1 | none'), ('seed', None))
    """
    name, sign, values = re.fullmatch(r"([^=:]*)([=:]?)(.*)", text, re.DOTALL).groups()
    return name.strip().replace("-", "_"), values if sign else None


def check_axes(axes: Sequence[Axis | str]) -> tuple[Axis, ...]:
    """The axes, those written as texts parsed; InputError where two have one name."""
    parsed = tuple(Axis.parse(axis) if isinstance(axis, str) else axis for axis in axes)
    for number, axis in enumerate(parsed):
        if axis.name in [other.name for other in parsed[:number]]:
            raise InputError("axis", axis.name, "give each axis once")
    return parsed


def cells(axes: Sequence[Axis]) -> list[tuple[int, ...]]:
    """Every combination of the axes' places, the last axis running fastest; one empty combination of no axes."""
    return list(product(*(range(len(axis.values)) for axis in axes)))


def at(job: Job, axes: Sequence[Axis], cell: Sequence[int]) -> Job:
    """A job as it is in a cell."""
    for axis, place in zip(axes, cell, strict=True):
        job = axis.changed(job, place)
    return job


def parse_values(name: str, text: str, kind: Any) -> list[Value]:
    """The values of a kind (str, int or float) that a text lists or spans, as `Axis.parse` reads them."""
    return _range(text, kind) or [_value(name, item.strip(), kind) for item in _split(name, text)]


def _split(name: str, text: str) -> list[str]:
    return text.split("|" if "|" in text or name in WITH_COMMAS else ",")


def _value(name: str, text: str, kind: Any) -> Value:
    if not text:
        remedy = (
            f'give a value, or "{NOTHING}" for an empty text' if kind is str else "give a number between the commas"
        )
        raise InputError(name, text, remedy)
    if kind is str:
        return "" if text.lower() == NOTHING else text
    try:
        return kind(text)
    except ValueError:
        raise InputError(name, text, f"give numbers, as in {EXAMPLES}") from None


def _range(text: str, kind: Any) -> list[Value]:
    """The numbers of "10:50:10", ends included; nothing where a text is no range."""
    parts = text.split(":")
    if kind is str or len(parts) != 3:
        return []
    try:
        first, last, step = (Decimal(part.strip()) for part in parts)
        gaps = (last - first) / step
        few_enough = 1 <= gaps < MOST_IN_A_RANGE
    except ArithmeticError:
        raise InputError("axis", text, "give a range as first:last:step, such as 10:50:10") from None
    if not few_enough:
        raise InputError("axis", text, f"give a range of 2 to {MOST_IN_A_RANGE:,} values")
    return [_value("axis", f"{first + step * number:f}", kind) for number in range(int(gaps) + 1)]
