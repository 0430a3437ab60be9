"""A training that has ended, told to MLflow as if it had been followed there."""

from pathlib import Path

from synth.models.weights import read_json
from synth.train.connection import noted_run
from synth.train.loop import read_log
from synth.train.params import Params
from synth.train.run_folder import FACTS
from synth.train.tracking import Tracker


def tell(run: Path, params: Params) -> Tracker:
    """The tracker of a finished training; where MLflow does not know it, its parameters, figures and samples go there.

    params: the run's own, with the MLflow that is meant in `track`.
    """
    if noted_run(params.track, run):
        return Tracker(params.track, run.name, run)
    facts = read_json(run / FACTS)
    digests = {name: facts[name] for name in ("data", "base")}
    tracker = Tracker.start(params, run.name, run, digests=digests, machine=facts.get("machine"))
    for line in read_log(run / "log.jsonl"):
        tracker.metrics({name: value for name, value in line.items() if name != "step"}, int(line["step"]))
    if (run / "samples").is_dir():
        tracker.artifact(run / "samples", "samples")
    tracker.finish()
    return tracker
