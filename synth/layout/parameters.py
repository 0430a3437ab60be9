"""The parameters of a report notebook: what its tagged cell declares, and whether values fit.

A parameter is a line `name: type = default` in the cell tagged "parameters", its type one of str, int, float and bool,
list[...] or Optional[...] of these: what papermill can inspect and a Colab form can show. Standard library only.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from synth import presets
from synth.errors import InputError
from synth.jobs import ExpansionSettings, Settings, check_choice

_ANNOTATION = re.compile(r"(Optional\[)?(list\[)?(str|int|float|bool)\]*")
_REMEDY = {
    "str": "give a text (under papermill, -r instead of -p keeps a phrase a text)",
    "int": "give a whole number",
    "float": "give a number",
    "bool": "give true or false",
}
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Parameter:
    """A declared parameter. kind: "str", "int", "float" or "bool"; many: a list of these; optional: may be None."""

    name: str
    kind: str
    many: bool
    optional: bool
    default: Any

    def check(self, value: Any) -> Any:
        """`value` if it has the declared type, a whole number for a float included; an InputError otherwise."""
        if value is None and self.optional:
            return None
        if not self.many:
            return self._check_one(value)
        if not isinstance(value, (list, tuple)):
            raise InputError(self.name, value, "give a list")
        return [self._check_one(item) for item in value]

    def parse(self, text: str) -> Any:
        """The value that a text stands for: a str is the text itself; a list is JSON, or has an item on each line."""
        if self.many:
            return self.check(_items(text))
        if self.optional and text.strip().lower() in ("", "none", "null"):
            return None
        try:
            return self._parse_one(text)
        except (ValueError, KeyError):
            raise InputError(self.name, text, _REMEDY[self.kind]) from None

    def _check_one(self, value: Any) -> Any:
        types = {"str": str, "int": int, "float": (int, float), "bool": bool}[self.kind]
        if not isinstance(value, types) or (isinstance(value, bool) and self.kind != "bool"):
            raise InputError(self.name, value, _REMEDY[self.kind])
        return value

    def _parse_one(self, text: str) -> Any:
        if self.kind == "bool":
            return _BOOLS[text.strip().lower()]
        return {"str": str, "int": int, "float": float}[self.kind](text)


def declared(notebook: Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name, in its order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
    lines = (node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign))
    return {parameter.name: parameter for parameter in map(_parameter, lines)}


def check_parameters(values: Mapping[str, Any], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """`values` if each is declared and has its type; an InputError that names the nearest right one otherwise."""
    return {name: known[check_name(name, known)].check(value) for name, value in values.items()}


def parse_parameters(texts: Mapping[str, str], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """Values from texts, as a command line or a table has them; the same errors as `check_parameters`."""
    return {name: known[check_name(name, known)].parse(text) for name, text in texts.items()}


def check_name(name: str, known: Mapping[str, Parameter]) -> str:
    """`name` if a parameter is called so; an InputError that names the nearest otherwise."""
    return check_choice("parameter", name, tuple(known))


def parse_lora(text: str) -> tuple[str, float]:
    """A LoRA's name and weight.

    >>> parse_lora("ink.safetensors=0.8"), parse_lora("someone/ink")
    (('ink.safetensors', 0.8), ('someone/ink', 1.0))
    """
    name, _, weight = text.rpartition("=")
    if not name:
        return text, 1.0
    return name, Parameter("lora", "float", False, False, 1.0).parse(weight)


def study_arguments(
    *,
    phrase: str,
    prompts: list[str],
    model: str,
    name: str | None,
    loras: Sequence[str] = (),
    speed: str = presets.DEFAULT_SPEED,
    **more: Any,
) -> dict[str, Any]:
    """What `synth.study` is called with for a notebook's parameters.

    The fields of Settings and ExpansionSettings are gathered into these; a setting that is None is as advised for the
    model at that speed. With people's own prompts the phrase is not used. Raises InputError or ModelError; loads no
    model.
    """
    for field, value in (("phrase", phrase), ("model", model), ("name", name or "")):
        if not isinstance(value, str):
            raise InputError(field, value, _REMEDY["str"])
    settings = _taken(more, Settings)
    expansion = _taken(more, ExpansionSettings)
    return more | {
        "phrase": None if prompts else phrase,
        "prompts": prompts or None,
        "model": model,
        "name": name,
        "loras": tuple(map(parse_lora, loras)),
        "settings": presets.advised(model, speed).but(**settings),
        "expansion": ExpansionSettings(**expansion),
    }


def _taken(values: dict[str, Any], cls: type) -> dict[str, Any]:
    """Remove the fields of `cls` from `values`; those that are not None."""
    taken = {field.name: values.pop(field.name, None) for field in fields(cls)}
    return {name: value for name, value in taken.items() if value is not None}


def _items(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return [line.strip() for line in text.splitlines() if line.strip()]


def _parameter(node: ast.AnnAssign) -> Parameter:
    optional, many, kind = _ANNOTATION.fullmatch(ast.unparse(node.annotation)).groups()
    return Parameter(ast.unparse(node.target), kind, bool(many), bool(optional), ast.literal_eval(node.value))
