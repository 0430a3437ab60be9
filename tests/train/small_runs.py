"""A training of a few steps on a tiny model, for the tests of what is shown of trainings."""

from pathlib import Path

from synth.train.data.preparation import prepare
from synth.train.params import Data, Evaluate, Params, Train
from synth.train.runs import Run, train


def small_run(folder: Path, base: Path, **changes: object) -> Run:
    """Train the UNet of `base` on two dozen vignettes of 64 pixels in `folder`, validating it twice."""
    data = prepare(Data(source="vignettes", size=64, limit=24), folder.parent / "data", progress=False).folder
    how = {"steps": 4, "batch_size": 4, "validate_every": 2, "checkpoint_every": 2, "precision": "fp32"} | changes
    return train(Params(train=Train(base=str(base), **how), evaluate=Evaluate(steps=2)), data, folder)
