"""Things that travel, drawn with the middle of their base at (0, 0)."""

import math
import random

from synth.vignettes.canvas import Pen
from synth.vignettes.palette import Palette, darker


def sailboat(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.polygon([(3, -14), (3, -72), (16, -46), (33, -14)], paint.main)
    pen.polygon([(3, -14), (3, -72), (8, -40), (13, -14)], paint.shade)
    pen.polygon([(-2, -14), (-2, -64), (-16, -38), (-29, -14)], paint.light)
    pen.polygon([(-2, -14), (-2, -64), (-6, -36), (-10, -14)], paint.main)
    pen.rect(-1.2, -78, 1.6, -8, colours.wood)
    pen.polygon([(1.6, -78), (12, -75), (1.6, -72)], paint.deep)
    pen.blob([(-35, -12), (0, -10), (37, -13), (30, -3), (24, 2), (-20, 2), (-29, -3)], colours.cream)
    pen.polygon([(-32.5, -6.5), (33.5, -6.5), (25, 2), (-22, 2)], paint.deep)


def hot_air_balloon(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    for share, tone in ((1, paint.main), (0.68, paint.light), (0.36, paint.main)):
        pen.polygon(_envelope(-share, share), tone)
    pen.polygon(_envelope(0.68, 1), paint.shade)
    for side in (-1, 1):
        pen.line([(side * 6.5, -17), (side * 6, -6)], 1.4, colours.wood)
    if colours.lit_windows:
        pen.ellipse(0, -13, 2.6, 4, (255, 222, 120))
    pen.polygon([(-7.5, -8), (7.5, -8), (6, 3), (-6, 3)], colours.wood)
    pen.rect(-8.5, -9.5, 8.5, -6, darker(colours.wood, 1.35))


def _envelope(left: float, right: float) -> list[tuple[float, float]]:
    """The part of the balloon between two shares of its half width: a ball of 30 units that narrows to a mouth."""
    outline = []
    for step in range(33):
        height = -79 + 63 * step / 32
        angle = math.acos(max(-1.0, (-49 - height) / 30))
        half_width = 30 * math.sin(angle) if height < -38 else 7 + 20.9 * ((-16 - height) / 22) ** 0.8
        outline.append((half_width, height))
    return [(left * width, y) for width, y in outline] + [(right * width, y) for width, y in outline[::-1]]


def rocket(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.blob([(-7, -10), (-8, -2), (0, 12), (8, -2), (7, -10)], (255, 150, 40))
    pen.blob([(-4, -10), (-4, -3), (0, 6), (4, -3), (4, -10)], (255, 232, 120))
    for side in (-1, 1):
        pen.polygon([(side * 10, -30), (side * 24, -8), (side * 24, 2), (side * 9, -9)], paint.deep)
    pen.polygon([(-10, -9), (-9, -4), (9, -4), (10, -9)], colours.stone)
    hull = [(-11, -8), (-14, -30), (-11, -54), (0, -78), (11, -54), (14, -30), (11, -8)]
    pen.blob(hull, paint.main)
    pen.blob([(4, -8), (6, -30), (5, -56), (1, -77), (11, -54), (14, -30), (11, -8)], paint.shade)
    pen.blob([(-9.4, -60), (0, -79), (9.4, -60), (0, -57)], paint.deep)
    pen.circle(0, -42, 8, colours.cream)
    pen.circle(0, -42, 5.6, colours.window if colours.lit_windows else colours.on_subject((110, 190, 232)))
    pen.rect(-13.2, -21, 13.2, -16.5, colours.cream)
    pen.polygon([(-2.4, -16), (2.4, -16), (2, 2), (-2, 2)], paint.deep)


def car(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.blob([(-27, -24), (-20, -40), (-6, -45), (10, -44), (20, -38), (28, -24)], paint.main)
    body = [(-43, -8), (-43, -20), (-36, -27), (0, -28), (28, -26), (42, -20), (44, -8), (30, -6), (-30, -6)]
    pen.blob(body, paint.main)
    pen.polygon([(-42, -13), (43.5, -13), (43.5, -6), (-42, -6)], paint.shade)
    pen.blob([(-21, -26), (-16, -37), (-7, -40), (-1.5, -40), (-1.5, -26)], colours.glass)
    pen.blob([(3, -26), (3, -40), (10, -39), (16, -35), (21, -26)], colours.glass)
    pen.rect(-44, -10, 45, -6, colours.on_subject((84, 86, 98)))
    for x in (-24, 25):
        pen.circle(x, -6, 11, paint.deep)
        pen.circle(x, -5, 9.6, colours.on_subject((42, 42, 52)))
        pen.circle(x, -5, 4.8, colours.on_subject((212, 214, 220)))
    pen.ellipse(41, -18, 3, 3.4, (255, 244, 180))
    pen.rect(-44, -20, -40.5, -15, colours.on_subject((168, 30, 40)))
    pen.line([(6, -22), (12, -22)], 1.8, paint.deep)
