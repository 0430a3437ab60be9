"""A measured run becomes the champion, if it is better by more than its noise: `synth train promote`."""

import json
from dataclasses import replace
from pathlib import Path

from synth.errors import ModelError
from synth.models.weights import digest, read_json
from synth.records.files import write_atomically
from synth.train.evaluation import Evaluation
from synth.train.params import Params, Track
from synth.train.registry import Promotion, Version, register
from synth.train.registry import promote as promote_version
from synth.train.telling import tell


def promote(run: Path | str, track: Track, *, out: Path | None = None) -> Promotion:
    """Register a run's model with the figure `track.metric` of its evaluation, and make it champion if it is better.

    out: a file that says who the champion is, written only when that changes, so that nothing that depends on it has
    to be made again when it does not. ModelError if the run was not measured, or holds another model since; see
    `registry.promote` for the rest.
    """
    run, found = Path(run), Evaluation.read(run)
    if found.model != digest(run / "model"):
        raise ModelError(f"{run} holds another model than was measured; run `synth train evaluate {run}` again.")
    measured, track = found.measured(track.metric), track.of(found.kind)
    tell(run, replace(Params.read(run / "params.yaml"), track=track))
    version = register(run, run / "model", measured, track)
    outcome = promote_version(version, track)
    if out is not None:
        _note(outcome.champion, out)
    return outcome


def _note(champion: Version, out: Path) -> None:
    facts = {"model": champion.model, "version": champion.number, "digest": champion.digest}
    if not out.is_file() or read_json(out) != facts:
        write_atomically(out, (json.dumps(facts, indent=1) + "\n").encode())
