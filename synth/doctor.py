"""What there is on this machine, and what Synth would use: for `synth doctor`.

It sends one HEAD request to the model hub, and no other word about this machine to anyone.
"""

import platform
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from synth import __version__
from synth.errors import ModelError
from synth.models.devices import describe
from synth.presets import PRESETS, Preset, check_folder, is_present

LIBRARIES = (
    "torch", "diffusers", "transformers", "accelerate", "peft", "tokenizers", "safetensors", "huggingface_hub",
    "numpy", "pandas", "pillow", "matplotlib", "papermill", "nbconvert",
)  # fmt: skip
HUB_TIMEOUT = 3  # seconds


@dataclass(frozen=True)
class Examination:
    """facts: title -> name -> what was found; problems: what keeps the main job from working, a sentence each."""

    facts: dict[str, dict[str, str]]
    problems: list[str]


def examine() -> Examination:
    """Look at the machine; takes a few seconds, loads torch but no model."""
    machine = describe()
    bundled = {preset: _condition(preset) for preset in PRESETS.values() if preset.folder}
    cached = [preset.name for preset in PRESETS.values() if not preset.folder and is_present(preset)]
    facts = {
        "Machine": _machine(machine),
        "Libraries": {"synth": __version__} | {name: _version(name) for name in LIBRARIES},
        "Bundled models": {preset.name: problem or _size(preset.folder) for preset, problem in bundled.items()},
        "Hub": _hub() | {"presets in the cache": ", ".join(cached) or "none"},
        "Would be used": {
            "device": machine["device"],
            "dtype": machine["dtype"],
            "renderer": "vignettes",
            "expander": "vignettes-gpt2",
            "folder of studies": str(Path("generated_images").absolute()),
        },
    }
    return Examination(facts, [problem for problem in bundled.values() if problem])


def _machine(found: dict[str, object]) -> dict[str, str]:
    return {
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "devices": ", ".join(found["available"]),
        f"{found['device']} memory": f"{_gigabytes(found['memory_free'])} free of {_gigabytes(found['memory_total'])}",
        "processor": str(found["name"]),
        "threads": f"{found['threads']} of {found['cores']} cores",
    }


def _condition(preset: Preset) -> str:
    """What is wrong with a bundled model, or nothing."""
    if not preset.folder.exists():
        return f"The model {preset.name} is missing from this installation; install Synth again."
    try:
        check_folder(preset.folder)
    except ModelError as error:
        return str(error)
    return ""


def _size(folder: Path) -> str:
    return f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.1f} MB"


def _hub() -> dict[str, str]:
    from huggingface_hub import constants, get_token

    return {
        constants.ENDPOINT: _reach(constants.ENDPOINT, constants.HF_HUB_OFFLINE),
        "token": "present" if get_token() else "none (only gated and private models need one)",
        "cache": constants.HF_HUB_CACHE,
    }


def _reach(address: str, offline: bool) -> str:
    if offline:
        return "not asked: HF_HUB_OFFLINE is set"
    request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "synth"})
    try:
        with urllib.request.urlopen(request, timeout=HUB_TIMEOUT):
            return "reachable"
    except urllib.error.HTTPError:
        return "reachable"
    except (OSError, ValueError) as error:
        return f"not reachable ({getattr(error, 'reason', error)}); the bundled models need no hub"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
