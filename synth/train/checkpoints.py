"""Checkpoints: all that a training needs to go on, in one safetensors file, written atomically.

A file holds tensors named `weights/<module>/<parameter>`, `average/<module>/<parameter>` and
`adam/<moment>/<module>/<parameter>`, and in its metadata the step and the recipe. No pickles: a checkpoint from
elsewhere can be opened without running anything.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from synth.errors import ModelError

KEEP_LAST = 2


def save_checkpoint(folder: Path, step: int, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> Path:
    """Write `<folder>/step-<step>.safetensors`, then remove all but the last two.

    The file appears whole or not at all: it is written under another name, flushed to the disk and renamed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.safetensors"
    unfinished = path.with_suffix(".part")
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    save_file(plain, unfinished, metadata={"facts": json.dumps({"step": step, **facts})})
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)
    for old in checkpoints(folder)[:-KEEP_LAST]:
        old.unlink()
    return path


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a checkpoint, on the CPU, and its facts (step, recipe)."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except Exception as error:
        raise ModelError(
            f"the checkpoint {path} cannot be read ({error}); remove it to go on from the one before"
        ) from None


def checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints of a training, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))
