"""A model reference becomes a diffusers pipeline, ready on its device. The last one is kept."""

import inspect
from pathlib import Path

import torch

from synth.errors import InputError, ModelError
from synth.jobs import ModelRef, check_choice
from synth.models import hub
from synth.models.alone import LOADING
from synth.models.devices import free_memory, is_out_of_memory, release_memory
from synth.models.families import (
    DiffusionPipeline,
    StableDiffusion,
    StableDiffusionXLPipeline,
    is_stable_diffusion,
    pipeline_class,
)
from synth.models.quiet import quiet
from synth.models.trained import learned
from synth.models.weights import read_header
from synth.presets import PRESETS, base_of, locate, locate_lora

OFFLOADS = ("auto", "none", "model", "sequential")
# Names of tensors that tell what a single file holds.
SDXL_KEY = "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias"
TEXT_KEY = "model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"

_last: tuple[tuple[object, ...], DiffusionPipeline] | None = None


def check_model(model: ModelRef) -> Path:
    """Where the model lies, once all that can be checked without loading it has been: files, LoRAs, and its kind.

    ModelError with the remedy otherwise.
    """
    path = locate(model, "renderer")
    kind = pipeline_class(configs(path))
    if path.is_file() and not hasattr(kind, "from_single_file"):
        raise ModelError(f"{path} is a {kind.__name__}, which comes as a folder only; give its folder.")
    if model.loras and not hasattr(kind, "load_lora_weights"):
        raise ModelError(f"{model.name} is a {kind.__name__}, which takes no LoRAs; leave them out.")
    for name, _ in model.loras:
        locate_lora(name)
    return path


def check_offload(offload: str, device: str) -> str:
    """`offload` if it is known and possible: only GPUs have something to move the weights off to."""
    check_choice("offload", offload, OFFLOADS)
    if offload in ("model", "sequential") and not device.startswith("cuda"):
        raise InputError("offload", offload, f"use auto or none: the device is {device}, and only CUDA GPUs offload")
    return offload


def load(model: ModelRef, device: str, dtype: str, offload: str = "auto") -> DiffusionPipeline:
    """The pipeline of `model` on `device` in `dtype`, at once if it is the one that was loaded last.

    offload: "none", "model" (one component at a time on the GPU), "sequential" (one layer at a time), "auto" by memory.
    Safetensors only, no safety checker (it blackens pictures; Synth shows what the model does), no code from the model.
    """
    global _last
    key = (model, device, dtype, offload)
    if _last is not None and _last[0] == key:
        return _last[1]
    unload(device)
    path = check_model(model)
    try:
        # Modules draw their initial weights before the file's replace them: the caller's random state must not notice.
        with LOADING, quiet(), torch.random.fork_rng(devices=[]):
            pipeline = _read(path, getattr(torch, dtype))
            _add_loras(pipeline, model.loras)
        pipeline = _place(pipeline, device, offload)
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        short = f"{device} is short of memory: close other programs, or choose a smaller model or another device"
        remedy = short if is_out_of_memory(error) else "download or copy it again"
        raise ModelError(f"The model {model.name} cannot be loaded ({first_line(error)}); {remedy}.") from error
    _last = key, pipeline
    return pipeline


def unload(device: str = "cpu") -> None:
    """Forget the pipeline that was loaded last, and free its memory."""
    global _last
    _last = None
    release_memory(device)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, at most 300 characters, or its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _read(path: Path, dtype: torch.dtype) -> DiffusionPipeline:
    if base := base_of(path):
        pipeline = _read(locate(base, "renderer"), dtype)
        _add_loras(pipeline, base.loras)
        return learned(pipeline, path)
    kind = pipeline_class(configs(path))
    options = {} if path.is_dir() else {"config": str(configs(path))}
    accepted = inspect.signature(kind.__init__).parameters
    if "safety_checker" in accepted:
        unsafe = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        options |= {name: value for name, value in unsafe.items() if name in accepted}
    read = kind.from_pretrained if path.is_dir() else kind.from_single_file
    pipeline = read(str(path), dtype=dtype, use_safetensors=True, local_files_only=True, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def configs(path: Path) -> Path:
    """The folder with a model's configs: itself; for a checkpoint its base's; for another file that beside it, or the
    preset's that it looks like."""
    if path.is_dir():
        return path
    base = base_of(path)
    return configs(locate(base, "renderer")) if base else _configs_of_file(path)


def _configs_of_file(file: Path) -> Path:
    beside = file.with_suffix("")
    if (beside / "model_index.json").is_file():
        return beside
    header = read_header(file)
    if SDXL_KEY in header:
        preset = PRESETS["sdxl"]
    elif TEXT_KEY in header and header[TEXT_KEY]["shape"][-1] == 1024:
        preset = PRESETS["sd2.1"]
    else:
        raise ModelError(
            f"{file} is no SD 2 or SDXL checkpoint; for another kind put its configs into the folder {beside}, "
            "or convert it to a pipeline folder with save_pretrained."
        )
    return hub.download(preset.source, preset.revision, "configs")


def _add_loras(pipeline: DiffusionPipeline, loras: tuple[tuple[str, float], ...]) -> None:
    """Lay LoRAs on the weights and melt them in, so that they cost nothing while rendering."""
    if not loras:
        return
    names = [f"lora{number}" for number in range(len(loras))]
    for name, (source, _) in zip(names, loras, strict=True):
        file = locate_lora(source)
        pipeline.load_lora_weights(
            str(file.parent), weight_name=file.name, adapter_name=name, local_files_only=True, use_safetensors=True
        )
    pipeline.set_adapters(names, adapter_weights=[weight for _, weight in loras])
    pipeline.fuse_lora(adapter_names=names)
    pipeline.unload_lora_weights()


def _place(pipeline: DiffusionPipeline, device: str, offload: str) -> DiffusionPipeline:
    """The pipeline on its device, or set up to visit it piece by piece."""
    if is_stable_diffusion(type(pipeline)):
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
        if device == "cpu" and pipeline.unet.dtype == torch.bfloat16:
            _keep_in_float32(pipeline)
    delicate = isinstance(pipeline, StableDiffusionXLPipeline) and pipeline.vae.config.force_upcast
    if delicate and pipeline.vae.dtype == torch.float16:
        pipeline.vae.to(torch.float32)  # SDXL's own VAE overflows in float16
    offload = _offload(pipeline, device) if offload == "auto" else offload
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _keep_in_float32(pipeline: StableDiffusion) -> None:
    """Let a CPU compute in float32 what is slower in bfloat16: text encoders, and group norms, by ten times."""
    for name in ("text_encoder", "text_encoder_2"):
        if encoder := getattr(pipeline, name, None):
            encoder.float()
    for module in (*pipeline.unet.modules(), *pipeline.vae.modules()):
        if isinstance(module, torch.nn.GroupNorm):
            module.float()
            module.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
            module.register_forward_hook(lambda _, inputs, normal: normal.bfloat16())


def _offload(pipeline: DiffusionPipeline, device: str) -> str:
    if not device.startswith("cuda"):
        return "none"
    models = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    sizes = [sum(p.numel() * p.element_size() for p in model.parameters()) for model in models]
    room = 0.7 * free_memory(device)
    return "none" if sum(sizes) < room else "model" if max(sizes) < room else "sequential"
