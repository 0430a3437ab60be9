"""What the service answers, and what its client gives back: the same dataclasses on both sides, standard library only.

A study and its pictures are told in the package's own types: `Job`, `Settings` and `Prompt`.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from synth.jobs import ExpansionSettings, Job, Settings
from synth.writing.prompts import Prompt

SESSION = "Synth-Session"  # the header that tells people apart who share a key


class Answer:
    """Base of what is answered."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """The answer that JSON describes; fields that a newer server added are left out."""
        return _read(cls, data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Answer):
    """A model that requests may name.

    kind: "renderer" or "expander". present: whether it can be used now. settings: what a renderer is advised to be used
    with, by speed: "exact", "quality" or "fast".
    """

    name: str
    kind: str
    licence: str
    about: str
    present: bool
    settings: dict[str, Settings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered(Answer):
    """What this server offers: models, schedulers, measures, and the most that a request may ask for."""

    models: list[Model]
    schedulers: list[str]
    measures: list[str]
    limits: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded(Answer):
    """Prompts that GPT-2 wrote for a phrase, in the order they were chosen, and all candidates."""

    phrase: str
    seed: int
    settings: ExpansionSettings
    prompts: list[Prompt]
    candidates: list[Prompt]


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Answer):
    """How far a study is.

    id: 16 hexadecimal digits, by which it is asked for. state: "opening" (GPT-2 writes), "waiting", "done", "failed"
    or "cancelled"; reason: why, where it failed or was cancelled. done, failed, left: pictures; ahead: pictures of all
    clients that wait.
    """

    id: str
    phrase: str
    state: str
    reason: str
    created: str
    pictures: int
    left: int
    ahead: int

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture(Answer):
    """One picture of a study.

    status: "waiting", "done" or "failed" (error says why). place: prompt_index, seed, and the label on each axis.
    """

    key: str
    status: str
    error: str
    place: dict[str, str | int]
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn(Answer):
    """A study with all its pictures, finished or not; none yet while its prompts are being written."""

    state: State
    prompts: list[Prompt] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Answer):
    """A measure of a study: its mean over pictures with its 95% interval, None where it has none."""

    measure: str
    mean: float
    low: float | None
    high: float | None
    pictures: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HotWord(Answer):
    """A word of a prompt, from character start to end; added: by GPT-2. share: of the attention to words, 0 to 1.

    map: a grey PNG as a data URI, white where the picture attended to the word most.
    """

    text: str
    start: int
    end: int
    added: bool
    share: float
    map: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat(Answer):
    """Which word drew what in a picture (see `synth.explain.words`)."""

    key: str
    prompt: str
    words: list[HotWord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded(Answer):
    """A picture that was uploaded; digest: SHA-256 of its pixels, by which requests name it."""

    digest: str


def _read(kind: Any, data: Any) -> Any:
    """JSON as a value of a type: a dataclass, a list, an optional or a plain one."""
    if get_origin(kind) is UnionType:
        return None if data is None else _read(get_args(kind)[0], data)
    if get_origin(kind) is dict:
        return {name: _read(get_args(kind)[1], item) for name, item in data.items()}
    if get_origin(kind) is list:
        return [_read(get_args(kind)[0], item) for item in data]
    if kind is Job:
        return Job.from_dict(data)
    if is_dataclass(kind):
        types = get_type_hints(kind)
        return kind(
            **{item.name: _read(types[item.name], data[item.name]) for item in fields(kind) if item.name in data}
        )
    return tuple(data) if get_origin(kind) is tuple else data
