"""Small captioned sets, each written in exactly the layout that it is a test of."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat


def picture(number: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """A picture that no other number has: two colours and a smooth ramp, which JPEG keeps apart."""
    width, height = size
    ramp = np.linspace(0, 200, width).astype(np.uint8)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = ramp
    pixels[: height // 2, :, 1] = 37 * number % 256
    pixels[height // 2 :, :, 2] = 91 * number % 256
    return Image.fromarray(pixels)


def sidecar(folder: Path, count: int, caption: Callable[[int], str] = "picture number {}".format) -> Path:
    """count JPEG files with a .txt beside each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(number).save(folder / f"{number:03d}.jpg")
        (folder / f"{number:03d}.txt").write_text(caption(number), encoding="utf-8")
    return folder


def imagefolder(folder: Path, rows: list[dict], *, name: str = "metadata.jsonl", pictures: int = 4) -> Path:
    """PNG files a0.png, a1.png, ... and metadata of these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pictures):
        picture(number).save(folder / f"a{number}.png")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / name).write_text(lines, encoding="utf-8")
    return folder


def flowers(folder: Path, labels: list[int], *, text: Path | None = None, captions: int = 10) -> Path:
    """Oxford 102 Flowers with so many pictures, and Reed et al.'s archive in `text`."""
    (folder / "jpg").mkdir(parents=True)
    for number, label in enumerate(labels, start=1):
        picture(number, (500, 667)).save(folder / "jpg" / f"image_{number:05d}.jpg")
        if text:
            lines = [f"caption {line} of flower {number}, it has petals" for line in range(captions)]
            file = text / f"class_{label:05d}" / f"image_{number:05d}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
    savemat(folder / "imagelabels.mat", {"labels": np.array([labels], np.uint8)})
    numbers = np.arange(1, len(labels) + 1, dtype=np.uint16)
    splits = {"trnid": numbers[0::3], "valid": numbers[1::3], "tstid": numbers[2::3]}
    savemat(folder / "setid.mat", {name: part[None] for name, part in splits.items()})
    return folder
