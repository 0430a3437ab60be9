"""Everything that decides one picture, and the key that names it.

Standard library only: jobs are made, compared and stored on machines that have no model at all.
"""

import hashlib
import json
import math
import re
import unicodedata
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

from synth.errors import InputError
from synth.postprocessing import check_postprocess
from synth.timesteps import SPACINGS, check_interval, check_respacing, check_sigmas, check_timesteps, count

if TYPE_CHECKING:
    from PIL import Image

MAX_TEXT = 2000
MAX_SEED = 2**63 - 1
DIGEST = re.compile(r"[0-9a-f]{64}")

SCHEDULERS = (
    "ddim", "ddpm", "pndm", "lms", "heun", "euler", "euler-a", "dpm2", "dpm2-a", "dpm++2m", "dpm++2m-karras",
    "dpm++2m-sde", "dpm++2m-sde-karras", "dpm++sde", "unipc", "deis", "lcm", "tcd", "native",
)  # fmt: skip

# Fields of Settings that the first studies did not have.
LATER = (
    "timestep_spacing", "respacing", "timesteps", "sigmas", "strength", "postprocess", "guidance_interval", "precision",
)  # fmt: skip
PRECISIONS = ("full", "half")


def check_text(name: str, text: object, *, empty: bool = False) -> str:
    """`text` if it is a usable phrase or prompt, unchanged; an InputError otherwise.

    Any script, emoji and punctuation is fine. Control characters, lone surrogates, an empty text (unless `empty`) and
    more than 2,000 characters are not.
    """
    if not isinstance(text, str):
        raise InputError(name, text, "give a text (in a table or YAML file, put it in quotes)")
    if not text.strip() and not empty:
        raise InputError(name, text, "give at least one word")
    if len(text) > MAX_TEXT:
        raise InputError(name, text, f"use at most {MAX_TEXT:,} characters")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n":
            raise InputError(name, text, f"remove the control character U+{ord(character):04X}")
    return text


def check_whole(name: str, value: object, low: int, high: int) -> int:
    """`value` if it is a whole number from `low` to `high`; an InputError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(name, value, f"use a whole number from {low:,} to {high:,}")
    return value


def check_number(name: str, value: object, low: float, high: float) -> float:
    """`value` as a float if it is a finite number from `low` to `high`; an InputError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(name, value, f"use a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise InputError(name, value, f"use a number from {low:g} to {high:g}")
    return float(value)


def check_flag(name: str, value: object) -> bool:
    """`value` if it is True or False; an InputError otherwise, as for the text "False", which counts as true."""
    if not isinstance(value, bool):
        raise InputError(name, value, "give true or false")
    return value


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`; an InputError that names the nearest otherwise."""
    if value not in choices:
        raise InputError(name, value, f"did you mean {nearest(str(value), choices)!r}? One of: {', '.join(choices)}")
    return str(value)


def nearest(word: str, choices: tuple[str, ...] | list[str]) -> str:
    """The choice that is spelled most like `word`."""
    from difflib import SequenceMatcher

    return max(choices, key=lambda choice: SequenceMatcher(None, word.lower(), choice.lower()).ratio())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a prompt is rendered. Sizes are in pixels; every value is checked on construction.

    negative_prompt: what the picture should not show.
    scheduler: how noise is removed, one of SCHEDULERS; native is the model's own, as its authors set it.
    steps: how often, 1 to 1000; more is slower. width, height: 64 to 4096, in multiples of 8.
    guidance_scale: classifier-free guidance (Ho & Salimans 2022), 0 to 50; 1 or less means no guidance.
    guidance_rescale: 0 to 1 (Lin et al. 2024, "Common diffusion noise schedules", section 3.4).
    eta: 0 (deterministic) to 1, used by DDIM and TCD only.
    timestep_spacing: leading, linspace or trailing (Lin et al. 2024, table 2); empty is the scheduler's own.
    respacing: counts for equal parts of the noise schedule (10,10,3,2,2), fast27 or ddim50 (Nichol et al. 2022, GLIDE).
    timesteps: the visited ones themselves, falling (999,750,500,250).
    sigmas: the visited noise levels, falling (14.6,5,1,0.3), where the scheduler takes them.
    strength: how much of a source picture is drawn anew, 0.05 to 1, in image-to-image and inpainting only.
    postprocess: steps on the finished pixels, such as "sharpen=0.5 contrast=1.2" (synth.postprocessing).
    guidance_interval: guide in this part of the noise schedule only, 0.2-0.9, which leaves out half of the work
    elsewhere (Kynkäänniemi et al. 2024, "Applying guidance in a limited interval"); empty is all of it.
    precision: full, or half, which computes in half precision on CPUs that are faster so; GPUs always are.
    Of timestep_spacing, respacing, timesteps and sigmas at most one is given; the last three decide steps too.
    """

    negative_prompt: str = ""
    scheduler: str = "ddim"
    steps: int = 20
    guidance_scale: float = 3.0
    guidance_rescale: float = 0.0
    eta: float = 0.0
    width: int = 128
    height: int = 128
    timestep_spacing: str = ""
    respacing: str = ""
    timesteps: str = ""
    sigmas: str = ""
    strength: float = 0.6
    postprocess: str = ""
    guidance_interval: str = ""
    precision: str = "full"

    def __post_init__(self) -> None:
        check_text("negative_prompt", self.negative_prompt, empty=True)
        check_choice("scheduler", self.scheduler, SCHEDULERS)
        check_whole("steps", self.steps, 1, 1000)
        for name, high in (("guidance_scale", 50.0), ("guidance_rescale", 1.0), ("eta", 1.0)):
            object.__setattr__(self, name, check_number(name, getattr(self, name), 0.0, high))
        for name in ("width", "height"):
            size = check_whole(name, getattr(self, name), 64, 4096)
            if size % 8:
                raise InputError(name, size, f"use a multiple of 8, such as {size // 8 * 8} or {size // 8 * 8 + 8}")
        object.__setattr__(self, "strength", check_number("strength", self.strength, 0.05, 1.0))
        object.__setattr__(self, "postprocess", check_postprocess(self.postprocess))
        object.__setattr__(self, "guidance_interval", check_interval(self.guidance_interval))
        check_choice("precision", self.precision, PRECISIONS)
        self._check_timesteps()

    def _check_timesteps(self) -> None:
        """Bring what decides the visited timesteps into normal form, and let it decide how many steps there are."""
        check_choice("timestep_spacing", self.timestep_spacing, SPACINGS)
        for name, check in (("respacing", check_respacing), ("timesteps", check_timesteps), ("sigmas", check_sigmas)):
            object.__setattr__(self, name, check(getattr(self, name)))
        names = [name for name in ("timestep_spacing", "respacing", "timesteps", "sigmas") if getattr(self, name)]
        if len(names) > 1:
            raise InputError(names[1], getattr(self, names[1]), f"give either it or {names[0]}")
        if visits := self.timesteps or self.sigmas:
            object.__setattr__(self, "steps", len(visits.split(",")))
        elif self.respacing:
            object.__setattr__(self, "steps", check_whole("respacing", count(self.respacing), 1, 1000))

    def but(self, **changes: Any) -> Self:
        """A copy with some values changed."""
        return replace(self, **changes)

    def identity(self) -> dict[str, Any]:
        """What decides pictures, for keys: settings that came later count only where they are not at their default."""
        standard = Settings()
        return {
            name: value for name, value in asdict(self).items()
            if name not in LATER or value != getattr(standard, name)
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionSettings:
    """How a phrase becomes prompts; every value is checked on construction.

    temperature: 0.05 to 5; top_k: 0 (off) to 1000; top_p: 0.01 to 1; repetition_penalty: 1 to 5 (Keskar et al. 2019).
    max_new_tokens: 4 to 200, counted in GPT-2's tokens.
    banned_words: never generated, in any case or inflection that begins the same token sequence.
    pool: how many candidates are drawn at first for each prompt asked for, 1 to 32.
    diversity: 0 stays as close to the phrase as possible, 1 makes the chosen prompts as different as possible.
    weave: GPT-2 may use the phrase anywhere in its prompt instead of continuing it as typed.
    template: {a|b} and wildcards in the phrase are resolved first; otherwise braces are text.
    """

    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 0.95
    repetition_penalty: float = 1.1
    max_new_tokens: int = 48
    banned_words: tuple[str, ...] = ()
    pool: int = 4
    diversity: float = 0.5
    weave: bool = False
    template: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (("temperature", 0.05, 5.0), ("top_p", 0.01, 1.0), ("repetition_penalty", 1.0, 5.0)):
            object.__setattr__(self, name, check_number(name, getattr(self, name), low, high))
        object.__setattr__(self, "diversity", check_number("diversity", self.diversity, 0.0, 1.0))
        check_whole("top_k", self.top_k, 0, 1000)
        check_whole("max_new_tokens", self.max_new_tokens, 4, 200)
        check_whole("pool", self.pool, 1, 32)
        if isinstance(self.banned_words, str):  # whose letters would each be a banned word
            raise InputError("banned_words", self.banned_words, "give a list of words")
        object.__setattr__(self, "banned_words", tuple(check_text("banned_words", w) for w in self.banned_words))
        for name in ("weave", "template"):
            check_flag(name, getattr(self, name))

    def but(self, **changes: Any) -> Self:
        """A copy with some values changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Which weights: a preset's name, hub id, folder or file, and what pins them.

    revision: the 40-digit commit of a hub model; None where the model has a digest instead.
    digest: "sha256:..." over the weight files of a bundled or local model; None for hub models.
    loras: LoRA files or hub ids laid on top, in order, each with its weight.
    """

    name: str
    revision: str | None = None
    digest: str | None = None
    loras: tuple[tuple[str, float], ...] = ()

    def identity(self) -> dict[str, Any]:
        """What decides its pictures, for keys: weights with a digest are the same weights wherever they lie."""
        loras = [(name[name.find("#sha256:") + 1 :], weight) for name, weight in self.loras]  # the whole name without
        return asdict(self) | {"loras": loras} | ({"name": ""} if self.digest else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One picture, complete: two jobs with one key are the same picture.

    phrase: the user's text; prompt: what the renderer is given; seed: of the picture's own noise generator.
    source: SHA-256 of the pixels of the picture that is drawn over, empty where all begins with noise.
    mask: SHA-256 of the pixels of the mask, white where the source is drawn anew, empty for all of it.
    """

    phrase: str
    prompt: str
    seed: int
    settings: Settings
    model: ModelRef
    source: str = ""
    mask: str = ""

    def __post_init__(self) -> None:
        check_text("phrase", self.phrase)
        check_text("prompt", self.prompt)
        check_whole("seed", self.seed, 0, MAX_SEED)
        for name in ("source", "mask"):
            if getattr(self, name) and not DIGEST.fullmatch(getattr(self, name)):
                raise InputError(name, getattr(self, name), "give the 64 hexadecimal digits of its pixels' SHA-256")
        if self.mask and not self.source:
            raise InputError("mask", self.mask, "give the source picture too")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `from_dict` is its inverse."""
        return json.loads(canonical_json(asdict(self)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The job that `as_dict` described; unknown or missing fields are an InputError."""
        data = _known(cls, data)
        model = _known(ModelRef, data["model"])
        check_text("model", model["name"])
        model["loras"] = tuple((str(path), float(weight)) for path, weight in model.get("loras", ()))
        return cls(**data | {"settings": Settings(**_known(Settings, data["settings"])), "model": ModelRef(**model)})

    @property
    def key(self) -> str:
        """64 hexadecimal digits: SHA-256 of the canonical JSON. It names the file, never the prompt does."""
        pictures = {name: getattr(self, name) for name in ("source", "mask") if getattr(self, name)}
        return content_key({
            "phrase": self.phrase, "prompt": self.prompt, "seed": self.seed, "settings": self.settings.identity(),
            "model": self.model.identity(), **pictures,
        })  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a job.

    image: the picture, or None where status is "failed".
    status: "done" or "failed"; error: why, in one sentence.
    seconds: the picture's share of its batch's wall time, by how often the model is asked for it.
    device, dtype, batch_size: how it was computed.
    prompt_tokens: tokens of the prompt without start and end; truncated: the words that the model never saw.
    notes: what a reader should know, such as "batch halved after out of memory".
    """

    job: Job
    status: str
    image: "Image.Image | None" = None
    error: str = ""
    seconds: float = 0.0
    device: str = ""
    dtype: str = ""
    batch_size: int = 1
    prompt_tokens: int = 0
    truncated: str = ""
    notes: tuple[str, ...] = field(default=())


def canonical_json(data: Any) -> str:
    """JSON with sorted keys, no spaces and floats normalised: equal values give equal text (5.0 == 5, -0.0 == 0)."""
    return json.dumps(_normal(data), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_key(data: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(data).encode()).hexdigest()


def _normal(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {str(key): _normal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    return value


def _known(cls: type, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(cls.__name__.lower(), data, "give an object with named fields")
    names = tuple(item.name for item in fields(cls))
    for name in data:
        check_choice(f"field of {cls.__name__}", name, names)
    required = [name for name in names if name in ("phrase", "prompt", "seed", "settings", "model", "name")]
    for name in required:
        if name not in data:
            raise InputError(cls.__name__.lower(), data, f"add the field {name!r}")
    return dict(data)
