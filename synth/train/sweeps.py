"""Several trainings that differ in a few parameters, each in a folder of its own."""

import json
from itertools import product
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.jobs import content_key
from synth.train.params import Params


def variants(params: Params, text: str) -> list[Params]:
    """The parameters with each combination of what a text gives: "lora_rank=2,8 learning_rate=1e-3,5e-3" makes four.

    Fields are those of the section train. InputError for a text of another form, an unknown field or a wrong value.
    """
    fields = [part.partition("=") for part in text.split()]
    if not fields or not all(sign and values for _, sign, values in fields):
        raise InputError("sweep", text, "give fields and their values, as in: lora_rank=2,8 learning_rate=1e-3,5e-3")
    names = [name for name, _, _ in fields]
    combinations = product(*([_value(item) for item in values.split(",")] for _, _, values in fields))
    return [params.but("train", **dict(zip(names, values, strict=True))) for values in combinations]


def own_folder(out: Path, params: Params, data: str) -> Path:
    """The folder in `out` of the training that these parameters and the digest of the data decide, and of no other."""
    train = params.train
    adapter = f"rank-{train.lora_rank}-" if train.lora_rank else ""
    key = content_key([params.as_dict()["train"], data])[:6]
    return out / f"{train.kind}-{adapter}steps-{train.steps}-{key}"


def _value(text: str) -> Any:
    """A number, a truth value, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
