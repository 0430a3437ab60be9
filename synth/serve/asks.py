"""What clients may ask for, and the plan that it comes to.

The fields of `Settings` and `ExpansionSettings` are those of the package's own classes, and it is these classes that
check them: here no more than names and types are looked at, so that a value is refused over HTTP with the same sentence
as on the command line. What is not given is as advised for the model.
"""

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from synth import jobs, presets
from synth.errors import InputError
from synth.records.axes import SETTINGS, Axis
from synth.records.plans import Plan, make_plan
from synth.records.sources import drawn_over
from synth.serve.catalogue import Catalogue
from synth.vignettes.attributes import ATTRIBUTES

MAX_AXES = 4
# What the classes check, as the schema tells it; tests/serve/test_asks.py holds both together.
BOUNDS = {
    "steps": (1, 1000), "guidance_scale": (0, 50), "guidance_rescale": (0, 1), "eta": (0, 1), "width": (64, 4096),
    "height": (64, 4096), "strength": (0.05, 1), "temperature": (0.05, 5), "top_k": (0, 1000), "top_p": (0.01, 1),
    "repetition_penalty": (1, 5), "max_new_tokens": (4, 200), "pool": (1, 32), "diversity": (0, 1),
}  # fmt: skip
CHOICES = {"scheduler": jobs.SCHEDULERS, "precision": jobs.PRECISIONS}
WILDCARD = re.compile(rf"__(?:{'|'.join(ATTRIBUTES)})__")


class _Asked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def _changes(cls: type, left_out: str = "") -> type[_Asked]:
    """A model with the fields of a dataclass of settings, each of which may be left out.

    left_out: what then counts, where it is not the dataclass's own default.
    """
    found = {
        item.name: (_type(item.type) | None, Field(None, json_schema_extra=_told(item, left_out)))
        for item in fields(cls)
    }
    return create_model(f"{cls.__name__}Changes", __base__=_Asked, __doc__=cls.__doc__, **found)


def _type(kind: Any) -> Any:
    return list[str] if kind == tuple[str, ...] else kind


def _told(item: Any, left_out: str) -> dict[str, Any]:
    """What the schema says of a field besides its type."""
    low, high = BOUNDS.get(item.name, (None, None))
    told = {"minimum": low, "maximum": high, "enum": CHOICES.get(item.name) and [*CHOICES[item.name], None]}
    if left_out:
        default = {"description": left_out}
    else:
        default = {} if item.default in (MISSING, ()) else {"default": item.default}
    return {name: value for name, value in told.items() if value is not None} | default


SettingsChanges = _changes(jobs.Settings, "left out: as the speed advises for the model, see `/v1/models`")
ExpansionChanges = _changes(jobs.ExpansionSettings)

Phrase = Annotated[str, Field(examples=["a red lighthouse at sunset"], max_length=jobs.MAX_TEXT)]
Seed = Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": jobs.MAX_SEED})]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="of an upload")]


class ExpandAsk(_Asked):
    """A phrase to expand. n: prompts; model: the renderer whose tokens are counted."""

    phrase: Phrase
    n: int = Field(4, json_schema_extra={"minimum": 1, "maximum": 100})
    seed: Seed = 0
    expander: str = "vignettes-gpt2"
    model: str = "vignettes"
    expansion: ExpansionChanges = ExpansionChanges()


class _Drawing(_Asked):
    """What both ways to ask for pictures have in common.

    seeds: how many pictures a prompt gets, from `seed` up, or the seeds themselves. axes: as "guidance_scale=1,3,5".
    speed: of the advised settings, which `settings` changes. source, mask: digests of uploads.
    detached: goes on although nobody has asked for it for a while.
    """

    seeds: int | Annotated[list[int], Field(max_length=1000)] = Field(4, examples=[2])
    seed: Seed = 0
    model: str = "vignettes"
    speed: str = Field(presets.DEFAULT_SPEED, json_schema_extra={"enum": presets.SPEEDS})
    settings: SettingsChanges = SettingsChanges()
    strict: bool = False
    axes: list[str] = Field([], max_length=MAX_AXES, examples=[[]])
    source: Digest | None = None
    mask: Digest | None = None
    detached: bool = False


class StudyAsk(_Drawing):
    """A phrase to expand into `n` prompts and to render."""

    phrase: Phrase
    n: int = Field(4, json_schema_extra={"minimum": 1}, examples=[2])
    expander: str = "vignettes-gpt2"
    expansion: ExpansionChanges = ExpansionChanges()


class RenderAsk(_Drawing):
    """People's own prompts to render. phrase: what they came from, if they share one."""

    prompts: list[str] = Field(max_length=1000, examples=[["a red house", "a blue boat by the sea"]])
    phrase: Phrase | None = None


class MeasureAsk(_Asked):
    """Names of measures; none for all that apply."""

    measures: list[str] = Field([], max_length=100, examples=[["sharpness", "colourfulness"]])


def expansion_of(ask: ExpandAsk | StudyAsk) -> jobs.ExpansionSettings:
    """How GPT-2 is to write; InputError also for a template that names files of the server."""
    given = ask.expansion.model_dump(exclude_none=True)
    settings = jobs.ExpansionSettings(**given)
    if settings.template and "__" in WILDCARD.sub("", ask.phrase):
        names = ", ".join(f"__{name}__" for name in ATTRIBUTES)
        raise InputError("phrase", ask.phrase, f"of wildcards use only {names}")
    return settings


def plan_of(ask: StudyAsk | RenderAsk, catalogue: Catalogue, source: Path | None, mask: Path | None) -> Plan:
    """The plan of a request, the very one that `synth.study` would make. InputError or ModelError otherwise."""
    model = catalogue.source(ask.model, "renderer")
    settings = presets.advised(model, ask.speed).but(**ask.settings.model_dump(exclude_none=True))
    digests = dict(zip(("source", "mask"), drawn_over(source, mask, settings), strict=False))
    common = {
        "seeds": ask.seeds, "seed": ask.seed, "settings": settings, "model": model, "loras": catalogue.loras(ask.model),
        "strict": ask.strict, "axes": list(map(_axis, ask.axes)), **digests,
    }  # fmt: skip
    if isinstance(ask, RenderAsk):
        return make_plan(ask.phrase, prompts=ask.prompts, **common)
    expander = catalogue.source(ask.expander, "expander")
    return make_plan(ask.phrase, n=ask.n, expander=expander, expansion=expansion_of(ask), **common)


def _axis(text: str) -> Axis:
    """An axis of settings, speeds or a part of the prompt: what names models is not taken from clients."""
    axis = Axis.parse(text)
    if axis.name not in (*SETTINGS, "size", "prompt_part", "speed"):
        raise InputError("axis", axis.name, "vary a setting, size, speed or prompt_part")
    return axis
