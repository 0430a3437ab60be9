"""Checkpoints: all that a training needs to go on, in one safetensors file, written atomically.

A file holds tensors named `weights/<module>/<parameter>`, `average/<module>/<parameter>` and
`adam/<moment>/<module>/<parameter>`, and in its metadata facts: the step, the recipe, the figures it was validated
at, and what is needed to render with it. No pickles: a checkpoint from elsewhere can be opened without running
anything. No random state: what happens at a step is drawn from the recipe's seed and the step.
"""

import errno
import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from synth.errors import ModelError, StudyError, SynthError, TrainError
from synth.models.devices import is_out_of_memory
from synth.records.files import sync_folder

# What more room, or permission, is the remedy for.
UNWRITABLE = {"ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EACCES", "EPERM", "EIO"}


def save_checkpoint(folder: Path, step: int, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> Path:
    """Write `<folder>/step-<step>.safetensors`: whole or not at all.

    It is written under another name, flushed to the disk and renamed. TrainError if that fails, as on a full disk; the
    checkpoints before it are then untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.safetensors"
    unfinished = path.with_suffix(".part")
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, unfinished, metadata={"facts": json.dumps({"step": step, **facts})})
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(folder)
    except (OSError, SafetensorError) as error:
        unfinished.unlink(missing_ok=True)
        raise _full(path, str(error), folder) from None
    return path


@contextmanager
def naming_last_good(folder: Path) -> Iterator[None]:
    """Within the block a disk or memory that is full is a TrainError: what to do, and the last good checkpoint."""
    try:
        yield
    except Exception as error:
        told = _told(error, folder)
        if told is None:
            raise
        raise told from error


def _told(error: BaseException | None, folder: Path) -> TrainError | None:
    """What an error of the disk or the memory means for a training; None for any other."""
    if isinstance(error, StudyError):  # of write_atomically
        error = error.__cause__
    if error is None or isinstance(error, SynthError):
        return None
    if errno.errorcode.get(_number(error)) in UNWRITABLE:
        reason = getattr(error, "strerror", None) or str(error)
        return _full(getattr(error, "filename", None) or folder.parent, reason, folder)
    if is_out_of_memory(error):
        remedy = "use more parts (accumulate), gradient_checkpointing, or a smaller batch_size or lora_rank"
        return TrainError(f"the memory is too small for this training: {remedy}; {_last_good_is(folder)}")
    return None


def _number(error: BaseException) -> int | None:
    """The system's number of an error, also where it stands in the text only: safetensors and tokenizers are Rust."""
    told = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno if isinstance(error, OSError) else int(told[1]) if told else None


def _full(path: Path | str, reason: str, folder: Path) -> TrainError:
    remedy = "free some space, or write elsewhere if you may not write there, and run the same command again"
    return TrainError(f"{path} cannot be written ({reason}); {remedy}; {_last_good_is(folder)}")


def _last_good_is(folder: Path) -> str:
    return f"the last good checkpoint is {last_good(folder)}"


def rotate(folder: Path, *, keep_last: int, keep_best: int, metric: str, higher: bool) -> None:
    """Remove all checkpoints but the newest `keep_last` and the `keep_best` of the best validated figure `metric`."""
    found = checkpoints(folder)
    kept = set(found[-keep_last:]) | set(best_first(found, metric, higher)[:keep_best])
    for path in found:
        if path not in kept:
            path.unlink()


def sweep(folder: Path) -> None:
    """Remove what a kill left half written."""
    for leftover in folder.glob("step-*.part"):
        leftover.unlink()


def best_first(paths: list[Path], metric: str, higher: bool) -> list[Path]:
    """Those checkpoints that were validated, best first; of equals the earlier."""
    figures = {path: read_facts(path).get("figures", {}).get(metric) for path in paths}
    validated = [path for path in paths if figures[path] is not None and math.isfinite(figures[path])]
    return sorted(validated, key=lambda path: -figures[path] if higher else figures[path])


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a checkpoint, on the CPU, and its facts."""
    facts = read_facts(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from None


def read_facts(path: Path) -> dict[str, Any]:
    """A checkpoint's facts alone."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})["facts"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(f"the checkpoint {path} cannot be read ({error}); remove it to go on from the one before")


def checkpoints(folder: Path) -> list[Path]:
    """The finished checkpoints of a training, oldest first."""
    return sorted(folder.glob("step-*.safetensors"))


def last_good(folder: Path, failed: int | None = None) -> str:
    """The newest checkpoint's path, or "none".

    failed: the step that went wrong. A checkpoint of that very step has the weights that it went wrong with, so it
    counts only if it was validated: no figure that is not finite is ever saved.
    """
    good = [path for path in checkpoints(folder) if failed is None or step_of(path) < failed or _is_validated(path)]
    return str((good or ["none"])[-1])


def step_of(path: Path) -> int:
    """The step that a checkpoint was written after."""
    return int(path.stem.removeprefix("step-"))


def _is_validated(path: Path) -> bool:
    return bool(read_facts(path).get("figures"))
