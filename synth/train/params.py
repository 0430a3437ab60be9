"""params.yaml: the one place where a training's configuration stands. Standard library and PyYAML only.

Each section is a frozen dataclass whose docstring explains its fields; `Params` has them all. Unknown sections and
fields, and values of the wrong type, are an InputError that names the nearest right one.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_origin

import yaml

from synth.errors import InputError
from synth.jobs import MAX_SEED, check_choice, check_flag, check_number, check_text, check_whole
from synth.train.recipe import Recipe

KINDS = ("unet", "gpt2", "vae", "clip")
LAYOUTS = ("auto", "imagefolder", "sidecar", "flowers", "hub", "vignettes")
CROPS = ("centre", "pad")
PREDICTIONS = ("auto", "epsilon", "v_prediction")


@dataclass(frozen=True, kw_only=True)
class Data:
    """Captioned pictures, and what is made of them; every value is checked on construction.

    source: a folder of captioned pictures, a hub data set id, or vignettes, Synth's own picture world.
    layout: imagefolder (metadata.jsonl or metadata.csv), sidecar (a .txt beside each picture), flowers (Oxford 102
        Flowers as its authors publish it), hub, vignettes, or auto, which looks.
    caption: column of the captions in metadata or in a hub data set; auto looks for text, caption, captions, prompt.
    captions_from: flowers only: the folder of Reed et al.'s text archive, ten captions a picture.
    size: side of the pictures that are trained on, in pixels, 64 to 2048, a multiple of 8.
    crop: centre (the shorter side becomes size, the middle is kept) or pad (the longer side becomes size, the rest is
        filled with the picture's mean colour).
    smallest: pixels; pictures with a shorter side than that are left out.
    limit: at most so many pictures; 0 takes all, and of vignettes, which have no end, 2,000.
    validation: share that is never trained on, 0.01 to 0.5, chosen by content.
    seed: of the picture world.
    """

    source: str = "vignettes"
    layout: str = "auto"
    caption: str = "auto"
    captions_from: str = ""
    size: int = 128
    crop: str = "centre"
    smallest: int = 64
    limit: int = 0
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_text("source", self.source)
        check_choice("layout", self.layout, LAYOUTS)
        check_choice("crop", self.crop, CROPS)
        check_whole("size", self.size, 64, 2048)
        if self.size % 8:
            remedy = f"use a multiple of 8, such as {self.size // 8 * 8} or {self.size // 8 * 8 + 8}"
            raise InputError("size", self.size, remedy)
        check_whole("smallest", self.smallest, 1, 100_000)
        check_whole("limit", self.limit, 0, 100_000_000)
        check_number("validation", self.validation, 0.01, 0.5)
        check_whole("seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True, kw_only=True)
class Train(Recipe):
    """What is trained, and how; every value is checked on construction.

    kind: unet, gpt2, vae or clip.
    base: what it starts from: a preset, hub id, local folder or checkpoint; vignettes for what is bundled.
    scratch: start from noise instead of base's weights; base then gives the other parts and the shape.
    shape: with scratch, fields of the trained part's config that differ from base's.
    lora_rank: 0 trains all weights, 1 to 512 a low-rank adapter beside them (Hu et al. 2021).
    lora_alpha: strength of the adapter, 0 for the same as its rank.
    text_encoder: learning rate of the text encoder as a share of the UNet's, 0 to 1; 0 leaves it as it is.
    prediction: epsilon, v_prediction (Salimans & Ho 2022), or auto, as the base does.
    snr_gamma: min-SNR weighting of timesteps (Hang et al. 2023), 5 is usual; 0 weighs all alike.
    caption_dropout: share of samples without a caption, which guidance needs, 0 to 1.
    gradient_checkpointing: recompute instead of remembering: less memory, a third slower.
    compile: compile the UNet with torch.compile.
    """

    kind: str = "unet"
    base: str = "vignettes"
    scratch: bool = False
    shape: dict[str, Any] = field(default_factory=dict)
    lora_rank: int = 0
    lora_alpha: float = 0.0
    text_encoder: float = 0.0
    prediction: str = "auto"
    snr_gamma: float = 0.0
    caption_dropout: float = 0.1
    gradient_checkpointing: bool = False
    compile: bool = False
    steps: int = 500
    batch_size: int = 16
    learning_rate: float = 1e-4
    warmup: int = 50
    decay: float = 1.0
    spike: float = 100.0
    ema: float = 0.99
    validate_every: int = 100
    checkpoint_every: int = 100
    keep_best: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("kind", self.kind, KINDS)
        check_text("base", self.base)
        for name in ("scratch", "gradient_checkpointing", "compile"):
            check_flag(name, getattr(self, name))
        check_whole("lora_rank", self.lora_rank, 0, 512)
        check_number("lora_alpha", self.lora_alpha, 0.0, 1e6)
        check_number("text_encoder", self.text_encoder, 0.0, 1.0)
        check_choice("prediction", self.prediction, PREDICTIONS)
        check_number("snr_gamma", self.snr_gamma, 0.0, 1e6)
        check_number("caption_dropout", self.caption_dropout, 0.0, 1.0)
        self._check_together()

    @property
    def model(self) -> str:
        """`base` as the models of this kind are called: "vignettes" stands for each of the bundled ones."""
        bundled = {"gpt2": "vignettes-gpt2", "clip": "vignettes-clip"}
        return bundled.get(self.kind, self.base) if self.base == "vignettes" else self.base

    def _check_together(self) -> None:
        if self.shape and not self.scratch:
            raise InputError("shape", self.shape, "add scratch: true, since trained weights have the shape they have")
        if self.lora_rank and self.scratch:
            raise InputError("lora_rank", self.lora_rank, "use 0: an adapter needs trained weights beneath it")
        if self.lora_rank and self.kind in ("vae", "clip"):
            raise InputError("lora_rank", self.lora_rank, f"use 0: a {self.kind} is trained whole")
        if self.lora_alpha and not self.lora_rank:
            raise InputError("lora_alpha", self.lora_alpha, "give the adapter a lora_rank too, or leave it out")
        if self.kind == "clip" and self.accumulate > 1:
            remedy = "use 1: each picture is compared with all captions; gradient_checkpointing saves memory"
            raise InputError("accumulate", self.accumulate, remedy)
        if self.text_encoder and self.kind != "unet":
            raise InputError("text_encoder", self.text_encoder, f"use 0: a {self.kind} has none")
        for name, neutral in (("prediction", "auto"), ("snr_gamma", 0.0)):
            if getattr(self, name) != neutral and self.kind != "unet":
                raise InputError(name, getattr(self, name), f"leave it out: a {self.kind} predicts no noise")


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """How a trained model is measured; every value is checked on construction.

    pictures: how many validation captions are drawn, 0 to 100,000; 0 draws none.
    steps: of the scheduler for each picture.
    guidance_scale: for each picture, 0 to 50.
    clip: CLIP that scores pictures and gives KID its features: a preset, hub id or folder.
    noises: how often each validation latent is noised to measure the denoising error.
    seed: of the noise.
    """

    pictures: int = 64
    steps: int = 20
    guidance_scale: float = 3.0
    clip: str = "vignettes-clip"
    noises: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("pictures", self.pictures, 0, 100_000)
        check_whole("steps", self.steps, 1, 1000)
        check_number("guidance_scale", self.guidance_scale, 0.0, 50.0)
        check_text("clip", self.clip)
        check_whole("noises", self.noises, 1, 1000)
        check_whole("seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True, kw_only=True)
class Track:
    """Where MLflow keeps runs and models.

    uri: of MLflow's tracking server, such as sqlite:///mlflow.db, or off.
    experiment: name under which runs are gathered.
    model: name in MLflow's registry whose alias champion marks the best; empty for synth-unet, synth-gpt2 and so on.
    metric: figure of the evaluation that decides which model is better.
    better: lower or higher.
    """

    uri: str = "off"
    experiment: str = "synth"
    model: str = ""
    metric: str = "loss"
    better: str = "lower"

    def __post_init__(self) -> None:
        for name in ("uri", "experiment", "metric"):
            check_text(name, getattr(self, name))
        check_text("model", self.model, empty=True)
        check_choice("better", self.better, ("lower", "higher"))

    def of(self, kind: str) -> Self:
        """The same, with the name of the registry's model: models of different kinds do not compete."""
        return self if self.model else replace(self, model=f"synth-{kind}")


@dataclass(frozen=True, kw_only=True)
class SageMaker:
    """Where and on what AWS SageMaker trains; every value is checked on construction.

    role: ARN of the execution role.
    bucket: for data, checkpoints and results.
    region: such as eu-west-1; empty takes that of the AWS configuration.
    image: container with PyTorch; empty takes AWS's own for the region.
    instance_type: such as ml.g5.xlarge.
    instances: how many, 1 to 100.
    spot: spare capacity at a lower price, which may be taken away and is then resumed from the last checkpoint.
    hours: longest run, 0.1 to 672.
    volume: disk of each instance in GB.
    prices: US dollars an hour of each instance type that is used, as the AWS price list has them.
    spot_share: what spot instances cost of that price, 0 to 1.
    """

    role: str = ""
    bucket: str = ""
    region: str = ""
    image: str = ""
    instance_type: str = "ml.g5.xlarge"
    instances: int = 1
    spot: bool = True
    hours: float = 4.0
    volume: int = 50
    prices: dict[str, float] = field(default_factory=dict)
    spot_share: float = 1.0

    def __post_init__(self) -> None:
        check_text("instance_type", self.instance_type)
        check_whole("instances", self.instances, 1, 100)
        check_flag("spot", self.spot)
        check_number("hours", self.hours, 0.1, 672.0)
        check_whole("volume", self.volume, 1, 16_384)
        check_number("spot_share", self.spot_share, 0.0, 1.0)
        for kind, price in self.prices.items():
            check_number(f"prices.{kind}", price, 0.0, 1e6)


@dataclass(frozen=True, kw_only=True)
class Params:
    """All sections of params.yaml."""

    data: Data = Data()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    track: Track = Track()
    sagemaker: SageMaker = SageMaker()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The parameters that a mapping of sections describes; what it leaves out is as by default."""
        return _made(cls, data, "")

    @classmethod
    def read(cls, file: Path | str) -> Self:
        """The parameters in a YAML file."""
        try:
            data = yaml.load(Path(file).read_text(encoding="utf-8"), _Loader)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise InputError("params", str(file), f"give a YAML file that can be read ({reason})") from None
        except (yaml.YAMLError, RecursionError) as error:
            reason = " ".join(str(error).replace('in "<unicode string>", ', "").split())
            raise InputError("params", str(file), f"put its YAML right: {reason}") from None
        return cls.from_dict({} if data is None else data)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for YAML or JSON; `from_dict` is its inverse."""
        return _plain(asdict(self))

    def write(self, file: Path) -> None:
        """Write them as YAML."""
        file.write_text(yaml.safe_dump(self.as_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")

    def but(self, section: str, **changes: Any) -> Self:
        """A copy with some fields of a section changed, their types checked as in a file."""
        old = getattr(self, section)
        return replace(self, **{section: _made(type(old), asdict(old) | changes, f"{section}.")})


class _Loader(yaml.SafeLoader):
    """YAML 1.2's truth values and numbers, as DVC writes them (off is a text, 1e-05 a number); no name stands twice."""

    yaml_implicit_resolvers: ClassVar = {
        first: [
            (tag, pattern) for tag, pattern in known if tag.rpartition(":")[2] not in ("bool", "float", "timestamp")
        ]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:  # of PyYAML's converters, such as on !!timestamp x
            kind = node.tag.rpartition(":")[2]
            raise yaml.YAMLError(f"{node.value!r} in line {node.start_mark.line + 1} is no {kind}") from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = []
        for name, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if name.value in seen:
                raise yaml.YAMLError(f"{name.value!r} stands twice, again in line {name.start_mark.line + 1}")
            seen.append(name.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+.0123456789"),
)


def _made(cls: type, data: Any, where: str) -> Any:
    """An instance of a dataclass from a mapping; errors name fields as `section.field`."""
    if not isinstance(data, Mapping):
        raise InputError(where.rstrip(".") or "params", data, "give fields, each as `name: value`")
    kinds = {item.name: item.type for item in fields(cls)}
    for name in data:
        check_choice(f"field of {where[:-1]}" if where else "section", name, tuple(kinds))
    try:
        return cls(**{name: _typed(kinds[name], value, f"{where}{name}") for name, value in data.items()})
    except InputError as error:
        if where and where[:-1] not in error.field:
            raise InputError(f"{where}{error.field}", error.value, error.remedy) from None
        raise


def _typed(kind: Any, value: Any, name: str) -> Any:
    if hasattr(kind, "__dataclass_fields__"):
        return _made(kind, value, f"{name}.")
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(name, value, "give a list")
        return tuple(_typed(get_args(kind)[0], item, name) for item in value)
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise InputError(name, value, "give fields, each as `name: value`")
        return value
    wanted, remedy = {
        bool: (bool, "give true or false"),
        int: (int, "give a whole number"),
        float: ((int, float), "give a number"),
        str: (str, "give a text, in quotes if it looks like a number"),
    }[kind]
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise InputError(name, value, remedy)
    return float(value) if kind is float else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
