import base64
import io

import numpy as np
import torch
from PIL import Image

from synth.diffusion.courses import encode
from synth.models.loading import load
from synth.presets import resolve
from synth.serve.previews import fitted, preview


def shown(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))


def test_a_preview_looks_like_the_picture():
    pipeline = load(resolve("vignettes", "renderer"), "cpu", "float32")
    colours = fitted(pipeline)
    rows, columns = np.mgrid[:128, :128]
    pixels = np.stack([rows * 2, columns * 2, np.where(rows > 64, 200, 40)], axis=-1).astype(np.uint8)
    latents = encode(pipeline, torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None].float())
    found = np.asarray(shown(preview(latents[0], colours, (128, 128))).convert("RGB"), float)
    assert found.shape == (128, 128, 3)
    error = np.abs(found - pixels).mean()
    assert error < 25, error  # of 255; grey all over would be 60 or more
    assert np.corrcoef(found.ravel(), pixels.ravel())[0, 1] > 0.9


def test_numbers_that_overflowed_are_no_harm():
    colours = torch.ones(5, 3)
    latents = torch.full((4, 8, 16), float("nan"))
    assert shown(preview(latents, colours, (1024, 512))).size == (256, 128)
