"""Latents of all pictures, computed once and kept beside them: the training never waits for a decoder of pictures."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch import nn
from tqdm import tqdm

from synth.models.devices import native_bf16
from synth.records.files import claimed
from synth.train.arrays import to_tensor
from synth.train.rows import writing_rows
from synth.train.vae import Autoencoder


def cached_latents(vae: Autoencoder, pictures: np.ndarray, file: Path, *, batch_size: int = 16) -> np.ndarray:
    """Latents of pictures (uint8, (n, side, side, 3)) as float16 (n, channels, side / 8, side / 8), not scaled.

    They are mapped from `file`, which is named by whoever calls after the autoencoder and the pictures. Of a posterior
    it is the mean. Of several processes one computes them, and the others wait.
    """
    if not file.exists():
        with claimed(file.parent, wait=True):
            if not file.exists():
                unfinished = file.with_suffix(".part")
                encode_into(vae, pictures, unfinished, batch_size=batch_size)
                unfinished.replace(file)
    return np.load(file, mmap_mode="r")


@torch.inference_mode()
def encode_into(vae: Autoencoder, pictures: np.ndarray, file: Path, *, batch_size: int) -> None:
    """Write latents of pictures to a .npy file, batch by batch, so that memory doesn't grow with their number."""
    starts = range(0, len(pictures), batch_size)
    batches = (to_tensor(pictures[start : start + batch_size], str(vae.device)) for start in starts)
    with writing_rows(file) as latents:
        for batch in tqdm(batches, total=len(starts), desc="encoding", unit="batch", mininterval=5):
            latents.append(_encode(vae, batch).half().cpu().numpy())


def weights_digest(module: nn.Module) -> str:
    """12 digits that name a module's weights, so that nothing computed with others is taken for theirs."""
    found = hashlib.sha256()
    for tensor in module.state_dict().values():
        found.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:12]


def _encode(vae: Autoencoder, pictures: torch.Tensor) -> torch.Tensor:
    device = str(vae.device).split(":")[0]
    with torch.autocast(device, torch.bfloat16, enabled=native_bf16(str(vae.device))):
        encoded = vae.encode(pictures)
    return encoded.latents if isinstance(vae, AutoencoderTiny) else encoded.latent_dist.mode()
