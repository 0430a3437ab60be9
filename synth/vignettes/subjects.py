"""Puts a subject on the canvas: which function draws it, how big it is, and where it stands."""

import random
from collections.abc import Callable

from synth.vignettes import buildings, living, vehicles
from synth.vignettes.canvas import SUBJECT, Canvas, Pen
from synth.vignettes.palette import Palette, mix

Draw = Callable[[Pen, Palette, random.Random], None]

_DRAW: dict[str, Draw] = {
    "house": buildings.house,
    "castle": buildings.castle,
    "lighthouse": buildings.lighthouse,
    "sailboat": vehicles.sailboat,
    "tree": living.tree,
    "windmill": buildings.windmill,
    "hot air balloon": vehicles.hot_air_balloon,
    "university hall": buildings.university_hall,
    "rocket": vehicles.rocket,
    "car": vehicles.car,
    "astronaut": living.astronaut,
    "horse": living.horse,
    "flower": living.flower,
    "cat": living.cat,
}
_AFLOAT = ("sailboat", "hot air balloon")
_LIFT = {"hot air balloon": 12.0, "rocket": 8.0}
_FOOTPRINT = {"university hall": 46, "car": 46, "house": 36, "castle": 38, "horse": 34, "flower": 12, "cat": 26}


class Stand:
    """Where the subject stands, in units: the middle of its base, and its scale."""

    def __init__(self, subject: str, rng: random.Random) -> None:
        self.subject = subject
        self.x = 64 + rng.uniform(-7, 7)
        self.ground = rng.uniform(105, 110)
        self.y = self.ground - _LIFT.get(subject, 0.0)
        self.scale = rng.uniform(0.95, 1.1)
        if self.reach > 40:
            self.x = 64 + (self.x - 64) * 0.6

    @property
    def reach(self) -> float:
        """Half the width of what touches the ground."""
        return _FOOTPRINT.get(self.subject, 22) * self.scale

    @property
    def floats(self) -> bool:
        return self.subject in _AFLOAT


def draw_subject(canvas: Canvas, stand: Stand, colours: Palette, rng: random.Random) -> None:
    _draw_shadow(canvas, stand, colours)
    pen = canvas.pen(SUBJECT, (stand.x, stand.y), stand.scale)
    _DRAW[stand.subject](pen, colours, rng)


def _draw_shadow(canvas: Canvas, stand: Stand, colours: Palette) -> None:
    if stand.floats:
        return
    pixel = (round(stand.x * canvas.scale), round((stand.ground + 1) * canvas.scale))
    shadow = mix(canvas.image.getpixel(pixel), (24, 28, 52), 0.28)
    canvas.pen().ellipse(stand.x, stand.ground + 1, stand.reach * 1.1, 3.6, shadow)
