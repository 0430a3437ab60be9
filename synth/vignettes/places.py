"""The six places: land or water from the horizon down, and what rises above the horizon."""

import math
import random
from collections.abc import Callable

from synth.vignettes.canvas import Canvas, Colour, Pen, Point
from synth.vignettes.palette import SNOW, Palette, darker, mix
from synth.vignettes.subjects import Stand

_WATER = {
    "dawn": ((206, 190, 216), (112, 138, 190)),
    "noon": ((78, 168, 222), (24, 100, 178)),
    "sunset": ((228, 128, 104), (98, 56, 120)),
    "night": ((34, 50, 108), (12, 20, 60)),
}
_GLITTER = {"dawn": (255, 240, 226), "noon": (150, 208, 240), "sunset": (255, 206, 110), "night": (176, 186, 222)}


class Setting:
    """What a place needs to know to be drawn: where the horizon, the sun and the subject are (in units)."""

    def __init__(self, canvas: Canvas, colours: Palette, horizon: float, sun_x: float, stand: Stand) -> None:
        self.pen: Pen = canvas.pen()
        self.colours = colours
        self.horizon = horizon
        self.sun_x = sun_x
        self.stand = stand


def draw_place(place: str, setting: Setting, rng: random.Random) -> None:
    _DRAW[place](setting, rng)
    if setting.stand.subject == "sailboat" and place != "sea":
        _draw_pond(setting)


def _ridge(rng: random.Random, height: float, swing: float) -> list[Point]:
    """A rolling line across the frame, `swing` units up and down around `height`."""
    phase, second = rng.uniform(0, math.tau), rng.uniform(0, math.tau)
    pace = rng.uniform(0.9, 1.3)
    return [
        (x, height + swing * (0.7 * math.sin(pace * x / 20 + phase) + 0.3 * math.sin(pace * x / 9 + second)))
        for x in range(-4, 136, 4)
    ]


def _fill_below(pen: Pen, ridge: list[Point], colour: Colour) -> None:
    pen.polygon([*ridge, (134, 130), (-6, 130)], colour)


def _draw_pond(setting: Setting) -> None:
    pen, stand, colours = setting.pen, setting.stand, setting.colours
    far, near = _WATER[colours.light]
    pen.ellipse(stand.x, stand.ground + 2, 54, 10.5, near)
    pen.ellipse(stand.x, stand.ground + 3, 50, 8.5, mix(near, far, 0.3))


def _draw_sea(setting: Setting, rng: random.Random) -> None:
    pen, colours, horizon = setting.pen, setting.colours, setting.horizon
    far, near = _WATER[colours.light]
    bands = 8
    for i in range(bands):
        top = horizon + (128 - horizon) * (i / bands) ** 1.3
        water = mix(far, near, i / (bands - 1))
        if colours.weather == "rain":
            water = mix(water, colours.hour.overcast, 0.3)
        pen.rect(-1, top, 129, 130, water)
    for i in range(5):
        y, reach = horizon + 4 + i * 7, 9 - i * 0.8
        x = setting.sun_x + (2 if i % 2 else -2)
        pen.rect(x - reach, y - 0.9, x + reach, y + 0.9, mix(far, _GLITTER[colours.light], 0.8))
    for i in range(6):
        x, y = (10 + 44 * i + rng.uniform(-8, 8)) % 132, horizon + 8 + i * 7
        crest = [(x + 1.3 * step, y - 1.4 * math.sin(step * math.pi / 6) ** 2) for step in range(13)]
        pen.line(crest, 1.6, mix(near, _GLITTER[colours.light], 0.45))
    if colours.weather == "snow":
        for x, y, reach in ((14, horizon + 17, 10), (114, horizon + 24, 12), (24, horizon + 36, 13)):
            pen.ellipse(x + rng.uniform(-4, 4), y, reach, 2.8, colours.on_land(SNOW))
    if not setting.stand.floats:
        _draw_island(setting)


def _draw_island(setting: Setting) -> None:
    pen, stand, colours = setting.pen, setting.stand, setting.colours
    reach = max(38.0, stand.reach + 9)
    pen.ellipse(stand.x, stand.ground + 5, reach + 5, 10, mix(colours.on_land((150, 206, 226)), (255, 255, 255), 0.15))
    pen.ellipse(stand.x, stand.ground + 4, reach, 8.5, colours.ground((214, 184, 122)))
    pen.ellipse(stand.x, stand.ground + 2.6, reach - 1, 7, colours.ground((242, 216, 154)))


def _draw_hills(setting: Setting, rng: random.Random) -> None:
    pen, colours, horizon = setting.pen, setting.colours, setting.horizon
    layers = (
        ((160, 206, 150), -14, 8, 0.34),
        ((124, 192, 104), -3, 7, 0.12),
        ((86, 162, 78), 9, 5, 0.0),
        ((58, 132, 64), 22, 3, 0.0),
    )
    for i, (green, drop, swing, haze) in enumerate(layers):
        cover = 0.6 + 0.1 * (3 - i)
        ridge = _ridge(rng, horizon + drop, swing)
        tone = colours.ground(green, cover)
        _fill_below(pen, ridge, mix(tone, colours.sky[2], haze))
        if i in (1, 2):
            for x, y in (ridge[rng.randrange(1, 8)], ridge[rng.randrange(26, 33)]):
                pen.rect(x - 0.9, y - 3, x + 0.9, y + 1.5, colours.on_land((104, 76, 54)))
                pen.ellipse(x, y - 5, 4.2 + i, 4.6 + i, colours.ground((58, 124, 64), 0.4))


def _draw_desert(setting: Setting, rng: random.Random) -> None:
    pen, colours, horizon = setting.pen, setting.colours, setting.horizon
    _draw_mesa(setting, rng)
    for sand, drop, swing in (((244, 212, 150), -1, 3.5), ((234, 188, 118), 9, 4), ((222, 166, 94), 24, 3)):
        cover = 0.55
        _fill_below(pen, _ridge(rng, horizon + drop, swing), colours.ground(sand, cover))
        peak = rng.uniform(12, 116)
        y = horizon + drop + 5
        slope = [(peak, y - 4), (peak + 9, y + 1), (peak + 26, y + 4), (peak - 22, y + 4), (peak - 9, y + 1)]
        pen.blob(slope, colours.ground(darker(sand, 0.93), cover))
    for x, lean in ((rng.uniform(9, 20), 1), (rng.uniform(108, 119), -1)):
        green = colours.ground((62, 138, 80), 0.25)
        _draw_cactus(pen, x, horizon + rng.uniform(14, 24), rng.uniform(24, 30), lean, green)


def _draw_mesa(setting: Setting, rng: random.Random) -> None:
    pen, colours, base = setting.pen, setting.colours, setting.horizon + 4
    x, height = 64 - math.copysign(rng.uniform(34, 44), setting.sun_x - 64), rng.uniform(24, 30)
    top = base - height
    lit, dark = colours.distant((206, 118, 78), 0.22), colours.distant((170, 88, 64), 0.22)
    pen.polygon([(x - 26, base), (x - 17, top), (x + 15, top), (x + 26, base)], lit)
    pen.polygon([(x + 8, base), (x + 5, top), (x + 15, top), (x + 26, base)], dark)
    if colours.weather == "snow":
        pen.rect(x - 18, top - 1, x + 16, top + 3, colours.on_land(SNOW))


def _draw_cactus(pen: Pen, x: float, y: float, height: float, lean: int, green: Colour) -> None:
    pen.limb([(x, y, 2.9), (x, y - height, 2.9)], green)
    for side, low, high in ((lean, 0.36, 0.7), (-lean, 0.5, 0.86)):
        reach = x + side * 6.5
        elbow = (reach - side, y - height * low, 1.9)
        pen.limb([(x, y - height * low, 1.9), elbow, (reach, y - height * high, 1.9)], green)


def _draw_city(setting: Setting, rng: random.Random) -> None:
    pen, colours, horizon = setting.pen, setting.colours, setting.horizon
    _draw_skyline(setting, rng, (150, 160, 190), 0.45, (38, 54), windows=False)
    _draw_skyline(setting, rng, (96, 106, 138), 0.12, (18, 38), windows=True)
    pen.rect(-1, horizon + 6, 129, 130, colours.ground((112, 168, 102)))
    pen.rect(-1, 97, 129, 130, colours.ground((196, 194, 196)))
    pen.rect(-1, 101, 129, 130, colours.ground((92, 94, 108), 0.3))
    for left in range(-6, 128, 26):
        pen.rect(left, 119, left + 14, 122, colours.on_land((250, 236, 190)))


def _draw_skyline(
    setting: Setting, rng: random.Random, grey: Colour, haze: float, heights: tuple[float, float], windows: bool
) -> None:
    pen, colours, base = setting.pen, setting.colours, setting.horizon + 8
    x = rng.uniform(-12, -2)
    while x < 128:
        width, height = rng.uniform(13, 18), rng.uniform(*heights)
        wall = colours.distant(darker(grey, rng.uniform(0.9, 1.08)), haze)
        pen.rect(x, base - height, x + width, base, wall)
        if colours.weather == "snow":
            pen.rect(x, base - height, x + width, base - height + 2.6, colours.on_land(SNOW))
        if windows:
            glow = (255, 222, 124) if colours.lit_windows else mix(wall, colours.sky[2], 0.5)
            for row in range(int((height - 8) // 8)):
                for left in (x + width * 0.2, x + width * 0.58):
                    top = base - height + 5 + row * 8
                    pen.rect(left, top, left + width * 0.22, top + 4, glow)
        x += width + (0 if not windows else rng.choice((0, 0, 3)))


def _draw_forest(setting: Setting, rng: random.Random) -> None:
    pen, colours, horizon = setting.pen, setting.colours, setting.horizon
    offset = rng.uniform(-6, 6)
    far, near = colours.distant((84, 140, 112), 0.42), (40, 114, 72)
    pen.rect(-1, horizon - 6, 129, 130, far)
    for i in range(12):
        _draw_pine(setting, offset - 4 + i * 12, horizon + 4, 36 + 5 * (i % 2), far, 0.35)
    pen.rect(-1, horizon + 2, 129, 130, colours.ground((72, 128, 70)))
    pen.ellipse(64, 122, 84, 26, colours.ground((94, 152, 82)))
    for x in (8, 22, 106, 121):
        height = rng.uniform(56, 66) if x in (8, 121) else rng.uniform(44, 50)
        drop = 16 if x in (8, 121) else 9
        _draw_pine(setting, x + rng.uniform(-3, 3), horizon + drop, height, colours.on_land(near), 0.8)


def _draw_pine(setting: Setting, x: float, y: float, height: float, green: Colour, cover: float) -> None:
    pen, colours = setting.pen, setting.colours
    pen.rect(x - height * 0.04, y - height * 0.16, x + height * 0.04, y, colours.on_land((98, 70, 52)))
    for tier in range(3):
        base, half = y - height * (0.12 + 0.25 * tier), height * (0.24 - 0.05 * tier)
        top = base - height * 0.4
        pen.polygon([(x - half, base), (x, top), (x + half, base)], green)
        pen.polygon([(x + half * 0.1, base), (x, top), (x + half, base)], darker(green, 0.85))
        if colours.weather == "snow":
            cap = mix(green, colours.on_land(SNOW), cover)
            brim = base - height * 0.18
            pen.polygon([(x - half * 0.55, brim), (x, top), (x + half * 0.55, brim)], cap)


def _draw_mountains(setting: Setting, rng: random.Random) -> None:
    pen, colours, horizon = setting.pen, setting.colours, setting.horizon
    base = horizon + 8
    shift = rng.uniform(-8, 8)
    for x, height, half, haze in ((64, 42, 40, 0.4), (18, 58, 40, 0.12), (110, 54, 38, 0.12)):
        _draw_peak(setting, x + shift, base, height + rng.uniform(-4, 4), half, haze)
    for green, drop, swing in (((128, 190, 112), 4, 2), ((98, 168, 88), 18, 2.5)):
        _fill_below(pen, _ridge(rng, horizon + drop, swing), colours.ground(green))


def _draw_peak(setting: Setting, x: float, base: float, height: float, half: float, haze: float) -> None:
    pen, colours, top = setting.pen, setting.colours, base - height
    lit, dark = colours.distant((120, 130, 160), haze), colours.distant((82, 92, 126), haze)
    snow = mix(colours.on_land(SNOW), lit, haze * 0.5)
    shadow = mix(colours.on_land((190, 204, 230)), dark, haze * 0.5)
    pen.polygon([(x - half, base), (x, top), (x + half, base)], lit)
    pen.polygon([(x + 6, base), (x, top), (x + half, base)], dark)
    depth = 0.56 if colours.weather == "snow" else 0.38
    edge, drop = half * depth, height * depth
    zigzag = [(x + edge, top + drop), (x + edge * 0.45, top + drop * 0.78), (x + edge * 0.1, top + drop * 1.1)]
    pen.polygon([(x, top), *zigzag, (x - edge * 0.4, top + drop * 0.76), (x - edge, top + drop)], snow)
    pen.polygon([(x, top), *zigzag], shadow)


_DRAW: dict[str, Callable[[Setting, random.Random], None]] = {
    "sea": _draw_sea,
    "hills": _draw_hills,
    "desert": _draw_desert,
    "city": _draw_city,
    "forest": _draw_forest,
    "mountains": _draw_mountains,
}
