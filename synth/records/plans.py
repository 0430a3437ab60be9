"""A plan: everything that decides a study, checked before any model is loaded, and the key and name of its folder."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import mean
from typing import Any, Self

from synth import presets
from synth.errors import InputError
from synth.jobs import (
    MAX_SEED,
    ExpansionSettings,
    Job,
    ModelRef,
    Settings,
    canonical_json,
    check_flag,
    check_text,
    check_whole,
    content_key,
)
from synth.records.axes import Axis, at, cells, check_axes
from synth.writing.prompts import check_prompts

MAX_PROMPTS = 1_000  # that GPT-2 writes
MAX_OWN_PROMPTS = 10_000
MAX_SEEDS = 100_000
LATER = ("axes", "source", "mask")  # fields that the first plans did not have

# Windows opens devices under these names, with any ending.
RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{digit}" for port in ("com", "lpt") for digit in range(10)}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A study before it is rendered; two plans with one key are the same study.

    prompts: people's own; empty where GPT-2 is to write `n` of them from `phrase`.
    phrase: empty where each of people's own prompts is its own phrase.
    seed: of the expansion; seeds: of the pictures, in order.
    expander, expansion: the GPT-2 and its settings, None with people's own prompts.
    axes: what is varied besides prompts and seeds; each combination is rendered with each of those.
    source, mask: digests of what the pictures are drawn over (see `Job`).
    """

    phrase: str
    prompts: tuple[str, ...]
    n: int
    seeds: tuple[int, ...]
    seed: int
    settings: Settings
    model: ModelRef
    expander: ModelRef | None
    expansion: ExpansionSettings | None
    strict: bool
    axes: tuple[Axis, ...] = ()
    source: str = ""
    mask: str = ""

    @property
    def key(self) -> str:
        """64 hexadecimal digits: SHA-256 of the canonical JSON. What the first plans did not have counts if given."""
        parts = self.as_dict() | {
            "settings": self.settings.identity(),
            "model": self.model.identity(),
            "expander": self.expander and self.expander.identity(),
            "axes": [axis.identity() for axis in self.axes],
        }
        return content_key({name: part for name, part in parts.items() if part or name not in LATER})

    @property
    def pictures(self) -> int:
        """How many pictures it comes to."""
        return self.n * len(self.seeds) * math.prod(len(axis.values) for axis in self.axes)

    @property
    def work(self) -> int:
        """Steps times pixels, over all pictures."""
        job = self._job("x", 0)
        alone = _work(job)
        sizing = [axis for axis in self.axes if axis.name not in ("model", "lora_weight", "prompt_part")]
        ratios = [mean(_work(axis.changed(job, place)) for place in range(len(axis.values))) / alone for axis in sizing]
        return round(self.pictures * alone * math.prod(ratios))  # each axis changes a factor of its own

    @property
    def folder_name(self) -> str:
        """A readable beginning of the phrase, and 8 digits of the key."""
        return f"{slug(self.phrase or self.prompts[0])}-{self.key[:8]}"

    def jobs(self, prompts: Sequence[str]) -> list[Job]:
        """One job for each cell of the axes, prompt and seed: cell by cell, and prompt by prompt."""
        jobs = [
            at(self._job(prompt, seed), self.axes, cell)
            for cell in cells(self.axes)
            for prompt in prompts
            for seed in self.seeds
        ]
        if self.axes and len({job.key for job in jobs}) < len(jobs):
            raise InputError(
                "axes", [axis.name for axis in self.axes], "some cells are the same picture: change a value"
            )
        return jobs

    def check_cells(self) -> None:
        """InputError where a cell cannot be, as far as can be told before GPT-2 wrote the prompts."""
        if self.axes and (self.prompts or not self.expansion.template):
            replace(self, seeds=self.seeds[:1]).jobs(self.prompts or [self.phrase])

    def coordinates(self, prompts: int) -> list[dict[str, Any]]:
        """Where each of `jobs` lies: prompt_index, seed, and the label on each axis; the same order."""
        return [
            {"prompt_index": index, "seed": seed}
            | {axis.name: axis.label(place) for axis, place in zip(self.axes, cell, strict=True)}
            for cell in cells(self.axes)
            for index in range(prompts)
            for seed in self.seeds
        ]

    def _job(self, prompt: str, seed: int) -> Job:
        return Job(
            phrase=self.phrase or prompt, prompt=prompt, seed=seed, settings=self.settings, model=self.model,
            source=self.source, mask=self.mask,
        )  # fmt: skip

    def differences(self, other: Self) -> list[str]:
        """What `other` has otherwise, such as "settings.steps 20, now 30"."""
        mine, theirs = _flat(self.as_dict()), _flat(other.as_dict())
        names = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
        return [f"{name} {_short(mine.get(name))}, now {_short(theirs.get(name))}" for name in names]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The plan that `as_dict` described. Raises KeyError, TypeError or ValueError over anything else."""
        return cls(**data | {
            "prompts": tuple(data["prompts"]),
            "seeds": tuple(data["seeds"]),
            "settings": Settings(**data["settings"]),
            "model": _model(data["model"]),
            "expander": _model(data["expander"]),
            "expansion": data["expansion"] and ExpansionSettings(**data["expansion"]),
            "axes": tuple(_axis(axis) for axis in data.get("axes", ())),
        })  # fmt: skip


def make_plan(
    phrase: str | None = None,
    *,
    prompts: Sequence[str] | None = None,
    n: int = 4,
    seeds: int | Sequence[int] = 4,
    seed: int = 0,
    settings: Settings | None = None,
    model: str = "vignettes",
    loras: Sequence[tuple[str, float]] = (),
    expander: str = "vignettes-gpt2",
    expansion: ExpansionSettings = ExpansionSettings(),
    strict: bool = False,
    axes: Sequence[Axis | str] = (),
    source: str = "",
    mask: str = "",
) -> Plan:
    """The plan for these arguments (see `synth.study`). Raises InputError or ModelError; loads no model."""
    own = _check_prompts(phrase, prompts)
    phrase = "" if phrase is None else check_text("phrase", phrase).strip()
    check_whole("seed", seed, 0, MAX_SEED)
    return Plan(
        phrase=phrase,
        prompts=own,
        n=len(own) or check_whole("n", n, 1, MAX_PROMPTS),
        seeds=_check_seeds(seeds, seed),
        seed=0 if own else seed,
        settings=settings or presets.advised(model),
        model=presets.resolve(model, "renderer", loras=tuple(loras)),
        expander=None if own else presets.resolve(expander, "expander"),
        expansion=None if own else expansion,
        strict=check_flag("strict", strict),
        axes=tuple(_pinned(axis, model, tuple(loras)) for axis in check_axes(axes)),
        source=source,
        mask=mask,
    )


def slug(text: str) -> str:
    """At most 40 characters a-z, 0-9 and hyphens that begin like `text`; "study" where there are none.

    >>> slug("Ein rotes Häuschen, bei Nacht!")
    'ein-rotes-hauschen-bei-nacht'
    """
    ascii_text = unicodedata.normalize("NFKD", text[:400]).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", ascii_text)
    short = "-".join(words)[:41]
    if len(short) > 40:
        short = short.rpartition("-")[0] or short[:40]
    return f"study-{short}" if short in RESERVED else short or "study"


def check_name(name: object) -> str:
    """`name` if a folder may have it on every system; an InputError otherwise."""
    fit = isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", name)
    if not fit or name.endswith(".") or name.split(".")[0].lower() in RESERVED:
        remedy = "use up to 80 letters, digits, '-', '_' and '.', and no name that Windows reserves"
        raise InputError("name", name, remedy)
    return name


def _model(data: dict[str, Any] | None) -> ModelRef | None:
    return data and ModelRef(**data | {"loras": tuple((path, float(weight)) for path, weight in data["loras"])})


def _work(job: Job) -> int:
    return job.settings.steps * job.settings.width * job.settings.height


def _axis(data: dict[str, Any]) -> Axis:
    settings = (Settings(**item) for item in data.get("settings", ()))
    return Axis(data["name"], tuple(data["values"]), tuple(map(_model, data["models"])), tuple(settings))


def _pinned(axis: Axis, model: str, loras: tuple[tuple[str, float], ...]) -> Axis:
    """The axis with what its models and speeds stand for; InputError for weights of LoRAs without any."""
    if axis.name == "lora_weight" and not loras:
        raise InputError("lora_weight", axis.values, "give the LoRA too (--lora)")
    if axis.name == "model":
        return replace(axis, models=tuple(presets.resolve(str(name), "renderer", loras=loras) for name in axis.values))
    if axis.name == "speed":
        settings = tuple(presets.advised(model, str(name)) for name in axis.values)
        if len(set(settings)) < len(settings):
            raise InputError("speed", axis.values, "nobody measured speeds of this model: vary steps or scheduler")
        return replace(axis, settings=settings)
    return axis


def _check_prompts(phrase: str | None, prompts: Sequence[str] | None) -> tuple[str, ...]:
    if prompts is None:
        if phrase is None:
            raise InputError("phrase", phrase, "give a phrase, or a list of prompts")
        return ()
    if len(prompts) > MAX_OWN_PROMPTS:
        raise InputError("prompts", prompts, f"give at most {MAX_OWN_PROMPTS:,}")
    return tuple(check_prompts(prompts))


def _check_seeds(seeds: int | Sequence[int], first: int) -> tuple[int, ...]:
    if isinstance(seeds, int):
        check_whole("seeds", seeds, 1, MAX_SEEDS)
        seeds = range(first, first + seeds)
    if isinstance(seeds, str) or not isinstance(seeds, Sequence) or not 1 <= len(seeds) <= MAX_SEEDS:
        raise InputError("seeds", seeds, f"give how many, from 1 to {MAX_SEEDS:,}, or a list of seeds")
    for value in seeds:
        check_whole("seeds", value, 0, MAX_SEED)
    if len(set(seeds)) < len(seeds):
        raise InputError("seeds", seeds, "give each seed once: the same seed is the same picture")
    return tuple(seeds)


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def _short(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
