"""How good a trained model is, on what was held out, with 95% intervals: `synth train evaluate`.

A renderer is measured by how well it removes noise, with and without the caption (the gap says whether it listens), and
by what it draws: CLIP score, KID, and on the bundled picture world the attributes that a judge reads off the pictures.
What it started from is measured in the same way, so that there is a before and an after.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from synth.errors import InputError, ModelError
from synth.jobs import content_key
from synth.measure.clip import Clip
from synth.measure.intervals import Figure
from synth.models.devices import choose_device
from synth.models.loading import load
from synth.models.weights import digest, read_json
from synth.presets import resolve
from synth.records.files import write_atomically
from synth.train.arrays import psnr, to_pictures, to_tensor
from synth.train.checkpoints import step_of
from synth.train.connection import OFF
from synth.train.data.prepared import PreparedSet
from synth.train.gpt2 import Gpt2Task, whole
from synth.train.language_learner import load_gpt2
from synth.train.measured import Measured
from synth.train.params import Evaluate, Params
from synth.train.renderer_figures import denoising_figures, draw, drawn_figures, mean_figure, save_pictures
from synth.train.telling import tell
from synth.train.texts import Texts

FILE, METRICS = "evaluation.json", "metrics.json"
DENOISING = ("loss", "none", "listens")  # what a UNet is measured by without drawing anything
BY_CLIP = ("clip_score", "kid")  # what CLIP's vectors decide


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    figures: of the model; before: of what it started from. by_timestep: a UNet's errors in ten parts of its schedule,
    with the caption ("loss") and without ("none"); None where nothing was measured. values: of the figures that are
    means the value of each held-out picture or text. terms: of each figure what it was measured on, how, and in which
    unit. model: digest of what was measured.
    """

    kind: str
    figures: list[Figure]
    before: list[Figure] = field(default_factory=list)
    by_timestep: Mapping[str, list[Figure | None]] = field(default_factory=dict)
    values: Mapping[str, list[float]] = field(default_factory=dict)
    terms: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    model: str = ""

    def measured(self, name: str) -> Measured:
        """The figure called so, with what makes it comparable; InputError that lists the figures if there is none."""
        for figure in self.figures:
            if figure.name == name:
                return Measured(figure, self.terms.get(name, {}), self.values.get(name, []))
        raise InputError("track.metric", name, f"use one that was measured: {', '.join(f.name for f in self.figures)}")

    def table(self) -> str:
        """The figures as Markdown, with those from before the training."""
        old = {item.name: f"{item.value:.4g}" for item in self.before}
        rows = [
            f"| {f.name} | {old.get(f.name, '')} | {f.value:.4g} | {f.low:.4g} to {f.high:.4g} |" for f in self.figures
        ]
        table = ["| figure | before | after | 95% interval |", "|---|---|---|---|", *rows]
        return "\n".join(table + ([f"\nCLIP score and KID by the features of {self.clip}"] if self.clip else []))

    @property
    def clip(self) -> str:
        """What pins the CLIP that scored pictures and gave KID its features; "" where none was used."""
        return next((self.terms[name]["clip"] for name in BY_CLIP if name in self.terms), "")

    @classmethod
    def read(cls, run: Path | str) -> Self:
        """The evaluation of a run; ModelError if there is none."""
        file = Path(run) / FILE
        if not file.is_file():
            raise ModelError(f"{run} has not been measured; run `synth train evaluate {run}` first.")
        data = read_json(file)
        parts = {name: _figures(items) for name, items in data["by_timestep"].items()}
        return cls(**data | {name: _figures(data[name]) for name in ("figures", "before")} | {"by_timestep": parts})


def _figures(items: list[dict[str, Any] | None]) -> list[Figure | None]:
    return [item and Figure(**item) for item in items]


def evaluate(
    run: Path | str, *, data: Path | str | None = None, how: Evaluate | None = None, device: str = "auto"
) -> Evaluation:
    """Measure the model of a finished run; writes `<run>/evaluation.json`, and pictures into `<run>/evaluation/`.

    data: other data than those it was trained on. how: by default as in the run's params.yaml. The figures alone are in
    `<run>/metrics.json`, for DVC and the like; a tracked training's are sent to MLflow too.
    """
    run = Path(run)
    params, facts, result = _finished(run)
    how, measured_on = how or params.evaluate, _data(params, data or facts["data_folder"])
    if data is None and measured_on.digest != facts["data"]:
        remedy = "they have changed since they were trained on: give others with --data"
        raise InputError("data", facts["data_folder"], remedy)
    (run / "evaluation").mkdir(exist_ok=True)
    checkpoint = run / "checkpoints" / result["checkpoint"]
    found = _measure(run, params, str(checkpoint), measured_on, how, device)
    shared = {"kind": found.kind, "data": measured_on.digest}
    terms = {figure.name: shared | found.terms.get(figure.name, {}) for figure in found.figures}
    found = replace(found, terms=terms, model=result["digest"])
    write_atomically(run / METRICS, json.dumps({figure.name: figure.value for figure in found.figures}).encode())
    write_atomically(run / FILE, json.dumps(asdict(found), indent=1).encode())
    _send(run, params, checkpoint, found)
    return found


def _finished(run: Path) -> tuple[Params, dict[str, Any], dict[str, Any]]:
    """The parameters, the facts and the result of a training; ModelError if its parts are not of one and the same."""
    if not (run / "result.json").is_file():
        raise ModelError(f"{run} holds no finished training; give the folder that `synth train` was given as --out.")
    params, result = Params.read(run / "params.yaml"), read_json(run / "result.json")
    checkpoint = run / "checkpoints" / result["checkpoint"]
    if not checkpoint.is_file() and params.train.kind in ("unet", "vae"):
        raise ModelError(f"{run} has lost {checkpoint.name}, the checkpoint that its model is; train it again.")
    whole = result["digest"] == digest(run / "model")
    if not whole or (checkpoint.is_file() and result["checkpoint_digest"] != digest(checkpoint)):
        raise ModelError(f"{run} has parts of several trainings, as a checkout leaves them; train it again.")
    return params, read_json(run / "run.json"), result


def _send(run: Path, params: Params, checkpoint: Path, found: Evaluation) -> None:
    """Log the figures and their intervals in the training's MLflow run, if it has one."""
    if params.track.uri == OFF:
        return
    tracker = tell(run, params)
    figures = {f"evaluation_{figure.name}": figure for figure in found.figures}
    ends = {f"{name}_{end}": getattr(figure, end) for name, figure in figures.items() for end in ("low", "high")}
    tracker.metrics({name: figure.value for name, figure in figures.items()} | ends, step_of(checkpoint))
    tracker.artifact(run / FILE)
    tracker.artifact(run / "evaluation", "evaluation")


def _data(params: Params, source: Path | str) -> PreparedSet | Texts:
    if params.train.kind == "gpt2":
        return Texts.read(source, column=params.data.caption, validation=params.data.validation)
    return PreparedSet.open(source)


def _measure(
    run: Path, params: Params, checkpoint: str, data: PreparedSet | Texts, how: Evaluate, device: str
) -> Evaluation:
    kind, base = params.train.kind, params.train.model
    if kind == "unet":
        return _renderer(run, checkpoint, base, data, how, device)
    if kind == "vae":
        return _autoencoder(run, checkpoint, base, data, device)
    return (_language if kind == "gpt2" else _clip)(str(run / "model"), base, data, device)


def _renderer(run: Path, checkpoint: str, base: str, data: PreparedSet, how: Evaluate, device: str) -> Evaluation:
    sides: dict[str, list[Figure]] = {}
    clip = Clip.load(how.clip, device) if how.pictures else None
    for side, model in (("before", base), ("after", checkpoint)):
        denoising = denoising_figures(model, data, how, device)
        drawn = draw(model, data, how, device)
        save_pictures(drawn, run / "evaluation" / f"{side}.png")
        figures, values = drawn_figures(drawn, data, clip) if clip else ([], {})
        sides[side] = denoising.figures + figures
    terms = {figure.name: _terms(figure.name, how, denoising.units, clip) for figure in sides["after"]}
    return Evaluation(
        "unet", sides["after"], sides["before"], denoising.by_timestep, denoising.values | values, terms
    )  # fmt: skip


def _terms(name: str, how: Evaluate, units: dict[str, str], clip: Clip | None) -> dict[str, Any]:
    """What of the way of measuring decides this figure."""
    if name in DENOISING:
        return {"noises": how.noises, "seed": how.seed} | units
    drawing = {name: getattr(how, name) for name in ("pictures", "steps", "guidance_scale", "seed")}
    return drawing | ({"clip": clip.identity} if name in BY_CLIP else {})


def _autoencoder(run: Path, checkpoint: str, base: str, data: PreparedSet, device: str) -> Evaluation:
    pictures = data.pictures[data.indices("validation")]
    before, _ = _reconstructed(base, pictures, device)
    after, made = _reconstructed(checkpoint, pictures, device)
    worst = np.argsort(after)[: min(6, len(after))]
    sheet = [np.concatenate(list(rows[worst]), axis=1) for rows in (pictures, made)]
    Image.fromarray(np.concatenate(sheet)).save(run / "evaluation" / "worst.png")
    return _of_means("vae", _fidelity(after), _fidelity(before))


@torch.inference_mode()
def _reconstructed(model: str, pictures: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """PSNR in dB of each picture (n,), and the pictures after encoding and decoding (n, side, side, 3)."""
    vae = load(resolve(model, "renderer"), choose_device(device), "float32", "none").vae
    ratios, made = [], []
    for start in range(0, len(pictures), 16):
        real = to_tensor(pictures[start : start + 16], str(vae.device))
        encoded = vae.encode(real)
        again = vae.decode(encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()).sample
        ratios.append(psnr(again, real).cpu().numpy())
        made.append(to_pictures(again))
    return np.concatenate(ratios), np.concatenate(made)


def _fidelity(ratios: np.ndarray) -> dict[str, np.ndarray]:
    return {"mse": 10 ** (-ratios / 10), "psnr": ratios}


def _of_means(kind: str, after: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> Evaluation:
    """An evaluation whose figures are means of one value for each picture or text."""
    sides = [[mean_figure(name, values) for name, values in side.items()] for side in (after, before)]
    return Evaluation(kind, *sides, values={name: values.tolist() for name, values in after.items()})


def _language(model: str, base: str, texts: Texts, device: str) -> Evaluation:
    """Cross-entropy in nats a token of the held-out texts, and its exponential, the perplexity."""
    before, _ = _surprise(base, texts, device)
    after, tokenizer = _surprise(model, texts, device)
    found = _of_means("gpt2", {"loss": after}, {"loss": before})
    figures, old = ([loss, _exponential(loss)] for (loss,) in (found.figures, found.before))
    return replace(found, figures=figures, before=old, terms={f.name: {"tokenizer": tokenizer} for f in figures})


def _surprise(model: str, texts: Texts, device: str) -> tuple[np.ndarray, str]:
    """A value for each held-out text whose mean is the cross-entropy of all their tokens; what names the tokenizer.

    That mean is a ratio, costs to tokens; the values are its linearisation, so that their noise is the ratio's
    (Cochran 1977, "Sampling Techniques", chapter 6).
    """
    gpt2, tokenizer = load_gpt2(model)
    gpt2 = gpt2.to(choose_device(device)).eval()
    task = Gpt2Task(gpt2, tokenizer, lambda rng: "", begin=whole, held_out=texts.validation)
    costs, tokens = task.text_costs()
    loss = float(np.average(costs, weights=tokens))
    return loss + tokens / tokens.mean() * (costs - loss), content_key(sorted(tokenizer.get_vocab().items()))


def _exponential(loss: Figure) -> Figure:
    return Figure("perplexity", *(math.exp(value) for value in (loss.value, loss.low, loss.high)))


def _clip(model: str, base: str, data: PreparedSet, device: str) -> Evaluation:
    """The share of validation pictures whose caption is the nearest among those of all of them."""
    places = data.indices("validation")
    captions, sides = [data.records[place].captions[0] for place in places], []
    for name in (base, model):
        clip = Clip.load(name, device)
        likeness = clip.embed_pictures(data.pictures[places]) @ clip.embed_texts(captions).T
        right = likeness.argmax(1) == np.arange(len(places))
        sides.append([Figure.of_share("retrieval", int(right.sum()), len(places))])
    return Evaluation("clip", sides[1], sides[0], values={"retrieval": right.astype(float).tolist()})
