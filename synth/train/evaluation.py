"""How good a trained model is, on what was held out, with 95% intervals: `synth train evaluate`.

A renderer is measured by how well it removes noise, with and without the caption (the gap says whether it listens), and
by what it draws: CLIP score, KID, and on the bundled picture world the attributes that a judge reads off the pictures.
What it started from is measured in the same way, so that there is a before and an after.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from synth.errors import InputError, ModelError
from synth.measure.clip import Clip
from synth.measure.intervals import Figure
from synth.models.devices import choose_device
from synth.models.loading import load
from synth.models.weights import read_json
from synth.presets import resolve
from synth.records.files import write_atomically
from synth.train.arrays import psnr, to_pictures, to_tensor
from synth.train.data.prepared import PreparedSet
from synth.train.gpt2 import Gpt2Task, whole
from synth.train.language_learner import load_gpt2
from synth.train.params import Evaluate, Params
from synth.train.renderer_figures import denoising_figures, draw, drawn_figures, save_pictures
from synth.train.texts import Texts


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    figures: of the model; before: of what it started from. by_timestep: a UNet's errors in ten parts of its schedule,
    with the caption ("loss") and without ("none"); None where nothing was measured.
    """

    kind: str
    figures: list[Figure]
    before: list[Figure] = field(default_factory=list)
    by_timestep: Mapping[str, list[float | None]] = field(default_factory=dict)

    def figure(self, name: str) -> Figure:
        """The figure called so; InputError that lists them if there is none."""
        for item in self.figures:
            if item.name == name:
                return item
        raise InputError("track.metric", name, f"use one that was measured: {', '.join(f.name for f in self.figures)}")

    def table(self) -> str:
        """The figures as Markdown, with those from before the training."""
        old = {item.name: f"{item.value:.4g}" for item in self.before}
        rows = [
            f"| {f.name} | {old.get(f.name, '')} | {f.value:.4g} | {f.low:.4g} to {f.high:.4g} |" for f in self.figures
        ]
        return "\n".join(["| figure | before | after | 95% interval |", "|---|---|---|---|", *rows])

    @classmethod
    def read(cls, run: Path | str) -> Self:
        """The evaluation of a run; ModelError if there is none."""
        file = Path(run) / "evaluation.json"
        if not file.is_file():
            raise ModelError(f"{run} has not been measured; run `synth train evaluate {run}` first.")
        data = read_json(file)
        return cls(**data | {name: [Figure(**item) for item in data[name]] for name in ("figures", "before")})


def evaluate(
    run: Path | str, *, data: Path | str | None = None, how: Evaluate | None = None, device: str = "auto"
) -> Evaluation:
    """Measure the model of a finished run; writes `<run>/evaluation.json`, and pictures into `<run>/evaluation/`.

    data: other data than those it was trained on. how: by default as in the run's params.yaml.
    """
    run = Path(run)
    params, facts, result = _finished(run)
    how, measured_on = how or params.evaluate, _data(params, data or facts["data_folder"])
    if data is None and measured_on.digest != facts["data"]:
        remedy = "they have changed since they were trained on: give others with --data"
        raise InputError("data", facts["data_folder"], remedy)
    (run / "evaluation").mkdir(exist_ok=True)
    kind = params.train.kind
    if kind == "gpt2":
        found = _language(run, params, measured_on)
    elif kind == "clip":
        found = _clip(run, params, measured_on, device)
    else:
        measure = _renderer if kind == "unet" else _autoencoder
        checkpoint = str(run / "checkpoints" / result["checkpoint"])
        found = measure(run, checkpoint, params.train.model, measured_on, how, device)
    write_atomically(run / "evaluation.json", json.dumps(asdict(found), indent=1).encode())
    return found


def _finished(run: Path) -> tuple[Params, dict[str, Any], dict[str, Any]]:
    if not (run / "result.json").is_file():
        raise ModelError(f"{run} holds no finished training; give the folder that `synth train` was given as --out.")
    return Params.read(run / "params.yaml"), read_json(run / "run.json"), read_json(run / "result.json")


def _data(params: Params, source: Path | str) -> PreparedSet | Texts:
    if params.train.kind == "gpt2":
        return Texts.read(source, column=params.data.caption, validation=params.data.validation)
    return PreparedSet.open(source)


def _renderer(run: Path, checkpoint: str, base: str, data: PreparedSet, how: Evaluate, device: str) -> Evaluation:
    sides: dict[str, list[Figure]] = {}
    clip = Clip.load(how.clip, device) if how.pictures else None
    for side, model in (("before", base), ("after", checkpoint)):
        errors, by_timestep = denoising_figures(model, data, how, device)
        drawn = draw(model, data, how, device)
        save_pictures(drawn, run / "evaluation" / f"{side}.png")
        sides[side] = errors + (drawn_figures(drawn, data, clip) if clip else [])
    return Evaluation("unet", sides["after"], sides["before"], by_timestep)


def _autoencoder(run: Path, checkpoint: str, base: str, data: PreparedSet, how: Evaluate, device: str) -> Evaluation:
    pictures = data.pictures[data.indices("validation")]
    before, _ = _reconstructed(base, pictures, device)
    after, made = _reconstructed(checkpoint, pictures, device)
    worst = np.argsort(after)[: min(6, len(after))]
    sheet = [np.concatenate(list(rows[worst]), axis=1) for rows in (pictures, made)]
    Image.fromarray(np.concatenate(sheet)).save(run / "evaluation" / "worst.png")
    return Evaluation("vae", _fidelity(after), _fidelity(before))


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


def _fidelity(ratios: np.ndarray) -> list[Figure]:
    return [Figure.of_mean("mse", 10 ** (-ratios / 10)), Figure.of_mean("psnr", ratios)]


def _language(run: Path, params: Params, texts: Texts) -> Evaluation:
    """Cross-entropy in nats a token of the held-out texts, and its exponential, the perplexity."""
    sides = []
    for name in (params.train.model, str(run / "model")):
        gpt2, tokenizer = load_gpt2(name)
        task = Gpt2Task(gpt2.eval(), tokenizer, lambda rng: "", begin=whole, held_out=texts.validation)
        costs = task.text_costs()
        loss = Figure.of_mean("loss", costs)
        sides.append([loss, Figure("perplexity", *(math.exp(value) for value in (loss.value, loss.low, loss.high)))])
    return Evaluation("gpt2", sides[1], sides[0])


def _clip(run: Path, params: Params, data: PreparedSet, device: str) -> Evaluation:
    """The share of validation pictures whose caption is the nearest among those of all of them."""
    places = data.indices("validation")
    captions, sides = [data.records[place].captions[0] for place in places], []
    for name in (params.train.model, str(run / "model")):
        clip = Clip.load(name, device)
        likeness = clip.embed_pictures(data.pictures[places]) @ clip.embed_texts(captions).T
        right = int((likeness.argmax(1) == np.arange(len(places))).sum())
        sides.append([Figure.of_share("retrieval", right, len(places))])
    return Evaluation("clip", sides[1], sides[0])
