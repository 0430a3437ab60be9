"""The sky: its gradient, the glow and disc of the sun, the moon, stars and clouds."""

import math
import random

import numpy as np
from PIL import Image

from synth.vignettes.canvas import LIGHTS, Canvas, Colour, Point
from synth.vignettes.palette import Palette, mix

_GRID = 64
_SUN = {"dawn": (8.0, (255, 250, 222)), "noon": (10.0, (255, 238, 120)), "sunset": (17.0, (255, 214, 92))}
_MOON: Colour = (250, 246, 222)
_SKYLINE = {"sea": 0.0, "desert": 3.0, "hills": 4.0, "city": 26.0, "forest": 26.0, "mountains": 30.0}


def draw_sky(canvas: Canvas, place: str, horizon: float, colours: Palette, rng: random.Random) -> Point:
    """Fills the canvas with sky and returns where the sun or the moon is."""
    time, weather = colours.time, colours.weather
    side = rng.choice((-1, 1))
    x = 64 + side * rng.uniform(40, 48)
    low = horizon - _SKYLINE[place]
    y = {"dawn": low - 14, "noon": 20.0, "sunset": low - 5, "night": 22.0}[time] + rng.uniform(-3, 3)
    if weather == "rain":
        y = max(y, 36.0)
    sunless = time == "noon" and weather == "rain"
    sky = _gradient(horizon, colours, None if sunless else (x, y))
    canvas.image.paste(sky.resize(canvas.image.size, Image.BICUBIC))
    if time == "night":
        _draw_stars(canvas, x, rng)
        _draw_moon(canvas, x, y)
    elif not sunless:
        radius, colour = _SUN[time]
        canvas.pen(LIGHTS).circle(x, y, radius, colour)
    _draw_clouds(canvas, colours, side, rng)
    return x, y


def _gradient(horizon: float, colours: Palette, source: Point | None) -> Image.Image:
    """The sky on a coarse grid, with a soft glow around the source of light."""
    top, middle, bottom = (np.array(colour, np.float32) for colour in colours.sky)
    step = 128 / _GRID
    centres = (np.arange(_GRID, dtype=np.float32) + 0.5) * step
    height = np.clip(centres / horizon, 0, 1)[:, None]
    upper, lower = np.clip(height / 0.55, 0, 1), np.clip((height - 0.55) / 0.45, 0, 1)
    column = top + (middle - top) * upper + (bottom - middle) * lower
    sky = np.repeat(column[:, None, :], _GRID, axis=1)
    if source is not None:
        x, y = source
        distance = np.hypot(centres[None, :] - x, centres[:, None] - y)
        glow = 0.5 * np.exp(-((distance / 26) ** 2))[..., None]
        colour = np.array(_SUN[colours.time][1] if colours.time != "night" else (120, 132, 190), np.float32)
        sky = sky + (colour - sky) * glow
    return Image.fromarray(sky.round().astype(np.uint8))


def _draw_stars(canvas: Canvas, moon_x: float, rng: random.Random) -> None:
    pen = canvas.pen(LIGHTS)
    for column in range(8):
        x, y = 9 + column * 15.6 + rng.uniform(-4, 4), rng.uniform(6, 46)
        size = rng.uniform(2.2, 3.0)
        if abs(x - moon_x) > 14:
            pen.polygon(_star(x, y, size), (255, 250, 226))


def _star(x: float, y: float, size: float) -> list[Point]:
    """A star of four points."""
    points = []
    for i in range(8):
        reach = size if i % 2 == 0 else size * 0.42
        points.append((x + reach * math.sin(i * math.pi / 4), y - reach * math.cos(i * math.pi / 4)))
    return points


def _draw_moon(canvas: Canvas, x: float, y: float) -> None:
    """A crescent, so that in outline nobody takes it for the sun."""
    outer = [math.radians(angle) for angle in range(53, 308, 10)]
    inner = [math.radians(angle) for angle in range(283, 76, -10)]
    points = [(x + 10.5 * math.cos(angle), y + 10.5 * math.sin(angle)) for angle in outer]
    points += [(x + 4.4 + 8.6 * math.cos(angle), y + 8.6 * math.sin(angle)) for angle in inner]
    canvas.pen(LIGHTS).polygon(points, _MOON)


def _draw_clouds(canvas: Canvas, colours: Palette, sun_side: int, rng: random.Random) -> None:
    weather = colours.weather
    if weather == "rain":
        lower, upper = (mix(colours.hour.overcast, (52, 58, 76), share) for share in (0.15, 0.45))
        _draw_overcast(canvas, upper, lower, rng)
    elif weather == "snow":
        pale = mix(colours.hour.overcast, (255, 255, 255), 0.2 if colours.time == "night" else 0.45)
        for offset, y, width in ((44, 16, 16), (-6, 9, 14)):
            _draw_cloud(canvas, 64 - sun_side * (offset + rng.uniform(-5, 5)), y, width, pale)
    elif weather == "clear":
        x, y, width = 64 - sun_side * rng.uniform(32, 48), rng.uniform(16, 32), rng.uniform(13, 17)
        _draw_cloud(canvas, x, y, width, colours.hour.cloud)
        if rng.random() < 0.5:
            _draw_cloud(canvas, 64 + sun_side * rng.uniform(0, 10), rng.uniform(8, 12), 13, colours.hour.cloud)


def _draw_cloud(canvas: Canvas, x: float, y: float, width: float, colour: Colour) -> None:
    pen = canvas.pen()
    for dx, dy, size in ((-0.75, 0.12, 0.48), (0, -0.16, 0.68), (0.68, 0.1, 0.54)):
        pen.ellipse(x + dx * width, y + dy * width, size * width, size * width * 0.66, colour)
    pen.ellipse(x, y + 0.24 * width, width * 1.05, width * 0.26, colour)


def _draw_overcast(canvas: Canvas, dark: Colour, light: Colour, rng: random.Random) -> None:
    pen = canvas.pen()
    offset = rng.uniform(-10, 10)
    for colour, drop in ((light, 4), (dark, 0)):
        for i in range(7):
            x = offset - 6 + i * 23 + drop * 3
            pen.ellipse(x, 3 + drop, 17, 11.5 + 3 * ((i + (drop > 0)) % 2), colour)
        pen.rect(-2, -2, 130, 6 + drop, colour)
