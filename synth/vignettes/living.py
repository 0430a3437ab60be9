"""Living things (an astronaut among them), drawn with the middle of their base at (0, 0) and about 76 units tall."""

import math
import random

from synth.vignettes.canvas import Colour, Pen
from synth.vignettes.palette import Palette, darker


def tree(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.blob([(-9, 1), (-4.5, -10), (-4, -34), (4, -34), (4.5, -10), (9, 1)], colours.wood)
    pen.line([(0, -20), (14, -36)], 3.4, colours.wood)
    pen.line([(0, -20), (-14, -36)], 3.4, colours.wood)
    crown = ((-19, -40, 14), (19, -41, 14), (-13, -55, 15), (13, -56, 15), (0, -65, 14), (0, -44, 16))
    for x, y, radius in crown:
        pen.circle(x + 1.5, y + 2, radius, paint.shade)
    for x, y, radius in crown:
        pen.circle(x - 1, y - 1.6, radius * 0.88, paint.main)
    for x, y, radius in ((-15, -59, 6), (-1, -69, 6), (-22, -43, 5)):
        pen.ellipse(x, y, radius, radius * 0.8, paint.light)


def flower(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    stem = colours.on_subject((52, 128, 66))
    pen.limb([(0, 0, 2.2), (-2, -20, 2), (0, -46, 1.8)], stem)
    pen.blob([(-1, -8), (-10, -24), (-25, -28), (-19, -13)], stem)
    pen.blob([(-1, -12), (9, -29), (24, -33), (18, -17)], darker(stem, 1.22))
    turn = math.radians(rng.uniform(-12, 12))
    for offset, reach, tone in ((math.pi / 8, 26.5, paint.shade), (0, 26, paint.main)):
        for petal in range(8):
            _petal(pen, turn + offset + petal * math.pi / 4, reach, tone)
    heart = (122, 74, 44) if colours.colour in ("yellow", "orange") else (250, 196, 50)
    pen.circle(0, -53, 8.4, colours.on_subject(darker(heart, 0.8)))
    pen.circle(-0.8, -53.8, 6.8, colours.on_subject(heart))


def _petal(pen: Pen, angle: float, reach: float, colour: Colour) -> None:
    cos, sin = math.cos(angle), math.sin(angle)
    shape = ((0.1, 0), (0.5, 0.16), (0.82, 0.28), (1.0, 0), (0.82, -0.28), (0.5, -0.16))
    pen.blob([(reach * (u * cos - v * sin), -53 + reach * (u * sin + v * cos)) for u, v in shape], colour)


def cat(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.limb([(12, -5, 5), (26, -4, 5), (35, -13, 4.6), (33, -26, 4.4), (27, -31, 4)], paint.shade)
    pen.circle(27, -31, 4.2, paint.deep)
    body = [(0, -46), (12, -40), (20, -22), (22, -6), (15, 0), (-15, 0), (-22, -6), (-20, -22), (-12, -40)]
    pen.blob(body, paint.main)
    pen.blob([(12, -38), (20, -22), (22, -6), (15, 0), (9, -2), (13, -20)], paint.shade)
    pen.blob([(0, -38), (8, -30), (8, -16), (0, -10), (-8, -16), (-8, -30)], paint.light)
    for side in (-1, 1):
        pen.limb([(side * 5.5, -22, 4.4), (side * 6.2, -5, 4.6)], paint.main)
        pen.ellipse(side * 7, -2.6, 6.6, 3.6, paint.light)
    pen.line([(0, -20), (0, -2)], 1.6, paint.deep)
    for side in (-1, 1):
        pen.polygon([(side * 19, -54), (side * 18, -79), (side * 3, -66)], paint.main)
        pen.polygon([(side * 16, -60), (side * 15.6, -73), (side * 7, -65.5)], paint.deep)
    pen.ellipse(0, -54, 20.5, 16, paint.main)
    _cat_face(pen, colours)


def _cat_face(pen: Pen, colours: Palette) -> None:
    paint = colours.paint
    pen.ellipse(0, -47.5, 8.5, 6, paint.light)
    for side in (-1, 1):
        pen.ellipse(side * 8.6, -56, 4, 4.8, colours.cream)
        pen.ellipse(side * 8.2, -56, 2.4, 4.2, colours.dark)
        for rise in (-2, 1.5):
            pen.line([(side * 8, -48 + rise * 0.4), (side * 27, -48 + rise * 2)], 1.1, colours.dark)
    pen.polygon([(-2.8, -51), (2.8, -51), (0, -47.6)], colours.dark)
    pen.line([(0, -48), (0, -45.4)], 1.2, colours.dark)


def horse(pen: Pen, colours: Palette, rng: random.Random) -> None:
    """Side view, looking right, with one foreleg raised."""
    paint = colours.paint
    hoof = colours.dark
    pen.blob([(-25, -44), (-34, -44), (-41, -30), (-40, -10), (-35, -7), (-34, -22), (-28, -34)], paint.deep)
    far_legs = (
        [(-13, -30, 7), (-11, -18, 4), (-13, -3, 2.8)],
        [(19, -30, 6), (29, -24, 4), (27, -11, 2.8)],
    )
    for joints in far_legs:
        pen.limb(joints, paint.shade)
        pen.circle(*joints[-1], hoof)
    near_legs = (
        [(-20, -34, 9), (-26, -19, 4.6), (-23, -3, 3)],
        [(16, -31, 7.4), (16, -17, 4), (15, -3, 3)],
    )
    for joints in near_legs:
        x, y, _ = joints[-1]
        pen.limb(joints, paint.main)
        pen.polygon([(x - 3.2, y - 2), (x + 3.2, y - 2), (x + 5, y + 3), (x - 3.8, y + 3)], hoof)
    body = [
        (-29, -38), (-26, -46), (-14, -48), (0, -45), (10, -48), (17, -57), (23, -67), (29, -73),
        (35, -71), (40, -63), (46, -55), (45, -49), (39, -48), (33, -53), (29, -51), (27, -42),
        (24, -32), (16, -25), (2, -23), (-12, -23), (-24, -27),
    ]  # fmt: skip
    pen.blob(body, paint.main)
    pen.blob([(24, -33), (16, -25), (2, -23), (-12, -23), (-20, -26), (-8, -28), (8, -28)], paint.shade)
    pen.polygon([(28, -71), (29, -81), (35, -71)], paint.main)
    mane = [(30, -76), (23, -72), (14, -62), (6, -48), (11, -44), (18, -50), (24, -59), (29, -67), (34, -68)]
    pen.blob(mane, paint.deep)
    pen.circle(36.5, -64, 1.6, colours.dark)


def astronaut(pen: Pen, colours: Palette, rng: random.Random) -> None:
    """Standing and waving, in a suit of the named colour."""
    paint = colours.paint
    pack = colours.on_subject((176, 182, 196))
    pen.blob([(-19, -54), (19, -54), (21, -40), (19, -26), (-19, -26), (-21, -40)], pack)
    for side, tone in ((-1, paint.main), (1, paint.shade)):
        pen.limb([(side * 8, -30, 7.6), (side * 9.5, -16, 7), (side * 10, -6, 6.4)], tone)
        pen.blob([(side * 3, -9), (side * 17, -9), (side * 19, 0), (side * 3, 0)], paint.deep)
    pen.limb([(-14, -47, 6.4), (-24, -38, 5.8), (-26, -28, 5.2)], paint.main)
    pen.circle(-26.4, -25, 5.4, colours.cream)
    pen.limb([(14, -47, 6.4), (27, -47, 5.8), (31, -59, 5.2)], paint.shade)
    pen.circle(31.6, -63, 5.4, colours.cream)
    pen.blob([(-15, -50), (0, -54), (15, -50), (17, -38), (15, -26), (0, -24), (-15, -26), (-17, -38)], paint.main)
    pen.rect(-8, -42, 8, -31, colours.cream)
    pen.circle(-4, -36.5, 2.2, paint.deep)
    pen.rect(0.5, -38.5, 6, -34.5, colours.window)
    pen.circle(0, -62, 18, paint.main)
    pen.ellipse(0, -61, 14.6, 12.8, colours.cream)
    pen.ellipse(0, -61, 12.6, 10.8, colours.on_subject((34, 44, 74)))
    pen.blob([(-8.5, -62), (-6, -68), (0, -69.6), (-3, -66), (-5, -60)], colours.on_subject((150, 196, 226)))
