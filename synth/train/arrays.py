"""Small shared steps between arrays of pictures and tensors."""

import random

import numpy as np
import torch

PRIME = 2**64 - 59  # torch takes seeds of 64 bits; modulo a prime, larger ones stay different from each other


def to_tensor(pictures: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """uint8 (n, height, width, 3) to float (n, 3, height, width) in -1..1, channels last."""
    tensor = torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.contiguous(memory_format=torch.channels_last)


def to_pictures(tensor: torch.Tensor) -> np.ndarray:
    """Float (n, 3, height, width) in -1..1 to uint8 (n, height, width, 3)."""
    return ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def step_rng(seed: int, step: int) -> np.random.Generator:
    """The generator that decides the batch of a step."""
    return np.random.default_rng((seed, step))


def step_random(seed: int, step: int) -> random.Random:
    """The same for choices that the standard library makes, such as captions."""
    return random.Random(f"{seed} {step}")


def step_generator(seed: int, step: int, device: str = "cpu") -> torch.Generator:
    """The generator of a step's noise, on the device that the noise is needed on."""
    return torch.Generator(device).manual_seed(((seed << 32) + step) % PRIME)


def psnr(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio of each picture in dB, for tensors (n, 3, height, width) in -1..1."""
    error = ((one.float().clamp(-1, 1) - other.float().clamp(-1, 1)) / 2).pow(2).mean((1, 2, 3))
    return -10 * error.clamp_min(1e-10).log10()
