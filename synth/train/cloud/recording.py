"""A fetched run, told to MLflow as if it had been trained here."""

from pathlib import Path

from synth.measure.intervals import Figure
from synth.models.weights import read_json
from synth.train.connection import OFF
from synth.train.loop import read_log
from synth.train.measured import Measured
from synth.train.params import Params
from synth.train.registry import Version, register
from synth.train.telling import tell

VALIDATION = "validation_"


def record(run: Path, params: Params) -> Version | None:
    """Log a run's parameters, figures and samples, and register its model; None if `track.uri` is off.

    The version's figure is the last validation's, which has no interval and a name of its own (validation_...), so that
    no model becomes champion by it; measuring the model on the held-out data renews the figure. InputError if MLflow
    does not answer.
    """
    if params.track.uri == OFF:
        return None
    tell(run, params)
    figure = _last_validation(read_log(run / "log.jsonl"))
    return register(run, run / "model", Measured(figure), params.track.of(read_json(run / "run.json")["kind"]))


def _last_validation(lines: list[dict[str, float]]) -> Figure:
    validated = [line for line in lines if any(name.startswith(VALIDATION) for name in line)][-1]
    name, value = next((name, value) for name, value in validated.items() if name.startswith(VALIDATION))
    return Figure(name, value, value, value)
