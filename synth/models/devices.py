"""Which device and number format to compute with, and how much memory is free there."""

import os
import platform
from typing import Any

import psutil
import torch

from synth.errors import InputError
from synth.jobs import check_choice

DTYPES = ("auto", "float32", "float16", "bfloat16")
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")


def choose_device(device: str = "auto") -> str:
    """The device asked for ("cuda", "cuda:1", "mps", "cpu"), or with "auto" the fastest there is.

    InputError if it is unknown or not on this machine.
    """
    available = _available()
    if device == "auto":
        return available[0]
    if device not in available and device.split(":")[0] not in ("cuda", "mps", "cpu"):
        raise InputError("device", device, f"use auto, or one of: {', '.join(available)}")
    if device not in available:
        raise InputError("device", device, f"this machine has: {', '.join(available)}")
    return device


def choose_dtype(dtype: str = "auto", device: str = "cpu", precision: str = "full") -> str:
    """The number format asked for ("float32", "float16", "bfloat16"), or with "auto" what suits the device.

    bfloat16 on CUDA from compute capability 8 on, float16 on older GPUs and MPS. CPUs compute in float32; only where a
    job's `precision` is half, in bfloat16 if they have units for it: without, they are several times slower so.
    """
    check_choice("dtype", dtype, DTYPES)
    if dtype != "auto":
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float16"
    if device == "mps":
        return "float16"
    return "bfloat16" if precision == "half" and native_bf16(device) else "float32"


def native_bf16(device: str) -> bool:
    """Whether bf16 matrix products run on the hardware's own units: any recent GPU, CPUs with AMX."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and torch.cpu._is_amx_tile_supported()


def free_memory(device: str) -> int:
    """Bytes that can still be taken on a device."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    if device == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return psutil.virtual_memory().available


def release_memory(device: str) -> None:
    """Give what torch keeps for later back to the device."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a smaller batch could succeed."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def describe() -> dict[str, Any]:
    """What `synth doctor` tells: devices, memory in bytes, threads, and what "auto" chooses."""
    device = choose_device()
    return {
        "device": device,
        "name": torch.cuda.get_device_name(device) if device == "cuda" else platform.processor() or platform.machine(),
        "dtype": choose_dtype("auto", device),
        "available": _available(),
        "memory_free": free_memory(device),
        "memory_total": torch.cuda.mem_get_info()[1] if device == "cuda" else psutil.virtual_memory().total,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }


def _available() -> tuple[str, ...]:
    found = []
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")
