"""Which pipelines of diffusers make pictures from text, and what each of them can be told.

`StableDiffusionPipeline` and `StableDiffusionXLPipeline` are rendered by Synth's own loop and honour every setting. Any
other class is rendered by its own `__call__`, whose signature tells what it honours.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path

from synth.diffusion.schedulers import CLASSES, schedule
from synth.errors import InputError, ModelError
from synth.jobs import Settings
from synth.models.quiet import quiet
from synth.models.weights import native_size, read_json

with quiet():  # this import complains that torchvision, which nothing here uses, is not installed
    import diffusers
    from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

StableDiffusion = StableDiffusionPipeline | StableDiffusionXLPipeline
NEEDED = {"prompt", "num_images_per_prompt", "num_inference_steps", "height", "width", "generator", "output_type"}
PICTURES = {"image", "images", "control_image", "mask_image", "num_frames"}  # asked for by other kinds of pipelines


def pipeline_class(folder: Path) -> type[DiffusionPipeline]:
    """The class of a pipeline folder; ModelError unless it is one of diffusers' own that makes pictures from text."""
    if not (folder / "model_index.json").is_file():
        raise ModelError(f"{folder} is no text-to-image model: it has no model_index.json.")
    name = read_json(folder / "model_index.json").get("_class_name")
    with quiet():
        kind = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not (inspect.isclass(kind) and issubclass(kind, DiffusionPipeline)):
        raise ModelError(f"{folder} is a {name}, which diffusers {diffusers.__version__} cannot make here.")
    if not _makes_pictures_from_text(kind):
        raise ModelError(f"{folder} is a {name}, which makes no pictures from a text alone; use a model that does.")
    return kind


def is_stable_diffusion(kind: type) -> bool:
    """Whether Synth's own loop renders pipelines of this class."""
    return kind in (StableDiffusionPipeline, StableDiffusionXLPipeline)


def parameters(kind: type[DiffusionPipeline]) -> Mapping[str, inspect.Parameter]:
    """What a call of such a pipeline takes."""
    return inspect.signature(kind.__call__).parameters


def guidance_name(kind: type[DiffusionPipeline]) -> str | None:
    """What the class calls `guidance_scale`: where that is no classifier-free guidance, "true_cfg_scale" may be."""
    known = parameters(kind)
    true = known.get("true_cfg_scale")
    if true is not None and true.default > 1:
        return "true_cfg_scale"
    return "guidance_scale" if "guidance_scale" in known else None


def check_settings(folder: Path, settings: Settings, *, strict: bool = False, over_picture: bool = False) -> None:
    """InputError if the model in `folder` cannot honour a setting, strict mode, or a picture to draw over.

    Reads configs only.
    """
    kind = pipeline_class(folder)
    spacing = [name for name in ("timestep_spacing", "respacing", "timesteps", "sigmas") if getattr(settings, name)]
    if is_stable_diffusion(kind):
        if spacing:
            schedule(settings, read_json(folder / "scheduler" / "scheduler_config.json"))
        return
    if over_picture:
        raise InputError(
            "source", over_picture, f"only Stable Diffusion 1, 2 and XL draw over one, not a {kind.__name__}"
        )
    for field in spacing:
        raise InputError(field, getattr(settings, field), f"leave it out: a {kind.__name__} spaces its own steps")
    known, name = parameters(kind), kind.__name__
    if settings.guidance_interval:
        remedy = f"leave it out: only Stable Diffusion 1, 2 and XL have it, this is a {name}"
        raise InputError("guidance_interval", settings.guidance_interval, remedy)
    if strict:
        raise InputError("strict", strict, f"leave it out: only Stable Diffusion 1, 2 and XL have it, this is a {name}")
    if settings.scheduler != "native" and not _takes_other_schedulers(kind, folder):
        raise InputError("scheduler", settings.scheduler, f"use native: a {name} works with its own only")
    if settings.negative_prompt and not _takes_negative_prompts(kind):
        raise InputError("negative_prompt", settings.negative_prompt, f"leave it out: a {name} has no use for it")
    for field in ("guidance_rescale", "eta"):
        if getattr(settings, field) and field not in known:
            raise InputError(field, getattr(settings, field), f"use 0: a {name} does not know it")


def advised(folder: Path) -> Settings:
    """How a pipeline without Synth's own loop likes to be called: its native size and the defaults of its call."""
    kind, size = pipeline_class(folder), native_size(folder)
    known = parameters(kind)
    return Settings(
        scheduler="native",
        steps=known["num_inference_steps"].default or Settings().steps,
        guidance_scale=known[guidance_name(kind)].default or 1.0,
        width=size,
        height=size,
    )


def _makes_pictures_from_text(kind: type[DiffusionPipeline]) -> bool:
    known = parameters(kind)
    others = [item for name, item in known.items() if name not in ("self", "prompt", "args", "kwargs")]
    if any(item.default is item.empty for item in others) or guidance_name(kind) is None:
        return False
    return known.keys() >= NEEDED and (not known.keys() & PICTURES or _may_do_without_pictures(kind))


def _may_do_without_pictures(kind: type[DiffusionPipeline]) -> bool:
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING  # slow: it imports all of them

    listed = kind in AUTO_TEXT2IMAGE_PIPELINES_MAPPING.values()
    return listed and "Control" not in kind.__name__ and "num_frames" not in parameters(kind)


def _takes_negative_prompts(kind: type[DiffusionPipeline]) -> bool:
    """False also where negative prompts need a second kind of guidance that is off unless asked for, as in Flux."""
    known = parameters(kind)
    return "negative_prompt" in known and ("true_cfg_scale" not in known or guidance_name(kind) == "true_cfg_scale")


def _takes_other_schedulers(kind: type[DiffusionPipeline], folder: Path) -> bool:
    """Whether the model's own scheduler is one that Synth has a name for, and so can be exchanged for another.

    Not where the model predicts a flow (SD 3, Flux, Sana): the noise of the others does not fit. Not where the pipeline
    is made of pipelines, which keep schedulers of their own.
    """
    file = folder / "scheduler" / "scheduler_config.json"
    if getattr(kind, "_load_connected_pipes", False) or not file.is_file():
        return False
    config = read_json(file)
    flow = config.get("prediction_type") == "flow_prediction" or config.get("use_flow_sigmas")
    return config.get("_class_name") in CLASSES and not flow
