"""A training run: one folder with all that decided it, its checkpoints, its log, and the model that came out.

    params.yaml     what was asked for, complete
    run.json        digests of the data and the base: with params.yaml, what the result depends on
    log.jsonl       losses and validations
    checkpoints/    what resuming needs; any of them can be rendered
    samples/        what the model drew at each validation
    model/          the best checkpoint as a plain folder, with a model card
    result.json     which checkpoint that is, its digest, and its figures

Started again with the same parameters it goes on where it stopped; with others, unless these change nothing that is
learned, it is refused.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from synth.errors import InputError, SynthError
from synth.models.devices import choose_device
from synth.models.loading import first_line
from synth.models.quiet import quiet
from synth.models.trained import lay_over
from synth.models.weights import digest
from synth.presets import resolve
from synth.records.files import claimed, write_atomically
from synth.train import run_folder
from synth.train.card import write_card
from synth.train.checkpoints import best_first, checkpoints, naming_last_good, step_of
from synth.train.data.preparation import prepare
from synth.train.data.prepared import FACTS, PreparedSet
from synth.train.language_learner import gpt2_learner
from synth.train.learners import Learner, check_clip, clip_learner, unet_learner, vae_learner
from synth.train.loop import Figures, Trainer, read_log, uses_bf16
from synth.train.params import Params, Train
from synth.train.processes import Processes
from synth.train.texts import Texts
from synth.train.tracking import Tracker, versions


@dataclass(frozen=True)
class Run:
    """A finished training. best: the checkpoint in `model`; figures: what that was validated at."""

    folder: Path
    model: Path
    best: Path
    figures: Figures


def train(
    params: Params, data: Path | str | None, out: Path | str, *, device: str = "auto", replace_other: bool = False
) -> Run | None:
    """Train what `params.train` says in the folder `out`, to its end.

    data: a prepared set, captioned pictures (a set is then prepared in `<out>/data`), texts for gpt2, or None for
    `params.data.source`. replace_other: delete a training with other parameters that is there. Raises InputError or
    ModelError before the first step, StudyError while another training runs in `out`, TrainError with the last good
    checkpoint's name after it. Ctrl-C and SIGTERM leave a checkpoint; called again, it goes on from the newest. Of
    several processes only the main one gets the Run.
    """
    out, processes = Path(out), Processes(choose_device(device))
    check_clip(params.train, sharded=processes.sharded)
    processes.check(params.train)
    run_folder.check_usable(out)
    with claimed(out) if processes.main else nullcontext(), naming_last_good(out / "checkpoints"):
        return _train(params, data, out, processes, replace_other)


def _train(params: Params, data: Path | str | None, out: Path, processes: Processes, replace_other: bool) -> Run | None:
    with processes.main_first():
        params, found, facts = _begun(params, data, out, replace_other)
    learner = _learner(params, found, processes)
    with processes.main_first():
        if run_folder.differences(out, facts):
            run_folder.remove_training(out)
    if not processes.main:
        Trainer(learner.task, params.train, out, device=processes.device, facts=learner.facts).run()
        processes.leave(learner.task.modules.values())
        return None
    machine = _machine(params.train, processes)
    _write_facts(out, params, found, facts | {"machine": machine})
    digests = {name: facts[name] for name in ("data", "base")}
    tracker = Tracker.start(params, out.name, out, digests=digests, machine=machine)
    try:
        done = _to_the_end(learner, params, out, processes, tracker)
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    tracker.model(done.model)
    tracker.finish("FINISHED")
    return done


def _to_the_end(learner: Learner, params: Params, out: Path, processes: Processes, tracker: Tracker) -> Run:
    trainer = Trainer(
        learner.task, params.train, out, device=processes.device, facts=learner.facts, on_line=_reporting(tracker, out)
    )
    trainer.run()
    processes.leave(learner.task.modules.values())
    return _finish(learner, out, params)


def _begun(
    params: Params, data: Path | str | None, out: Path, replace_other: bool
) -> tuple[Params, PreparedSet | Texts, dict[str, Any]]:
    """The parameters with the data's own, the data, and what the result depends on; the cheapest checks first."""
    facts = {"base": _base_digest(params.train), "params": params.as_dict()["train"]}
    if not replace_other:
        run_folder.check_same(out, facts)
    found = _open(params, data, out, replace_other)
    facts["data"] = found.digest
    if not replace_other:
        run_folder.check_same(out, facts)
    made_of = replace(params.data, source=found.source) if isinstance(found, Texts) else found.params
    return replace(params, data=made_of), found, facts


def _open(params: Params, data: Path | str | None, out: Path, replace_other: bool) -> PreparedSet | Texts:
    source = Path(data or params.data.source)
    if params.train.kind == "gpt2":
        return Texts.read(source, column=params.data.caption, validation=params.data.validation)
    if (source / FACTS).is_file():
        return PreparedSet.open(source)
    made_of = replace(params.data, source=str(data or params.data.source))
    return prepare(made_of, out / "data", replace_other=replace_other)


def _base_digest(train: Train) -> str:
    kind = {"gpt2": "expander", "clip": "clip"}.get(train.kind, "renderer")
    try:
        reference = resolve(train.model, kind)
    except InputError as error:
        raise InputError("train.base", error.value, error.remedy) from None
    return reference.digest or reference.revision


def _learner(params: Params, data: PreparedSet | Texts, processes: Processes) -> Learner:
    """What is trained. A shape of its own is tried on two samples: InputError if no network comes of it."""
    try:
        learner = _built(params, data, processes)
        if params.train.shape:
            with torch.no_grad():
                learner.task.loss(learner.task.draw(0, replace(params.train, batch_size=2, accumulate=1)))
    except (SynthError, OSError):
        raise
    except Exception as error:  # libraries raise nearly anything on a wrong shape
        if not params.train.shape:
            raise
        remedy = f"give one that makes a network and fits the other parts ({first_line(error)})"
        raise InputError("train.shape", params.train.shape, remedy) from error
    return learner


def _built(params: Params, data: PreparedSet | Texts, processes: Processes) -> Learner:
    if params.train.kind == "gpt2":
        return gpt2_learner(params, data)
    build = {"unet": unet_learner, "vae": vae_learner, "clip": clip_learner}
    return build[params.train.kind](params, data, processes)


def _write_facts(out: Path, params: Params, data: PreparedSet | Texts, facts: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    params.write(out / "params.yaml")
    folder = Path(data.source if isinstance(data, Texts) else data.folder)
    facts = {"kind": params.train.kind, "source": params.data.source, "data_folder": str(folder.resolve())} | facts
    write_atomically(out / run_folder.FACTS, json.dumps(facts | {"versions": versions()}, indent=1).encode())


def _machine(train: Train, processes: Processes) -> dict[str, str]:
    """What computes the training, as far as it decides the last digits."""
    precision = "bf16" if uses_bf16(train, processes.device) else "fp32"
    return {"device": processes.device, "processes": str(processes.count), "precision": precision}


def _reporting(tracker: Tracker, out: Path) -> Callable[[Figures], None]:
    def report(line: Figures) -> None:
        step = int(line["step"])
        tracker.metrics({name: value for name, value in line.items() if name != "step"}, step)
        sample = out / "samples" / f"step-{step:08d}.png"
        if any(name.startswith("validation_") for name in line) and sample.is_file():
            tracker.artifact(sample, "samples")

    return report


def _finish(learner: Learner, out: Path, params: Params) -> Run:
    """Write the best checkpoint's weights as a plain model, whole or not at all."""
    found = checkpoints(out / "checkpoints")
    best = (best_first(found, learner.task.metric, learner.task.higher) or found[::-1])[0]
    lay_over(learner.task.modules, best)
    unfinished, model, figures = out / "model.part", out / "model", _figures_at(out, best)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        with quiet():
            learner.export(unfinished)
        write_card(unfinished, out, params, best, figures)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)  # where a disk is full, it would keep it full
        raise
    shutil.rmtree(model, ignore_errors=True)
    unfinished.replace(model)
    result = {"checkpoint": best.name, "checkpoint_digest": digest(best), "digest": digest(model), "figures": figures}
    write_atomically(out / "result.json", json.dumps(result, indent=1).encode())
    return Run(out, model, best, figures)


def _figures_at(out: Path, checkpoint: Path) -> Figures:
    lines = [line for line in read_log(out / "log.jsonl") if line["step"] == step_of(checkpoint)]
    return {
        name.removeprefix("validation_"): value
        for line in lines
        for name, value in line.items()
        if name.startswith("validation_")
    }
