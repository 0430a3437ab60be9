"""Model files, looked at before they are loaded: are they safe, whole, and which ones are they?

Standard library only. A pipeline folder has `model_index.json` and a subfolder per component; a transformers model is
one folder with `config.json`. Weights are safetensors; pickles are refused, since loading one runs its code.
"""

import hashlib
import json
import struct
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from synth.errors import ModelError
from synth.records.files import write_atomically

PICKLES = {".bin", ".ckpt", ".pt", ".pth", ".pkl"}
IDENTITY = {".json", ".txt", ".model", ".safetensors"}
LONGEST_HEADER = 100_000_000
LIBRARIES = ("diffusers", "transformers")
WEIGHT_NAMES = ("diffusion_pytorch_model.safetensors", "model.safetensors")
TOKENIZERS = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
OPTIONAL = ("safety_checker", "feature_extractor", "image_encoder")


def digest(path: Path | str) -> str:
    """What pins a model: "sha256:<64 hex>" over names and contents of a folder's configs and weights, or of one file.

    Names are relative, so that a copy elsewhere has the same digest; pictures and read-me files do not count.
    """
    path = Path(path)
    files = sorted(_files(path)) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        stat = file.stat()
        name = file.relative_to(path).as_posix() if path.is_dir() else "file"
        total.update(f"{name}\0{_file_digest(file, stat.st_mtime_ns, stat.st_size)}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.suffix in IDENTITY and file.is_file()]


@lru_cache(maxsize=4096)
def _file_digest(file: Path, changed_ns: int, size: int) -> str:
    """SHA-256 of a file; its time of change and size are there to make the cache forget."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_folder(path: Path | str) -> None:
    """ModelError if the folder is no model, lacks a part, holds pickles in place of safetensors, or a file is cut off.

    Reads configs and safetensors headers only: fast, and nothing is executed.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ModelError(f"There is no model folder {folder}; give a folder with model_index.json or config.json.")
    if (folder / "model_index.json").is_file():
        for name, (library, kind) in components(folder).items():
            _check_component(folder / name, library, kind)
    elif (folder / "config.json").is_file():
        read_json(folder / "config.json")
        _check_weights(folder)
    else:
        raise ModelError(
            f"{folder} is not a model folder: it has neither model_index.json (a diffusers pipeline) "
            "nor config.json (a transformers model)."
        )


def components(folder: Path) -> dict[str, tuple[str, str]]:
    """The parts that a pipeline needs to render: name -> (library, class), without the safety checker."""
    index = read_json(folder / "model_index.json")
    parts = {name: tuple(value) for name, value in index.items() if isinstance(value, list) and len(value) == 2}
    return {name: part for name, part in parts.items() if name not in OPTIONAL and part[0] is not None}


def read_json(file: Path) -> dict[str, Any]:
    """The object in a config file; ModelError if it is missing or is no JSON object."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"The model is incomplete: {file} is missing; download or copy the folder again.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read ({error}); download or copy the model again.") from None
    if not isinstance(data, dict):
        raise ModelError(f"{file} does not hold a JSON object; download or copy the model again.")
    return data


def _check_component(folder: Path, library: str, kind: str) -> None:
    if library not in LIBRARIES and library not in _pipelines_of_diffusers():
        raise ModelError(f"{folder} needs code from {library!r}, and Synth runs no code that comes with a model.")
    if not folder.is_dir():
        raise ModelError(f"The model is incomplete: its {folder.name} ({folder}) is missing; download it again.")
    if kind.endswith("Scheduler"):
        read_json(folder / "scheduler_config.json")
    elif "Tokenizer" in kind:
        if not any((folder / name).is_file() for name in TOKENIZERS):
            raise ModelError(f"The model is incomplete: no {' or '.join(TOKENIZERS)} in {folder}; download it again.")
    elif kind.endswith("Processor"):
        return  # configs without weights, under a name that depends on the processor
    else:
        read_json(folder / "config.json")
        _check_weights(folder)


@lru_cache
def _pipelines_of_diffusers() -> frozenset[str]:
    """Parts of diffusers' own that a component can come from, such as "kandinsky"; looked up, not imported."""
    home = Path(find_spec("diffusers").origin).parent / "pipelines"
    return frozenset(path.name for path in home.iterdir() if path.is_dir())


def _check_weights(folder: Path) -> None:
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return check_safetensors(folder / name)
        if (folder / f"{name}.index.json").is_file():
            return _check_shards(folder, folder / f"{name}.index.json")
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    if pickles:
        raise ModelError(
            f"{folder} has its weights as a pickle only ({pickles[0]}), which could run code when it is loaded; "
            "use a copy with .safetensors, or convert it with save_pretrained(..., safe_serialization=True)."
        )
    raise ModelError(f"The model is incomplete: {folder} has none of {', '.join(WEIGHT_NAMES)}; download it again.")


def _check_shards(folder: Path, index: Path) -> None:
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise ModelError(f"{index} names no weight files; download the model again.")
    for name in sorted(set(shards.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelError(f"{index} names {name!r}, which is no .safetensors file beside it; do not use this model.")
        check_safetensors(folder / name)


def check_safetensors(file: Path | str) -> None:
    """ModelError unless `file` is a whole safetensors file: as long as its header says."""
    file = Path(file)
    try:
        size = file.stat().st_size
        header = read_header(file)
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        with file.open("rb") as stream:
            expected = 8 + struct.unpack("<Q", stream.read(8))[0] + end
    except FileNotFoundError:
        raise ModelError(f"The model is incomplete: {file} is missing; download or copy it again.") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        raise ModelError(f"{file} is cut off or is no safetensors file; download or copy it again.") from None
    if size != expected:
        raise ModelError(f"{file} has {size:,} bytes where its header says {expected:,}; download or copy it again.")


def read_header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file: tensor name -> dtype, shape, data_offsets. ValueError if it has none."""
    with file.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8))[0]
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        return json.loads(stream.read(length))


def training_facts(file: Path) -> dict[str, Any] | None:
    """What one of Synth's trainings says of its checkpoint; None if the file is something else."""
    try:
        return json.loads(read_header(file).get("__metadata__", {})["facts"])
    except (OSError, KeyError, ValueError, struct.error):
        return None


def sort_metadata(file: Path) -> None:
    """Bring the metadata of a safetensors file, which have no order of their own, into one, so that its bytes say when
    it is the same."""
    header, data = read_header(file), file.read_bytes()
    length = 8 + struct.unpack("<Q", data[:8])[0]
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    write_atomically(file, struct.pack("<Q", len(text)) + text + data[length:])


def native_size(folder: Path | str) -> int:
    """The width and height in pixels that a pipeline folder was trained for, or 512 where its configs do not say."""
    denoiser, vae = _config(folder, "unet") or _config(folder, "transformer"), _config(folder, "vae")
    stages = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
    sample = denoiser.get("sample_size")
    return sample * 2 ** (len(stages) - 1) if isinstance(sample, int) and stages else 512


def _config(folder: Path | str, part: str) -> dict[str, Any]:
    file = Path(folder) / part / "config.json"
    return read_json(file) if file.is_file() else {}
