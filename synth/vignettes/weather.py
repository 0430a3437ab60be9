"""Rain, snow and fog as masks over a finished picture; each style chooses their colours."""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from synth.vignettes.canvas import UNITS, Colour


@dataclass(frozen=True, slots=True)
class Ink:
    """The colours in which a style draws the weather, and how opaque the rain is."""

    rain: Colour
    snow: Colour
    fog: Colour
    rain_opacity: float = 0.8
    flake_rim: Colour | None = None


def add_weather(image: Image.Image, subject: Image.Image, weather: str, ink: Ink, rng: random.Random) -> Image.Image:
    """The picture with its weather in front; `subject` is the subject's mask, where fog is thinner."""
    if weather == "rain":
        return _cover(image, ink.rain, _streaks(image.width, ink.rain_opacity, rng))
    if weather == "snow":
        flakes = _flake_spots(rng)
        if ink.flake_rim is not None:
            image = _cover(image, ink.flake_rim, _flakes(image.width, flakes, 1.1))
        return _cover(image, ink.snow, _flakes(image.width, flakes, 0.0))
    if weather == "fog":
        return _cover(image, ink.fog, _veil(image.width, subject, rng))
    return image


def _cover(image: Image.Image, colour: Colour, mask: Image.Image) -> Image.Image:
    return Image.composite(Image.new("RGB", image.size, colour), image, mask)


def _scattered(rng: random.Random, columns: int, rows: int) -> list[tuple[float, float]]:
    """One spot in each cell of a grid over the frame, in units: random, yet even."""
    width, height = UNITS / columns, UNITS / rows
    return [
        ((column + rng.uniform(0.15, 0.85) + 0.5 * (row % 2) - 0.25) * width, (row + rng.uniform(0.2, 0.8)) * height)
        for row in range(rows)
        for column in range(columns)
    ]


def _streaks(pixels: int, opacity: float, rng: random.Random) -> Image.Image:
    scale = 2 * pixels / UNITS
    mask = Image.new("L", (2 * pixels, 2 * pixels))
    draw = ImageDraw.Draw(mask)
    for x, y in _scattered(rng, 5, 5):
        length = rng.uniform(13, 16)
        lean, half = 0.15 * length, length / 2
        ends = [(x + lean, y - half), (x - lean, y + half)]
        placed = [(end_x * scale, end_y * scale) for end_x, end_y in ends]
        draw.line(placed, fill=round(255 * opacity), width=max(2, round(1.7 * scale)))
    return mask.reduce(2)


def _flake_spots(rng: random.Random) -> list[tuple[float, float, float]]:
    return [(x, y, rng.uniform(1.8, 2.8)) for x, y in _scattered(rng, 5, 5)]


def _flakes(pixels: int, spots: list[tuple[float, float, float]], rim: float) -> Image.Image:
    scale = 2 * pixels / UNITS
    mask = Image.new("L", (2 * pixels, 2 * pixels))
    draw = ImageDraw.Draw(mask)
    for x, y, radius in spots:
        reach = radius + rim
        draw.ellipse([(x - reach) * scale, (y - reach) * scale, (x + reach) * scale, (y + reach) * scale], fill=245)
    return mask.reduce(2)


def _veil(pixels: int, subject: Image.Image, rng: random.Random) -> Image.Image:
    """A veil that thickens downwards, with a few long banks of fog in it."""
    scale = 2 * pixels / UNITS
    banks = Image.new("L", (2 * pixels, 2 * pixels))
    draw = ImageDraw.Draw(banks)
    for i in range(6):
        y, half = 36 + i * 14 + rng.uniform(-3, 3), rng.uniform(26, 38)
        x = (24 if i % 2 else 104) + rng.uniform(-12, 12)
        box = [(x - half) * scale, (y - 3.6) * scale, (x + half) * scale, (y + 3.6) * scale]
        draw.rounded_rectangle(box, 3.6 * scale, fill=255)
    thick = np.asarray(banks.reduce(2), np.float32) / 255
    depth = np.linspace(0.26, 0.4, pixels, dtype=np.float32)[:, None]
    thin = 1 - 0.62 * np.asarray(subject, np.float32) / 255
    veil = (depth + (0.8 - depth) * thick) * thin
    return Image.fromarray((veil * 255).round().astype(np.uint8))
