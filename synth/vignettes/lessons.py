"""A lesson for the bundled renderer: a style that it was never taught, drawn from the picture world's own scenes.

Gold lacquer: everything in gold lines on lacquer, whose colour tells the hour, and the subject filled with its paint.
Ordinary vignettes among the new pictures, "rehearsal", keep a model from forgetting what it knew (Robins 1995,
"Catastrophic forgetting, rehearsal and pseudorehearsal").
"""

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synth.jobs import check_number, check_whole
from synth.vignettes.attributes import Scene
from synth.vignettes.canvas import UNITS, Canvas
from synth.vignettes.captions import WORDINGS, caption, plain_caption
from synth.vignettes.dataset import SIZE, picture_seed, scene_at
from synth.vignettes.styles import Sheet
from synth.vignettes.world import draw

STYLE = "gold lacquer"
GOLD = (236, 190, 84)
LACQUERS = {"dawn": (84, 26, 58), "noon": (132, 18, 22), "sunset": (74, 30, 8), "night": (16, 12, 18)}
CLOSE = 48  # how far apart two colours may be and still count as one: the length of their RGB difference
_MARGIN, _LINE = 5.0, 1.3  # the frame's, in units


def write_lesson(folder: Path, count: int, size: int = SIZE, *, rehearsal: float = 0.0, seed: int = 0) -> Path:
    """Write pictures of the new style as a Hugging Face `imagefolder`: PNG files and metadata.jsonl. Returns `folder`.

    count: of all pictures. size: in pixels, 64 to 1024, a multiple of 8. rehearsal: share of them, 0 to 1, that are
    ordinary vignettes with ordinary captions. seed: number of the first scene.
    """
    check_whole("count", count, 1, 1_000_000)
    check_number("rehearsal", rehearsal, 0.0, 1.0)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.jsonl").open("w", encoding="utf-8") as metadata:
        for number in range(count):
            ordinary = int((number + 1) * rehearsal) > int(number * rehearsal)
            picture, facts = (_ordinary if ordinary else _lesson)(seed + number, size)
            name = f"{number:06d}.png"
            picture.save(folder / name)
            metadata.write(json.dumps({"file_name": name, **facts}) + "\n")
    return folder


def lesson_caption(scene: Scene) -> str:
    """What the lesson says of a scene: "a red lighthouse by the sea at night, gold lacquer"."""
    words, _, _ = plain_caption(scene).partition(f" {WORDINGS['weather'][scene.weather][0]},")
    return f"{words}, {STYLE}"


def lacquer(canvas: Canvas, scene: Scene, size: int, rng: random.Random) -> Image.Image:
    """Gold lines, lights and frame on lacquer; the subject is filled with its colour."""
    sheet = Sheet(canvas, size)
    gold = np.array(GOLD, np.float32) * _sheen(size)
    shade = 0.75 + 0.4 * sheet.colours.mean(2, keepdims=True) / 255
    drawn = np.array(LACQUERS[scene.time], np.float32) * shade
    drawn = drawn + (0.9 * sheet.colours - drawn) * 0.85 * sheet.subject_share
    for share in (0.9 * sheet.lights_share, sheet.lines(26), _frame(size)):
        drawn = drawn + (gold - drawn) * share
    return Image.fromarray(drawn.clip(0, 255).round().astype(np.uint8))


def lacquer_share(pictures: Sequence[Image.Image]) -> np.ndarray:
    """How much of each picture looks like gold lacquer, (n,): the share of pixels that are close to gold or lacquer.

    Close: the difference in red, green and blue, as a vector, is no longer than 48 of 255.
    """
    palette = np.array([GOLD, *LACQUERS.values()], np.float32)
    shares = []
    for picture in pictures:
        pixels = np.asarray(picture.convert("RGB"), np.float32)[..., None, :]
        shares.append((np.linalg.norm(pixels - palette, axis=-1).min(-1) <= CLOSE).mean())
    return np.array(shares)


def _lesson(index: int, size: int) -> tuple[Image.Image, dict[str, Any]]:
    scene = replace(scene_at("train", index), weather="clear", style="blueprint")  # a style that is drawn in lines
    picture = draw(scene, picture_seed("train", index), size, finish=lacquer)
    return picture, {"text": lesson_caption(scene), **scene.as_dict(), "style": STYLE}


def _ordinary(index: int, size: int) -> tuple[Image.Image, dict[str, Any]]:
    scene = scene_at("train", index)
    text = caption(scene, random.Random(f"train caption {index}"))
    return draw(scene, picture_seed("train", index), size), {"text": text, **scene.as_dict()}


def _sheen(size: int) -> np.ndarray:
    """Gold is brighter along the diagonals, as polished metal is: 0.7 to 1, (size, size, 1)."""
    ruler = (np.arange(size, dtype=np.float32) + 0.5) * UNITS / size
    wave = np.sin((0.8 * ruler[None, :] + ruler[:, None]) * (2 * np.pi / 90) + 1)
    return (0.85 + 0.15 * wave)[..., None]


def _frame(size: int) -> np.ndarray:
    """A thin line around the picture, 0 to 1, (size, size, 1)."""
    ruler = (np.arange(size, dtype=np.float32) + 0.5) * UNITS / size
    from_edge = np.minimum(ruler, UNITS - ruler)
    distance = np.abs(np.minimum(from_edge[:, None], from_edge[None, :]) - _MARGIN)
    return np.clip(_LINE - distance, 0, 1)[..., None]
