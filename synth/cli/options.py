"""Options that several commands share. Those for settings are made from the library's own classes: name, type, default
and explanation are written once, there.
"""

import argparse
import inspect
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from synth.errors import InputError
from synth.jobs import SCHEDULERS, ExpansionSettings, Settings
from synth.layout.parameters import Parameter

if TYPE_CHECKING:
    from synth.studies import Study

METAVARS = {"str": "TEXT", "int": "N", "float": "X"}

# name: (type, what stands for a value, explanation)
COMMON = {
    "n": ("int", "N", "how many prompts GPT-2 writes (default: 4)"),
    "seeds": ("str", "N", "how many pictures a prompt gets (default: 4), or, with commas, their seeds: 3,7,11"),
    "seed": ("int", "N", "of the expansion, and the first of the pictures' (default: 0)"),
    "model": ("str", "MODEL", "renderer: preset, hub id, folder, .safetensors file or checkpoint (default: vignettes)"),
    "expander": ("str", "MODEL", "GPT-2: preset, hub id, folder or checkpoint (default: vignettes-gpt2)"),
    "out": ("str", "FOLDER", "of all studies (default: generated_images)"),
    "name": ("str", "NAME", "of the study's folder (default: from the phrase and all settings)"),
    "device": ("str", "DEVICE", "auto, cuda, cuda:N, mps or cpu (default: auto)"),
    "dtype": ("str", "DTYPE", "auto, float32, float16 or bfloat16 (default: auto)"),
    "batch_size": ("int", "N", "pictures computed together (default: by memory)"),
    "speed": ("str", "NAME", "exact, quality or fast: which settings of the model are taken (default: quality)"),
    "strict": ("bool", None, "identical pixels whatever the batch size and order"),
    "source": ("str", "PICTURE", "draw over this picture, with --strength; it is cut to the size of the pictures"),
    "mask": ("str", "PICTURE", "of the source's size: draw anew only where this is white"),
    "yes": ("bool", None, "agree to more than 200 pictures"),
}


def _parameters(cls: type) -> dict[str, Parameter]:
    """The fields of a dataclass that have a type which an option can have."""
    simple = {item.name: item.type for item in fields(cls) if item.type in (str, int, float, bool, tuple[str, ...])}
    many = {name: kind == tuple[str, ...] for name, kind in simple.items()}
    return {
        name: Parameter(name, "str" if many[name] else kind.__name__, many[name], False, None)
        for name, kind in simple.items()
    }


KNOWN = {name: Parameter(name, kind, False, False, None) for name, (kind, *_) in COMMON.items()}
KNOWN |= _parameters(Settings) | _parameters(ExpansionSettings)


def add_common(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the options of COMMON that are named."""
    for name in names:
        _add(parser, KNOWN[name], *COMMON[name][1:])


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of Settings, and --size for two of them."""
    group = parser.add_argument_group("how to render", "what is not given is as advised for the model")
    _add(group, KNOWN["speed"], *COMMON["speed"][1:])
    _add_fields(group, Settings)
    group.add_argument("--size", metavar="WIDTHxHEIGHT", help="width and height at once, such as 768 or 768x512")


def add_expansion(parser: argparse.ArgumentParser) -> None:
    """Add an option for each field of ExpansionSettings."""
    _add_fields(parser.add_argument_group("how GPT-2 writes"), ExpansionSettings)


def add_dataclass(parser: argparse.ArgumentParser, title: str, cls: type, without: tuple[str, ...] = ()) -> None:
    """Add an option for each field of a dataclass that a text, number or flag can give, `without` some."""
    _add_fields(parser.add_argument_group(title), cls, without)


def given(arguments: argparse.Namespace, cls: type) -> dict[str, Any]:
    """What was given of a dataclass's fields, typed; InputError for what has the wrong type."""
    texts = {name: getattr(arguments, name, None) for name in _parameters(cls)}
    return {name: _typed(_parameters(cls)[name], text) for name, text in texts.items() if text is not None}


def add_loras(parser: argparse.ArgumentParser) -> None:
    """Add --lora, which may be given several times."""
    text = "LoRA on top of the model: a .safetensors file or hub id (default weight: 1); repeat for more"
    parser.add_argument("--lora", action="append", metavar="FILE[=WEIGHT]", help=text)


def values(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given, by name and typed as the library wants it; InputError for what has the wrong type."""
    given = {name: text for name, text in vars(arguments).items() if name in KNOWN and text is not None}
    typed = {name: _typed(KNOWN[name], text) for name, text in given.items()} | _size(arguments)
    return typed | ({"loras": arguments.lora} if getattr(arguments, "lora", None) else {})


def open_study(arguments: argparse.Namespace) -> "Study":
    """The study that the arguments `study` and `out` name; StudyError where there is none."""
    from synth.studies import ROOT, Study

    return Study.open(arguments.study, arguments.out or ROOT)


def _typed(parameter: Parameter, text: Any) -> Any:
    if parameter.kind == "bool":
        return text
    if parameter.many:
        return tuple(text)
    if parameter.name == "seeds":
        one = Parameter("seeds", "int", False, False, None)
        return [one.parse(item) for item in text.split(",")] if "," in text else one.parse(text)
    return parameter.parse(text)


def _size(arguments: argparse.Namespace) -> dict[str, int]:
    size = getattr(arguments, "size", None)
    if size is None:
        return {}
    match = re.fullmatch(r"(\d{1,9})(?:x(\d{1,9}))?", size)
    if not match or arguments.width or arguments.height:
        raise InputError("size", size, "give it as 768 or 768x512, and then neither --width nor --height")
    return {"width": int(match[1]), "height": int(match[2] or match[1])}


def _add_fields(group: Any, cls: type, without: tuple[str, ...] = ()) -> None:
    described, defaults = _descriptions(cls), {field.name: field.default for field in fields(cls)}
    for name, parameter in _parameters(cls).items():
        if name not in without:
            told = defaults[name] not in ("", ()) and defaults[name] is not False
            default = f" (default: {defaults[name]})" * told
            _add(group, parameter, METAVARS.get(parameter.kind), described[name] + default)


def _add(group: Any, parameter: Parameter, metavar: str | None, text: str) -> None:
    flag, text = f"--{parameter.name.replace('_', '-')}", text.replace("%", "%%")
    if parameter.kind == "bool":
        group.add_argument(flag, action="store_true", default=None, help=text)
    elif parameter.many:
        group.add_argument(flag, action="append", metavar=metavar, help=f"{text}; repeat for more")
    else:
        group.add_argument(flag, metavar=metavar, help=text)


def _descriptions(cls: type) -> dict[str, str]:
    """What the docstrings of a dataclass and its bases say of its fields, as "name: text" or "name, name: text"."""
    found: dict[str, str] = {}
    for base in reversed([base for base in cls.__mro__ if is_dataclass(base)]):
        names = "|".join(field.name for field in fields(base))
        parts = re.split(rf"\b((?:{names})(?:, (?:{names}))*): ", inspect.cleandoc(base.__doc__))
        texts = (" ".join(text.split()).rstrip(".; ") for text in parts[2::2])
        found |= {name: text for group, text in zip(parts[1::2], texts, strict=True) for name in group.split(", ")}
    return {name: text.replace("SCHEDULERS", ", ".join(SCHEDULERS)) for name, text in found.items()}
