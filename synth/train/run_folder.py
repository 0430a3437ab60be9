"""The folder of a training: whether it may be used, which training it holds already, and how that is removed."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.errors import InputError, ModelError
from synth.models.weights import check_safetensors, digest, read_json

FACTS = "run.json"
FOLDERS = ("checkpoints", "samples", "model", "model.part", "evaluation")
FILES = (
    FACTS,
    "params.yaml",
    "log.jsonl",
    "log.part",
    "result.json",
    "evaluation.json",
    "metrics.json",
    "tracking.json",
)
PREPARED = ("data", "data.cache")
# Parameters that change how often one looks, or how it is computed, but nothing that is learned.
FREE = {
    "accumulate", "spike", "validate_every", "checkpoint_every", "keep_last", "keep_best", "gradient_checkpointing",
    "compile",
}  # fmt: skip
NOT_FREE = {"vae": {"accumulate"}}  # its noise is measured by the latents of what is computed at once


def free(kind: str) -> set[str]:
    """The parameters that change nothing of what a model of this kind learns."""
    return FREE - NOT_FREE.get(kind, set())


def check_usable(out: Path) -> None:
    """InputError if no training can be written there: a file, a folder with other things, or one that is not ours."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError("out", str(out), f"{'it' if there == out else there} is a file: give a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError("out", str(out), f"choose a folder that you may write to: {there} is not one")
    if there == out and not (out / FACTS).is_file():
        ours = {*FOLDERS, *FILES, *PREPARED}
        others = sorted(path.name for path in out.iterdir() if path.name not in ours and path.name[0] != ".")
        if others:
            remedy = f"choose a new or empty folder; this one has other files in it, such as {others[0]}"
            raise InputError("out", str(out), remedy)


def check_same(out: Path, facts: Mapping[str, Any]) -> None:
    """InputError if the folder holds a training of which some of these facts are otherwise."""
    names = differences(out, facts)
    if names:
        remedy = f"it holds a training with other {', '.join(names)}: train in another folder, or add --replace"
        raise InputError("out", str(out), remedy)


def differences(out: Path, facts: Mapping[str, Any]) -> list[str]:
    """Which of these facts are otherwise in the training that the folder holds, if any."""
    if not (out / FACTS).is_file():
        return []
    try:
        before = json.loads((out / FACTS).read_bytes())
        old = before["params"]
        names = [name for name in facts if name != "params" and before[name] != facts[name]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError("out", str(out), f"its {FACTS} is damaged ({error}): train in another folder") from None
    names += [] if _kept_its_checkpoint(out) else ["checkpoints"]
    same = free(facts["params"]["kind"])
    changed = [name for name, value in facts["params"].items() if name not in same and old.get(name) != value]
    return names + [f"train.{name}" for name in changed]


def _kept_its_checkpoint(out: Path) -> bool:
    """Whether a finished training's checkpoint is the one that it ended with: a checkout may bring another's result.

    One that is cut off is its own: the trainer names it.
    """
    if not (out / "result.json").is_file():
        return True
    result = read_json(out / "result.json")
    checkpoint = out / "checkpoints" / result["checkpoint"]
    try:
        check_safetensors(checkpoint)
    except ModelError:
        return True
    return result["checkpoint_digest"] == digest(checkpoint)


def remove_training(out: Path) -> None:
    """Delete everything that a training writes, and nothing else that lies in its folder."""
    for name in FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)
