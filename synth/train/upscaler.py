"""The upscaler: a picture becomes one of twice its width and height.

The architecture is Swin2SR (Conde et al. 2022, "Swin2SR: SwinV2 Transformer for Compressed Image Super-Resolution and
Restoration") as transformers has it, a small one. It learns from the same scene drawn at both sizes. A third of what it
sees went through the autoencoder, as every rendered picture does, and a third is drawn at twice the sizes, so that it
can be applied to its own output.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from PIL import Image
from torch import nn
from tqdm import tqdm
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from synth.models.devices import native_bf16
from synth.train.arrays import psnr, step_rng, to_pictures, to_tensor
from synth.train.loop import Figures
from synth.train.processes import Batch
from synth.train.recipe import Recipe
from synth.train.rows import writing_rows
from synth.vignettes.dataset import picture_seed, scene_at
from synth.vignettes.world import draw

SCALE = 2
_ACROSS = torch.tensor([[1, 3, 0], [0, 3, 1]]) / 4
_BILINEAR = torch.einsum("iy,jx->ijyx", _ACROSS, _ACROSS).reshape(SCALE**2, 3, 3)  # of the pixels in each one's place
Pair = tuple[np.ndarray, np.ndarray]
"""Pictures (n, s, s, 3) and the same ones at twice the size (n, 2 s, 2 s, 3), uint8."""


def make_upscaler(width: int, depths: Sequence[int], heads: int) -> Swin2SRForImageSuperResolution:
    """An untrained upscaler: (n, 3, h, w) from 0 to 1 to (n, 3, 2 h, 2 w), sides in multiples of 8.

    It begins as bilinear interpolation, so that even a short training is about what that lacks.
    """
    config = Swin2SRConfig(
        embed_dim=width, depths=list(depths), num_heads=[heads] * len(depths), upscale=SCALE, drop_path_rate=0.0
    )
    model = Swin2SRForImageSuperResolution(config)
    head = model.upsample
    path = model.swin2sr.first_convolution, head.conv_before_upsample, head.upsample.convolution_0
    for layer in (*path, head.final_convolution):
        layer.reset_parameters()  # Swin2SR's own numbers are so small that they take long to grow
    _lead_colours_through(*path, head.final_convolution)
    with torch.no_grad():
        model.swin2sr.conv_after_body.weight[:3] = 0
    return model


@torch.no_grad()
def _lead_colours_through(first: nn.Conv2d, before: nn.Conv2d, wider: nn.Conv2d, final: nn.Conv2d) -> None:
    """Make the first three features of each layer the colours, which the last but one spreads bilinearly.

    A leaky ReLU lies between `before` and `wider`: what it takes from a colour it leaves of the negative of it.
    """
    final.weight.zero_()
    for colour in range(3):
        four = slice(colour * SCALE**2, (colour + 1) * SCALE**2)
        own = (first, colour), (before, colour), (before, 3 + colour), (wider, four), (final, colour)
        for layer, features in own:
            layer.weight[features], layer.bias[features] = 0, 0
        for layer in (first, before, final):
            layer.weight[colour, colour, 1, 1] = 1
        before.weight[3 + colour, colour, 1, 1] = -1
        wider.weight[four, colour], wider.weight[four, 3 + colour] = _BILINEAR / 1.01, -_BILINEAR / 1.01


def drawn(folder: Path, split: str, count: int, size: int, *, workers: int = 1) -> np.ndarray:
    """The first `count` pictures of a split (uint8, (count, size, size, 3)), drawn once and then read from `folder`."""
    path = folder / f"{split}-{count}-at-{size}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        places = [(split, index, size) for index in range(count)]
        with ProcessPoolExecutor(workers) as pool, writing_rows(unfinished) as rows:
            pictures = pool.map(_draw, places, chunksize=8)
            for picture in tqdm(pictures, total=count, desc=f"{split} at {size} px", unit="picture", mininterval=5):
                rows.append(picture[None])
        unfinished.replace(path)
    return np.load(path, mmap_mode="r")


def _draw(place: tuple[str, int, int]) -> np.ndarray:
    split, index, size = place
    return np.asarray(draw(scene_at(split, index), picture_seed(split, index), size))


def decoded(vae: AutoencoderTiny, pictures: np.ndarray, file: Path) -> np.ndarray:
    """Pictures (uint8, (n, s, s, 3)) after encoding and decoding, with the faults that rendered ones have.

    They are computed once and then read from `file`, which is named by whoever calls after autoencoder and pictures.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".part")
        starts = range(0, len(pictures), 16)
        with writing_rows(unfinished) as rows:
            for start in tqdm(starts, desc="decoding", unit="batch", mininterval=5):
                rows.append(_through(vae, pictures[start : start + 16]))
        unfinished.replace(file)
    return np.load(file, mmap_mode="r")


@torch.inference_mode()
def _through(vae: AutoencoderTiny, pictures: np.ndarray) -> np.ndarray:
    device = str(vae.device)
    with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=native_bf16(device)):
        made = vae.decode(vae.encode(to_tensor(pictures, device)).latents).sample
    return to_pictures(made)


class UpscalerTask:
    """Draw crops of pictures at twice their size.

    train: pairs to learn from, each as often as the others. held_out: others to measure on, by name.
    """

    name, metric, higher = "upscaler", "gain", True

    def __init__(
        self,
        model: Swin2SRForImageSuperResolution,
        train: Sequence[Pair],
        held_out: Mapping[str, Pair],
        *,
        crop: int = 32,
    ) -> None:
        self.model, self.train, self.held_out, self.crop = model, train, held_out, crop
        self.bicubic = {name: _psnr(bicubic(small), large) for name, (small, large) in held_out.items()}
        self.modules = {"upscaler": model}
        self.scales: dict[str, float] = {}

    def draw(self, step: int, recipe: Recipe) -> Batch:
        """Crops of pictures, and of the same ones at twice the size."""
        rng = step_rng(recipe.seed, step)
        crops = [self._crop(rng) for _ in range(recipe.batch_size)]
        small, large = (np.stack(side) for side in zip(*crops, strict=True))
        return {"small": small, "large": large}

    def _crop(self, rng: np.random.Generator) -> Pair:
        small, large = self.train[rng.integers(len(self.train))]
        index = rng.integers(len(small))
        y, x = rng.integers(0, small.shape[1] - self.crop + 1, 2)
        return _cut(small[index], y, x, self.crop), _cut(large[index], SCALE * y, SCALE * x, SCALE * self.crop)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Figures]:
        """The mean absolute error."""
        real = to_tensor(batch["large"], str(self.model.device))
        made = self._enlarge(batch["small"])
        return (made - real).abs().mean(), {"psnr": psnr(made.detach(), real).mean().item()}

    def _enlarge(self, pictures: np.ndarray) -> torch.Tensor:
        """Pictures (uint8, (n, h, w, 3)) at twice the size, (n, 3, 2 h, 2 w) from -1 to 1."""
        pixels = to_tensor(pictures, str(self.model.device)) / 2 + 0.5
        return self.model(pixels).reconstruction.float() * 2 - 1

    def enlarge(self, pictures: np.ndarray) -> np.ndarray:
        """The same as uint8 (n, 2 h, 2 w, 3)."""
        return np.concatenate([to_pictures(self._enlarge(pictures[i : i + 1])) for i in range(len(pictures))])

    def validate(self) -> Figures:
        """PSNR on each held-out set, and by how much it is above that of bicubic interpolation, in dB."""
        figures = {name: _psnr(self.enlarge(small), large) for name, (small, large) in self.held_out.items()}
        gains = {f"gain_{name}": value - self.bicubic[name] for name, value in figures.items()}
        return {"gain": float(np.mean(list(gains.values())))} | figures | gains

    def sample(self) -> tuple[Image.Image, Figures]:
        """Eight pictures of the first held-out set: bicubic over made over drawn."""
        small, large = (side[:8] for side in next(iter(self.held_out.values())))
        rows = [np.concatenate(list(row), axis=1) for row in (bicubic(small), self.enlarge(small), large)]
        return Image.fromarray(np.concatenate(rows)), {}


def bicubic(pictures: np.ndarray) -> np.ndarray:
    """Pictures (uint8, (n, h, w, 3)) at twice the size by Pillow's bicubic interpolation."""
    size = SCALE * pictures.shape[2], SCALE * pictures.shape[1]
    return np.stack([np.asarray(Image.fromarray(picture).resize(size, Image.BICUBIC)) for picture in pictures])


def _cut(picture: np.ndarray, y: int, x: int, side: int) -> np.ndarray:
    return picture[y : y + side, x : x + side]


def _psnr(made: np.ndarray, real: np.ndarray) -> float:
    """The mean PSNR of pictures (uint8, (n, h, w, 3)) in dB."""
    return float(
        np.mean([psnr(to_tensor(a[None]), to_tensor(b[None])).item() for a, b in zip(made, real, strict=True)])
    )
