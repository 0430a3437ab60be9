"""A training run: one folder with all that decided it, its checkpoints, its log, and the model that came out.

    params.yaml     what was asked for, complete
    run.json        digests of the data and the base: with params.yaml, what the result depends on
    log.jsonl       losses and validations
    checkpoints/    what resuming needs; any of them can be rendered
    samples/        what the model drew at each validation
    model/          the best checkpoint as a plain folder, with a model card
    result.json     which checkpoint that is, its digest, and its figures

Started again with the same parameters it goes on where it stopped; with others it is refused.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from synth.errors import InputError, TrainError
from synth.models.devices import choose_device
from synth.models.trained import lay_over
from synth.models.weights import digest
from synth.presets import locate, resolve
from synth.records.files import write_atomically
from synth.train.card import write_card
from synth.train.checkpoints import best_first, checkpoints
from synth.train.data.preparation import prepare
from synth.train.data.prepared import FACTS, PreparedSet
from synth.train.language_learner import gpt2_learner
from synth.train.learners import Learner, clip_learner, unet_learner, vae_learner
from synth.train.loop import Figures, Trainer, read_log
from synth.train.params import Params
from synth.train.processes import Processes
from synth.train.texts import Texts
from synth.train.tracking import Tracker

LIBRARIES = ("synth", "torch", "diffusers", "transformers", "peft", "accelerate")


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
    `params.data.source`. replace_other: delete a training with other parameters that is there. Raises InputError or ModelError before the first step, TrainError with the last good
    checkpoint's name after it. Ctrl-C and SIGTERM leave a checkpoint; called again, it goes on from the newest. Of
    several processes only the main one gets the Run.
    """
    out, processes = Path(out), Processes(choose_device(device))
    processes.check(params.train)
    with processes.main_first():
        found = _open(params, data, out)
    base = _base_digest(params)
    facts = {"kind": params.train.kind, "data": found.digest, "base": base, "params": params.as_dict()["train"]}
    with processes.main_first():
        check_folder(out, facts, replace_other=replace_other and processes.main)
    learner = _learner(params, found, processes)
    if not processes.main:
        Trainer(learner.task, params.train, out, device=device, facts=learner.facts).run()
        processes.wait()
        return None
    where = found.source if isinstance(found, Texts) else found.folder
    _begin(out, params, facts | {"source": str(data or params.data.source), "data_folder": str(Path(where).resolve())})
    tracker = Tracker.start(params, out.name, out, digests={"data": found.digest, "base": base})
    try:
        done = _to_the_end(learner, params, out, processes, tracker)
    except BaseException as error:
        tracker.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    tracker.model(done.model)
    tracker.finish("FINISHED")
    return done


def _to_the_end(learner: Learner, params: Params, out: Path, processes: Processes, tracker: Tracker) -> Run:
    torch.set_flush_denormal(True)
    try:
        trainer = Trainer(
            learner.task, params.train, out, device=processes.device, facts=learner.facts,
            on_line=_reporting(tracker, out),
        )  # fmt: skip
        trainer.run()
        processes.wait()
        return _finish(learner, out, params)
    finally:
        torch.set_flush_denormal(False)  # it holds for all of the process


def check_folder(out: Path, facts: dict, *, replace_other: bool) -> None:
    """InputError if the folder holds another training that is not to be replaced, or is none."""
    if out.exists() and not out.is_dir():
        raise InputError("out", str(out), "it is a file: give a folder")
    if (out / "run.json").is_file():
        before = json.loads((out / "run.json").read_text(encoding="utf-8"))
        names = [name for name in facts if name != "params" and before.get(name) != facts[name]]
        old, new = before.get("params", {}), facts["params"]
        names += [f"train.{name}" for name in new if old.get(name) != new[name]]
        if names and not replace_other:
            remedy = f"it holds a training with other {', '.join(names)}: train in another folder, or add --replace"
            raise InputError("out", str(out), remedy)
        if names:
            _delete_training(out)


def _delete_training(out: Path) -> None:
    """Everything that a training writes, and nothing else that lies in its folder."""
    (out / "run.json").unlink()
    for name in ("checkpoints", "samples", "model", "evaluation"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("log.jsonl", "result.json", "evaluation.json", "params.yaml", "tracking.json"):
        (out / name).unlink(missing_ok=True)


def _open(params: Params, data: Path | str | None, out: Path) -> PreparedSet | Texts:
    source = Path(data or params.data.source)
    if params.train.kind == "gpt2":
        return Texts.read(source, column=params.data.caption, validation=params.data.validation)
    if (source / FACTS).is_file():
        return PreparedSet.open(source)
    return prepare(replace(params.data, source=str(data or params.data.source)), out / "data")


def _base_digest(params: Params) -> str:
    kind = {"gpt2": "expander", "clip": "clip"}.get(params.train.kind, "renderer")
    name = {"expander": "vignettes-gpt2", "clip": "vignettes-clip", "renderer": "vignettes"}[kind]
    reference = resolve(name if params.train.base == "vignettes" else params.train.base, kind)
    return reference.digest or reference.revision or digest(locate(reference, kind))


def _learner(params: Params, data: PreparedSet | Texts, processes: Processes) -> Learner:
    if params.train.kind == "gpt2":
        return gpt2_learner(params, data)
    build = {"unet": unet_learner, "vae": vae_learner, "clip": clip_learner}
    return build[params.train.kind](params, data, processes)


def _begin(out: Path, params: Params, facts: dict) -> None:
    out.mkdir(parents=True, exist_ok=True)
    params.write(out / "params.yaml")
    versions = {name: version(name) for name in LIBRARIES}
    write_atomically(out / "run.json", json.dumps(facts | {"versions": versions}, indent=1).encode())


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
    unfinished, model = out / "model.part", out / "model"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        learner.export(unfinished)
    except OSError as error:
        raise TrainError(
            f"{model} cannot be written ({error}); free some space and run again: {best} is safe"
        ) from None
    figures = _figures_at(out, best)
    write_card(unfinished, out, params, best, figures)
    shutil.rmtree(model, ignore_errors=True)
    unfinished.replace(model)
    result = {"checkpoint": best.name, "digest": digest(model), "figures": figures}
    write_atomically(out / "result.json", json.dumps(result, indent=1).encode())
    return Run(out, model, best, figures)


def _figures_at(out: Path, checkpoint: Path) -> Figures:
    step = int(checkpoint.stem.removeprefix("step-"))
    lines = [line for line in read_log(out / "log.jsonl") if line["step"] == step]
    return {
        name.removeprefix("validation_"): value
        for line in lines
        for name, value in line.items()
        if name.startswith("validation_")
    }
