"""What a training run's folder tells of how it went: losses, validations, samples, and how it differs from others."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd

from synth.errors import InputError, SynthError
from synth.models.weights import read_json
from synth.train.data.prepared import PreparedSet
from synth.train.loop import Figures, read_log
from synth.train.params import Params
from synth.train.run_folder import FACTS
from synth.train.samples import shown_captions

HIGHER = ("psnr", "retrieval")  # of what trainings are validated by, the figures that should rise
WATCHING = ("validate_every", "checkpoint_every", "keep_last", "keep_best")  # they change nothing that is learned


@dataclass(frozen=True)
class History:
    """The log of a run. lines: as the loop wrote them; none yet where it has only begun."""

    folder: Path
    lines: list[Figures] = field(default_factory=list)

    @classmethod
    def read(cls, run: Path | str) -> Self:
        """The history in a run's folder; InputError if it is none."""
        log = Path(run) / "log.jsonl"
        if not log.is_file():
            raise InputError("run", str(run), "give the folder of a training, which has a log.jsonl")
        return cls(Path(run), read_log(log))

    @cached_property
    def training(self) -> pd.DataFrame:
        """Columns step, loss and others, a row for each step that was logged."""
        return pd.DataFrame([line for line in self.lines if "loss" in line])

    @cached_property
    def validations(self) -> pd.DataFrame:
        """Columns step and the figures on what was held out: for a UNet loss, wrong and none."""
        found = pd.DataFrame([line for line in self.lines if "loss" not in line])
        return found.rename(columns=lambda name: name.removeprefix("validation_"))

    @property
    def metric(self) -> str:
        """The figure that says how good it is, "loss" mostly."""
        names = [name for name in self.validations.columns if name != "step"]
        return names[0] if names else "loss"

    @property
    def best(self) -> pd.Series:
        """The validation that was best; an empty series where there was none."""
        if self.validations.empty:
            return pd.Series(dtype=float)
        column = self.validations[self.metric]
        return self.validations.loc[column.idxmax() if self.metric in HIGHER else column.idxmin()]

    @property
    def listens(self) -> float:
        """How much lower the best validation's loss is with the right caption than with none; NaN without captions."""
        return float(self.best.get("none", math.nan) - self.best.get("loss", math.nan))

    @property
    def steps(self) -> int:
        """The last step that was logged."""
        return int(self.lines[-1]["step"]) if self.lines else 0

    @property
    def seconds(self) -> float:
        """The median of a step, without validations; NaN before the first."""
        return float(self.training["seconds"].median()) if len(self.training) else math.nan

    @cached_property
    def params(self) -> dict[str, Any]:
        """The training's parameters as plain values, and the first digits of its data's digest."""
        file, facts = self.folder / "params.yaml", self.folder / FACTS
        if not file.is_file():
            return {}
        data = {"data": read_json(facts)["data"][:6]} if facts.is_file() else {}
        return Params.read(file).as_dict()["train"] | data

    @property
    def samples(self) -> dict[int, Path]:
        """The sample sheets by step."""
        found = sorted((self.folder / "samples").glob("step-*.png"))
        return {int(path.stem.removeprefix("step-")): path for path in found}

    @property
    def captions(self) -> list[str]:
        """What the sample sheets show, from left to right; nothing where the data have gone."""
        try:
            return shown_captions(PreparedSet.open(read_json(self.folder / "run.json")["data_folder"]))
        except (SynthError, KeyError):
            return []


def differences(histories: Sequence[History]) -> list[str]:
    """For each of several runs the parameters in which they differ, "lora_rank 8, steps 60".

    Those that differ in none, or as another does, are told by their folders too, from where these part.
    """
    names = dict.fromkeys(name for history in histories for name in history.params if name not in WATCHING)
    differing = [name for name in names if len({repr(history.params.get(name)) for history in histories}) > 1]
    labels = [", ".join(f"{name} {history.params.get(name)}" for name in differing) for history in histories]
    return [
        label if label and labels.count(label) == 1 else f"{folder} {label}".strip()
        for label, folder in zip(labels, _places([history.folder for history in histories]), strict=True)
    ]


def _places(folders: Sequence[Path]) -> list[str]:
    """Folders as they are called from the one that holds them all."""
    paths = [folder.resolve() for folder in folders]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return [path.relative_to(common).as_posix() for path in paths]
