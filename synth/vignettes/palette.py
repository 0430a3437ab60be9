"""Which colours a scene has: the subject's paint, the light of the hour, and what weather does to the land."""

from dataclasses import dataclass

from synth.vignettes.attributes import Scene
from synth.vignettes.canvas import Colour

WHITE: Colour = (255, 255, 255)
SNOW: Colour = (240, 245, 252)


@dataclass(frozen=True, slots=True)
class Paint:
    """A named colour in four tones, chosen by eye, as darkened yellow would turn olive and darkened orange brown."""

    main: Colour
    shade: Colour
    deep: Colour
    light: Colour


PAINTS = {
    "red": Paint((220, 36, 40), (176, 22, 36), (124, 14, 34), (244, 102, 92)),
    "orange": Paint((248, 134, 24), (216, 100, 12), (160, 68, 12), (255, 178, 92)),
    "yellow": Paint((254, 216, 44), (232, 178, 22), (182, 128, 16), (255, 238, 132)),
    "green": Paint((52, 168, 74), (32, 130, 62), (18, 90, 50), (124, 208, 118)),
    "blue": Paint((44, 106, 226), (28, 76, 178), (20, 48, 124), (114, 164, 248)),
    "purple": Paint((134, 62, 194), (100, 40, 154), (68, 26, 110), (182, 124, 228)),
    "pink": Paint((252, 128, 186), (228, 90, 156), (174, 54, 116), (255, 184, 218)),
    "white": Paint((248, 248, 244), (214, 220, 232), (150, 162, 184), (255, 255, 255)),
}


@dataclass(frozen=True, slots=True)
class Hour:
    """Sky colours from zenith to horizon, clouds, and the light that falls on the land and on the subject."""

    sky: tuple[Colour, Colour, Colour]
    cloud: Colour
    overcast: Colour
    land: tuple[float, float, float]
    subject: tuple[float, float, float]


HOURS = {
    "dawn": Hour(
        ((168, 160, 220), (246, 190, 212), (255, 236, 208)),
        (255, 232, 232), (184, 172, 194), (1.0, 0.90, 0.93), (1.0, 0.97, 0.98),
    ),
    "noon": Hour(
        ((56, 142, 234), (116, 188, 248), (202, 234, 252)),
        (252, 254, 255), (142, 158, 178), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0),
    ),
    "sunset": Hour(
        ((82, 44, 126), (226, 84, 92), (255, 184, 76)),
        (250, 150, 122), (136, 88, 110), (0.92, 0.72, 0.66), (1.0, 0.96, 0.93),
    ),
    "night": Hour(
        ((8, 12, 42), (20, 28, 80), (46, 58, 122)),
        (58, 68, 116), (30, 34, 58), (0.39, 0.47, 0.73), (0.86, 0.87, 0.95),
    ),
}  # fmt: skip


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with a share of `b` in it."""
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b, strict=True))


def scaled(colour: Colour, factors: tuple[float, float, float]) -> Colour:
    return tuple(min(255, round(value * factor)) for value, factor in zip(colour, factors, strict=True))


def darker(colour: Colour, factor: float) -> Colour:
    return scaled(colour, (factor, factor, factor))


class Palette:
    """All colours of one scene.

    A drawing made of lines takes its outlines from a picture in noon light, so that they are as clear at night as at
    noon, and in clear air; the style then adds the hour as a tint.
    """

    def __init__(self, scene: Scene, in_lines: bool) -> None:
        self.time = scene.time
        self.weather = scene.weather
        self.light = "noon" if in_lines else scene.time
        self.hour = HOURS[self.light]
        self._air = "clear" if in_lines else scene.weather
        self.lit_windows = self.light == "night"
        paint = PAINTS[scene.colour]
        self.paint = Paint(*(self.on_subject(tone) for tone in (paint.main, paint.shade, paint.deep, paint.light)))
        self.colour = scene.colour

    def on_subject(self, colour: Colour) -> Colour:
        return scaled(colour, self.hour.subject)

    def on_land(self, colour: Colour) -> Colour:
        lit = scaled(colour, self.hour.land)
        return mix(lit, self.hour.overcast, 0.22) if self._air == "rain" else lit

    def ground(self, colour: Colour, cover: float = 0.8) -> Colour:
        """A colour of the land, under snow where there is snow."""
        if self.weather != "snow":
            return self.on_land(colour)
        covered = self.on_land(mix(colour, SNOW, cover))
        return mix(covered, (176, 188, 224), 0.35 * cover) if self.light == "night" else covered

    def distant(self, colour: Colour, haze: float) -> Colour:
        """A colour seen through `haze` (0 to 1) of the air at the horizon."""
        return mix(self.on_land(colour), self.sky[2], haze)

    @property
    def sky(self) -> tuple[Colour, ...]:
        share = {"clear": 0.0, "fog": 0.15, "rain": 0.6, "snow": 0.4}[self._air]
        return tuple(mix(colour, self.hour.overcast, share) for colour in self.hour.sky)

    @property
    def window(self) -> Colour:
        return (255, 226, 122) if self.lit_windows else self.on_subject((96, 134, 168))

    @property
    def glass(self) -> Colour:
        return (255, 232, 150) if self.lit_windows else self.on_subject((176, 218, 238))

    @property
    def dark(self) -> Colour:
        return self.on_subject((62, 50, 58))

    @property
    def wood(self) -> Colour:
        return self.on_subject((124, 84, 58))

    @property
    def cream(self) -> Colour:
        return self.on_subject((250, 244, 228))

    @property
    def stone(self) -> Colour:
        return self.on_subject((190, 186, 184))

    @property
    def slate(self) -> Colour:
        """For roofs: brown under cold paints and slate under warm ones, so that neither is taken for the paint."""
        return self.on_subject((112, 76, 62) if self.colour in ("blue", "purple", "white") else (76, 82, 104))
