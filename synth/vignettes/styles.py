"""The six styles: each turns a painted canvas into the final picture."""

import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from synth.vignettes.attributes import Scene
from synth.vignettes.canvas import LIGHTS, SUBJECT, UNITS, Canvas, Colour
from synth.vignettes.palette import PAINTS, mix
from synth.vignettes.weather import Ink, add_weather

LINE_STYLES = ("pencil sketch", "blueprint", "neon")
_BLOCKS = 32


class Sheet:
    """A canvas at its final size: the picture and the masks, as images and as arrays from 0 to 255 or 0 to 1."""

    def __init__(self, canvas: Canvas, size: int) -> None:
        self.size = size
        self.scale = size / UNITS
        factor = canvas.pixels // size
        self.image = canvas.image.reduce(factor)
        self.subject = canvas.mask(SUBJECT).reduce(factor)
        self.subject_share = np.asarray(self.subject, np.float32)[..., None] / 255
        self.lights_share = np.asarray(canvas.mask(LIGHTS).reduce(factor), np.float32)[..., None] / 255
        self._canvas = canvas
        self._factor = factor

    @property
    def colours(self) -> np.ndarray:
        return np.asarray(self.image, np.float32)

    def lines(self, softness: float = 32.0) -> np.ndarray:
        """How much of each pixel is outline (0 to 1), seen on the finer canvas; lines are about 1.8 units wide."""
        reach = max(1, round(0.75 * self._canvas.scale))
        edges = np.zeros((self._canvas.pixels, self._canvas.pixels), np.int16)
        for plane in (np.asarray(self._canvas.image, np.int16), np.asarray(self._canvas.labels, np.int16)[..., None]):
            across = np.abs(plane[:, 2 * reach :] - plane[:, : -2 * reach]).max(2)
            down = np.abs(plane[2 * reach :] - plane[: -2 * reach]).max(2)
            np.maximum(edges[:, reach:-reach], across, out=edges[:, reach:-reach])
            np.maximum(edges[reach:-reach], down, out=edges[reach:-reach])
        strength = np.clip((edges - 12) / softness, 0, 1)
        fine = Image.fromarray((strength * 255).astype(np.uint8))
        return np.asarray(fine.reduce(self._factor), np.float32)[..., None] / 255


def apply_style(canvas: Canvas, scene: Scene, size: int, rng: random.Random) -> Image.Image:
    return _STYLES[scene.style](Sheet(canvas, size), scene, rng)


def _image(colours: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(colours, 0, 255).round().astype(np.uint8))


def _noise(size: int, cells: int, rng: random.Random) -> np.ndarray:
    """Soft noise from -1 to 1 of `cells` hills and dales across."""
    coarse = np.array([[rng.uniform(-1, 1) for _ in range(cells)] for _ in range(cells)], np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.BICUBIC))


def _painted_ink(time: str) -> Ink:
    fog = {"dawn": (248, 228, 232), "noon": (232, 240, 246), "sunset": (246, 196, 168), "night": (112, 122, 160)}[time]
    rain = (176, 196, 238) if time == "night" else (232, 240, 252)
    return Ink(rain=rain, snow=(252, 254, 255), fog=fog)


def _flat(sheet: Sheet, scene: Scene, rng: random.Random) -> Image.Image:
    return add_weather(sheet.image, sheet.subject, scene.weather, _painted_ink(scene.time), rng)


def _watercolor(sheet: Sheet, scene: Scene, rng: random.Random) -> Image.Image:
    """Wobbling soft edges where pigment pools, washes of uneven strength, and a border of bare paper."""
    size, scale = sheet.size, sheet.scale
    painted = add_weather(sheet.image, sheet.subject, scene.weather, _painted_ink(scene.time), rng)
    wet = _wobbled(painted, 1.5 * scale, rng).filter(ImageFilter.GaussianBlur(0.4 * scale))
    colours = np.asarray(wet, np.float32)
    pooled = np.asarray(wet.filter(ImageFilter.GaussianBlur(2.2 * scale)), np.float32)
    pooling = np.clip((pooled - colours).mean(2, keepdims=True) / 60, 0, 0.5)
    strength = 0.88 + 0.12 * _noise(size, 6, rng)[..., None]
    washed = (255 - (255 - colours) * strength) * (1 - 0.4 * pooling)
    ruler = (np.arange(size, dtype=np.float32) + 0.5) / scale
    from_edge = np.minimum(ruler, UNITS - ruler)
    edge = np.minimum(from_edge[:, None], from_edge[None, :])
    painted_share = np.clip((edge - 5.2 - 2.6 * _noise(size, 9, rng)) / 2.2, 0, 1)[..., None]
    paper = np.array((251, 248, 240), np.float32)
    return _image(paper + (washed - paper) * painted_share)


def _wobbled(image: Image.Image, reach: float, rng: random.Random) -> Image.Image:
    """The picture with its outlines bent by up to `reach` pixels, looked up on a grid twice as fine."""
    size = 2 * image.width
    rows, columns = np.mgrid[0:size, 0:size]
    rows = np.clip(rows + 2 * reach * _noise(size, 10, rng), 0, size - 1).round().astype(np.intp)
    columns = np.clip(columns + 2 * reach * _noise(size, 10, rng), 0, size - 1).round().astype(np.intp)
    fine = np.asarray(image.resize((size, size), Image.BILINEAR))
    return Image.fromarray(fine[rows, columns]).reduce(2)


_PENCIL_SKY: dict[str, tuple[Colour, Colour]] = {
    "dawn": ((240, 176, 196), (252, 232, 226)),
    "noon": ((236, 240, 240), (250, 246, 234)),
    "sunset": ((206, 128, 168), (255, 196, 130)),
    "night": ((92, 96, 122), (150, 152, 170)),
}


def _pencil(sheet: Sheet, scene: Scene, rng: random.Random) -> Image.Image:
    """Graphite outlines and faint tones on tinted paper; only the subject is fully coloured."""
    top, bottom = (np.array(colour, np.float32) for colour in _PENCIL_SKY[scene.time])
    fade = np.linspace(0, 1, sheet.size, dtype=np.float32)[:, None, None]
    paper = np.broadcast_to(top + (bottom - top) * np.minimum(1, fade * 1.6), (sheet.size, sheet.size, 3))
    colours = sheet.colours
    rows, columns = np.mgrid[0 : sheet.size, 0 : sheet.size].astype(np.float32) / sheet.scale
    hatching = np.sin((rows + columns) * (2 * np.pi / 11))[..., None]
    darkness = 1 - colours.mean(2, keepdims=True) / 255
    tone = paper * (1 - darkness * (0.28 + 0.1 * hatching) - 0.16 * (1 - colours / 255))
    light = np.array({"night": (250, 246, 224), "sunset": (255, 214, 110)}.get(scene.time, (255, 244, 196)), np.float32)
    tone = tone + (light - tone) * sheet.lights_share * 0.9
    share = sheet.subject_share * (0.86 + 0.1 * hatching)
    tone = tone + (colours * 0.96 + 10 - tone) * share
    graphite = np.array((54, 52, 62) if scene.time != "night" else (34, 34, 46), np.float32)
    drawn = tone + (graphite - tone) * sheet.lines(50) * (0.7 + 0.16 * _noise(sheet.size, 8, rng)[..., None])
    fog = mix(_PENCIL_SKY[scene.time][1], (255, 255, 255), 0.35)
    rain = (196, 208, 236) if scene.time == "night" else (66, 84, 128)
    ink = Ink(rain=rain, snow=(255, 255, 255), fog=fog, flake_rim=(112, 120, 142))
    return add_weather(_image(drawn), sheet.subject, scene.weather, ink, rng)


def _pixel_art(sheet: Sheet, scene: Scene, rng: random.Random) -> Image.Image:
    """Blocks of four units in softly limited colours; rain and snow are whole blocks."""
    image, ink = sheet.image, _painted_ink(scene.time)
    if scene.weather == "fog":
        image = add_weather(image, sheet.subject, "fog", ink, rng)
    colours = np.asarray(image.resize((_BLOCKS, _BLOCKS), Image.BOX), np.float32)
    limited = np.round(colours / 28) * 28
    blocks = _image(colours + (limited - colours) * 0.75)
    _add_blocks_of_weather(blocks, scene.weather, ink, rng)
    return blocks.resize((sheet.size, sheet.size), Image.NEAREST)


def _add_blocks_of_weather(blocks: Image.Image, weather: str, ink: Ink, rng: random.Random) -> None:
    draw = ImageDraw.Draw(blocks)
    if weather == "snow":
        for row in range(5):
            for column in range(5):
                x, y = column * 6.4 + rng.uniform(0, 5) + 1.5 * (row % 2), row * 6.4 + rng.uniform(0, 5)
                draw.point((int(x), int(y)), fill=ink.snow)
    elif weather == "rain":
        for row in range(4):
            for column in range(6):
                x = int(column * 5.4 + 2.6 * (row % 2) + rng.uniform(0, 2.5))
                y = int(row * 8 + rng.uniform(0, 4))
                for step in range(4):
                    spot = (x - step // 2, y + step)
                    if 0 <= spot[0] < _BLOCKS and spot[1] < _BLOCKS:
                        blocks.putpixel(spot, mix(blocks.getpixel(spot), ink.rain, 0.7))


_BLUEPRINT: dict[str, tuple[Colour, Colour]] = {
    "dawn": ((96, 112, 190), (150, 134, 196)),
    "noon": ((20, 92, 190), (38, 122, 214)),
    "sunset": ((62, 42, 132), (140, 62, 124)),
    "night": ((10, 22, 66), (18, 38, 96)),
}


def _blueprint(sheet: Sheet, scene: Scene, rng: random.Random) -> Image.Image:
    """White lines on blue, over a coarse grid; the subject is filled with its colour."""
    top, bottom = (np.array(colour, np.float32) for colour in _BLUEPRINT[scene.time])
    fade = np.linspace(0, 1, sheet.size, dtype=np.float32)[:, None, None]
    tone = sheet.colours.mean(2, keepdims=True) / 255
    base = (top + (bottom - top) * fade) * (0.78 + 0.34 * tone)
    base = base + (np.array((255, 255, 255), np.float32) - base) * _grid(sheet.size) * 0.11
    base = base + (np.array((226, 236, 255), np.float32) - base) * sheet.lights_share * 0.8
    base = base + (sheet.colours - base) * sheet.subject_share * 0.86
    strength = sheet.lines() * (0.5 + 0.42 * sheet.subject_share)
    white = np.array((244, 248, 255), np.float32)
    drawn = base + (white - base) * strength
    fog = mix(_BLUEPRINT[scene.time][1], (214, 226, 255), 0.55)
    ink = Ink(rain=(150, 206, 255), snow=(255, 255, 255), fog=fog, rain_opacity=0.9)
    return add_weather(_image(drawn), sheet.subject, scene.weather, ink, rng)


def _grid(size: int) -> np.ndarray:
    """A line of one unit every 16 units."""
    position = (np.arange(size) + 0.5) * UNITS / size
    on_line = (np.abs((position + 8) % 16 - 8) < 0.75).astype(np.float32)
    return np.maximum(on_line[:, None], on_line[None, :])[..., None]


_NEON: dict[str, tuple[Colour, Colour]] = {
    "dawn": ((46, 20, 50), (255, 156, 196)),
    "noon": ((8, 38, 58), (70, 226, 250)),
    "sunset": ((54, 16, 22), (255, 122, 50)),
    "night": ((10, 8, 36), (104, 108, 255)),
}


def _neon(sheet: Sheet, scene: Scene, rng: random.Random) -> Image.Image:
    """Glowing tubes in the dark: the hour's hue around, the subject in its own colour."""
    dark, ambient = (np.array(colour, np.float32) for colour in _NEON[scene.time])
    paint = PAINTS[scene.colour]
    own = np.array(mix(paint.main, paint.light, 0.25), np.float32)
    share = sheet.subject_share
    tone = sheet.colours.mean(2, keepdims=True) / 255
    base = dark * (0.7 + 0.6 * tone) + ambient * sheet.lights_share * 0.55
    base = base + (sheet.colours * 0.42 - base) * share * 0.9
    tubes = sheet.lines() * (ambient * 0.62 * (1 - share) + own * share)
    glow = np.asarray(_image(tubes).filter(ImageFilter.GaussianBlur(2.6 * sheet.scale)), np.float32)
    fog = mix(mix(*_NEON[scene.time], 0.45), (150, 150, 170), 0.35)
    ink = Ink(rain=(120, 236, 255), snow=(255, 255, 255), fog=fog)
    return add_weather(_image(np.maximum(base, tubes) + 0.7 * glow), sheet.subject, scene.weather, ink, rng)


_STYLES: dict[str, Callable[[Sheet, Scene, random.Random], Image.Image]] = {
    "flat illustration": _flat,
    "watercolor": _watercolor,
    "pencil sketch": _pencil,
    "pixel art": _pixel_art,
    "blueprint": _blueprint,
    "neon": _neon,
}
