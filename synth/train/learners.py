"""From parameters and data to what is trained: the networks of a base model, made ready to learn.

A `Learner` has a task for the loop, the facts that its checkpoints need to be rendered, and a way to write the model.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler
from diffusers.loaders.lora_base import LORA_WEIGHT_NAME_SAFE
from peft.utils import get_peft_model_state_dict
from transformers import CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from synth.errors import InputError, ModelError
from synth.jobs import ModelRef, check_choice
from synth.measure.clip import Clip
from synth.models.families import DiffusionPipeline, StableDiffusionXLPipeline, is_stable_diffusion
from synth.models.loading import load, unload
from synth.models.trained import Start, begin
from synth.models.weights import sort_metadata
from synth.presets import resolve
from synth.train.clip import ClipTask
from synth.train.conditions import CachedText, LiveText
from synth.train.data.prepared import PreparedSet
from synth.train.latents import cached_latents, weights_digest
from synth.train.loop import Task
from synth.train.params import Params, Train
from synth.train.processes import Processes
from synth.train.samples import drawing
from synth.train.unet import UnetTask, plain_attention
from synth.train.vae import VaeTask
from synth.vignettes.export import tidy_vae


@dataclass(frozen=True)
class Learner:
    """What is trained. export(folder) writes the model with the weights that its networks hold."""

    task: Task
    export: Callable[[Path], None]
    facts: Mapping[str, Any] = field(default_factory=dict)


def unet_learner(params: Params, data: PreparedSet, processes: Processes) -> Learner:
    """The UNet of a Stable Diffusion model, with or without its text encoder, whole or by adapters."""
    train = params.train
    pipeline, start = _begun(train, "unet", processes.device)
    xl = isinstance(pipeline, StableDiffusionXLPipeline)
    if train.text_encoder and xl:
        raise InputError("train.text_encoder", train.text_encoder, "use 0: SDXL's two encoders stay as they are")
    cache = cache_folder(data)
    with processes.main_first():
        name = f"latents-{weights_digest(pipeline.vae)}.npy"
        latents = cached_latents(pipeline.vae, data.pictures, cache / name)
        conditions = _conditions(pipeline, data, cache, live=bool(train.text_encoder))
    if processes.device == "cpu" and not xl:
        plain_attention(pipeline.unet, pipeline.text_encoder)
    modules = {"unet": pipeline.unet} | ({"text_encoder": pipeline.text_encoder} if train.text_encoder else {})
    _only(pipeline, modules, train)
    task = UnetTask(
        modules, conditions, Scaled(latents, pipeline.vae.config.scaling_factor), _caption(data),
        data.indices("train"), data.indices("validation"), DDIMScheduler.from_config(pipeline.scheduler.config),
        show=drawing(pipeline, data, params.evaluate), drop=train.caption_dropout, text_rate=train.text_encoder,
        snr_gamma=train.snr_gamma, compile=train.compile,
    )  # fmt: skip
    return Learner(task, lambda folder: _export_renderer(pipeline, start, folder), {"start": start.as_dict()})


def vae_learner(params: Params, data: PreparedSet, processes: Processes) -> Learner:
    """The autoencoder of a Stable Diffusion model."""
    train = params.train
    pipeline, start = _begun(train, "vae", processes.device)
    if not isinstance(pipeline.vae, (AutoencoderTiny, AutoencoderKL)):
        raise ModelError(f"{train.base} has a {type(pipeline.vae).__name__}; its autoencoder cannot be trained here.")
    _only(pipeline, {"vae": pipeline.vae}, train)
    held_out = data.pictures[data.indices("validation")]
    task = VaeTask(pipeline.vae, data.pictures, data.indices("train"), held_out)
    return Learner(task, lambda folder: _export_renderer(pipeline, start, folder), {"start": start.as_dict()})


def check_clip(train: Train, *, sharded: bool = False) -> None:
    """InputError for a CLIP whose weights are to be shared out."""
    if train.kind == "clip" and sharded:
        remedy = "use the configuration gpus for a clip: it is small, and its temperature is a number that FSDP refuses"
        raise InputError("distributed_type", "FSDP", remedy)


def clip_learner(params: Params, data: PreparedSet, processes: Processes) -> Learner:
    """Both towers of a CLIP."""
    train = params.train
    found = Clip.load(train.model, "cpu")
    model, tokenizer = found.model, found.tokenizer
    if train.scratch:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(train.seed)
            model = CLIPModel(_config(model.config, train.shape))
    model.requires_grad_(True)
    if train.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    task = ClipTask(
        model, tokenizer, data.pictures, _caption(data), data.indices("train"), data.indices("validation"),
        mean=found.mean.tolist(), std=found.std.tolist(),
    )  # fmt: skip
    return Learner(task, lambda folder: _export_clip(model, tokenizer, found, folder))


def _begun(train: Train, component: str, device: str) -> tuple[DiffusionPipeline, Start]:
    """The base in fp32, changed as it is before the first step, and a note of how."""
    base = resolve(train.base, "renderer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(train.seed)  # decides what noise a new network or adapter starts from
        pipeline = load(base, device, "float32", "none")
        unload()  # it is about to change: nobody else may be given it
        if not is_stable_diffusion(type(pipeline)):
            raise ModelError(f"{train.base} is a {type(pipeline).__name__}; train a Stable Diffusion 1, 2 or XL.")
        start = _start(train, base, component, pipeline)
        begin(pipeline, start)
    return pipeline.to(device), start


def _start(train: Train, base: ModelRef, component: str, pipeline: DiffusionPipeline) -> Start:
    config = None
    if train.scratch:
        config = changed(getattr(pipeline, component).config, train.shape)
        config = {name: value for name, value in config.items() if not name.startswith("_")}
    own = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if train.prediction == "epsilon" and _ends_in_noise(pipeline):
        remedy = "use v_prediction: the base's schedule ends in pure noise, where epsilon says nothing of the picture"
        raise InputError("train.prediction", train.prediction, remedy)
    return Start(
        base=base, component=component, config=config, lora_rank=train.lora_rank, lora_alpha=train.lora_alpha,
        text_encoder=bool(train.text_encoder), prediction=own if train.prediction == "auto" else train.prediction,
    )  # fmt: skip


def _ends_in_noise(pipeline: DiffusionPipeline) -> bool:
    """Whether nothing is left of a picture at the last timestep (Lin et al. 2024)."""
    return bool(DDIMScheduler.from_config(pipeline.scheduler.config).alphas_cumprod[-1] < 1e-8)


def _only(pipeline: DiffusionPipeline, modules: Mapping[str, torch.nn.Module], train: Train) -> None:
    """Let nothing but these modules learn; of adapted ones only the adapters, which peft has seen to."""
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and not (name in modules and train.lora_rank):
            part.requires_grad_(name in modules)
    if train.gradient_checkpointing:
        for module in modules.values():
            enable = getattr(module, "enable_gradient_checkpointing", None) or module.gradient_checkpointing_enable
            enable()


def _conditions(pipeline: DiffusionPipeline, data: PreparedSet, cache: Path, *, live: bool) -> LiveText | CachedText:
    if live:
        return LiveText(pipeline.text_encoder, pipeline.tokenizer)
    return cached_text(pipeline, data, cache)


def cached_text(pipeline: DiffusionPipeline, data: PreparedSet, cache: Path) -> CachedText:
    """All captions of a prepared set through the pipeline's text encoders as they are now."""
    parts = [getattr(pipeline, name) for name in ("text_encoder", "text_encoder_2") if hasattr(pipeline, name)]
    folder = cache / f"captions-{'-'.join(map(weights_digest, parts))}"
    captions = [caption for record in data.records for caption in record.captions]
    return CachedText(pipeline, captions, folder, size=data.params.size)


class Scaled:
    """Latents as the UNet sees them, scaled when they are looked at."""

    def __init__(self, latents: np.ndarray, factor: float) -> None:
        self.latents, self.factor = latents, factor

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return self.latents[indices].astype(np.float32) * self.factor


def cache_folder(data: PreparedSet) -> Path:
    """Where what is computed from a prepared set is kept: beside the set, which stays as it is, by its content.

    What was kept of contents that the set had before is removed.
    """
    home = data.folder.with_name(f"{data.folder.name}.cache")
    own = home / data.digest[:12]
    for other in home.glob("[0-9a-f]" * 12):
        if other != own:
            shutil.rmtree(other, ignore_errors=True)
    return own


def _caption(data: PreparedSet) -> Callable[[int, Any], str]:
    return lambda index, rng: rng.choice(data.records[index].captions)


def _config(config: Any, shape: Mapping[str, Any]) -> Any:
    """A copy of a transformers config with some fields changed, also in the configs that it holds."""
    return type(config).from_dict(changed(config.to_dict(), shape))


def changed(old: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[str, Any]:
    """A config's fields with some changed, also in the configs that it holds; InputError for a name that it has not."""
    for name in shape:
        check_choice("train.shape", name, tuple(old))
    both = {name: (old[name], value) for name, value in shape.items()}
    nested = {name: changed(*pair) for name, pair in both.items() if all(isinstance(item, dict) for item in pair)}
    return {**old, **shape, **nested}


def _export_renderer(pipeline: DiffusionPipeline, start: Start, folder: Path) -> None:
    """A plain pipeline folder, or the adapters as plain LoRA safetensors."""
    if not start.lora_rank:
        pipeline.save_pretrained(folder)
        tidy_vae(folder / "vae" / "config.json")
        return
    parts = {"unet": pipeline.unet} | ({"text_encoder": pipeline.text_encoder} if start.text_encoder else {})
    layers = {f"{name}_lora_layers": get_peft_model_state_dict(part) for name, part in parts.items()}
    facts = {f"{name}_lora_adapter_metadata": _facts_of(part) for name, part in parts.items()}
    type(pipeline).save_lora_weights(folder, **layers, **facts)
    sort_metadata(folder / LORA_WEIGHT_NAME_SAFE)


def _facts_of(part: torch.nn.Module) -> dict[str, Any]:
    """What peft says of a part's adapter; its sets in order, so that equal adapters are equal files."""
    facts = part.peft_config["default"].to_dict()
    return {name: sorted(value) if isinstance(value, set) else value for name, value in facts.items()}


def _export_clip(model: CLIPModel, tokenizer: CLIPTokenizer, found: Clip, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    side = model.config.vision_config.image_size
    CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side},
        image_mean=found.mean.tolist(), image_std=found.std.tolist(),
    ).save_pretrained(folder)  # fmt: skip
