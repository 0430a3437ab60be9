"""Buildings, drawn with the middle of their base at (0, 0) and about 76 units tall."""

import math
import random

from synth.vignettes.canvas import Colour, Pen
from synth.vignettes.palette import Palette, darker


def house(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.rect(11, -68, 20, -44, paint.deep)
    pen.rect(9.5, -70, 21.5, -66, colours.stone)
    pen.polygon([(-29, 0), (-29, -36), (0, -64), (29, -36), (29, 0)], paint.main)
    pen.polygon([(10, 0), (10, -55), (29, -36), (29, 0)], paint.shade)
    pen.polygon([(-37, -32), (0, -69), (0, -60), (-32, -28)], colours.slate)
    pen.polygon([(37, -32), (0, -69), (0, -60), (32, -28)], darker(colours.slate, 0.8))
    for left in (-23, 11):
        pen.rect(left - 1.5, -27.5, left + 13.5, -12.5, colours.cream)
        pen.rect(left, -26, left + 12, -14, colours.window)
        pen.rect(left + 5.2, -26, left + 6.8, -14, colours.cream)
    pen.circle(0, -44, 6, colours.cream)
    pen.circle(0, -44, 4.4, colours.window)
    pen.rect(-7, -23, 7, 0, colours.cream)
    pen.rect(-5, -21, 5, 0, colours.dark)
    pen.circle(2.6, -10, 1.2, (250, 220, 120))
    pen.rect(-31, -3, 31, 0, colours.stone)


def castle(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.rect(-10, -54, 10, -20, paint.main)
    pen.rect(3, -54, 10, -20, paint.shade)
    pen.polygon([(-13, -53), (0, -75), (13, -53)], paint.deep)
    pen.line([(0, -75), (0, -84)], 1.4, colours.dark)
    pen.polygon([(0, -84), (10, -80.5), (0, -77)], (250, 214, 80))
    pen.rect(-2.5, -48, 2.5, -39, colours.window)
    for left in range(-24, 20, 9):
        pen.rect(left, -37, left + 5.5, -30, paint.main)
    pen.rect(-26, -32, 26, 0, paint.main)
    for left in (-36, 22):
        pen.rect(left, -46, left + 14, 0, paint.main)
        pen.rect(left + 8, -46, left + 14, 0, paint.shade)
        pen.polygon([(left - 3, -45), (left + 7, -66), (left + 17, -45)], paint.deep)
        pen.rect(left + 4.6, -38, left + 9.4, -28, colours.window)
    pen.rect(-8.5, -14, 8.5, 0, colours.dark)
    pen.circle(0, -14, 8.5, colours.dark)


def lighthouse(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pale = paint.shade if colours.colour == "white" else colours.cream
    foot, narrowing, top = 13.0, 6.0, -58.0

    def band(start: float, end: float, left: float, right: float, colour: Colour) -> None:
        near, far = foot - narrowing * start, foot - narrowing * end
        low, high = top * start, top * end
        pen.polygon([(left * near, low), (right * near, low), (right * far, high), (left * far, high)], colour)

    band(0, 1, -1, 1, paint.main)
    band(0, 1, 0.3, 1, paint.shade)
    for start in (0.26, 0.64):
        band(start, start + 0.16, -1, 1, pale)
        band(start, start + 0.16, 0.3, 1, darker(pale, 0.84))
    pen.rect(-10.5, -61, 10.5, -57.5, colours.dark)
    pen.rect(-6, -71, 6, -61, (255, 242, 160) if colours.lit_windows else colours.glass)
    pen.rect(-0.8, -71, 0.8, -61, colours.dark)
    pen.polygon([(-9, -70), (0, -81), (9, -70)], paint.main)
    pen.polygon([(1, -70), (0, -81), (9, -70)], paint.deep)
    pen.rect(-4, -12, 4, 0, colours.dark)
    pen.rect(-2.2, -33, 2.2, -27, colours.window)
    pen.rect(-17, -3, 17, 1, colours.stone)


def windmill(pen: Pen, colours: Palette, rng: random.Random) -> None:
    paint = colours.paint
    pen.polygon([(-19, 0), (-11, -50), (11, -50), (19, 0)], paint.main)
    pen.polygon([(5, 0), (3.4, -50), (11, -50), (19, 0)], paint.shade)
    pen.ellipse(0, -50, 12.5, 11, paint.deep)
    pen.rect(-5, -15, 5, 0, colours.dark)
    pen.rect(-3.2, -34, 3.2, -25, colours.window)
    turn = math.radians(rng.uniform(30, 60))
    for quarter in range(4):
        _sail(pen, colours, turn + quarter * math.pi / 2)
    pen.circle(0, -50, 3.6, colours.wood)


def _sail(pen: Pen, colours: Palette, angle: float) -> None:
    cos, sin = math.cos(angle), math.sin(angle)

    def at(along: float, across: float) -> tuple[float, float]:
        return along * cos - across * sin, -50 + along * sin + across * cos

    pen.polygon([at(9, 0), at(36, 0), at(36, 10), at(9, 7)], colours.cream)
    pen.polygon([at(9, 0), at(36, 0), at(36, 3), at(9, 2)], darker(colours.cream, 0.84))
    pen.line([at(0, 0), at(37, 0)], 2, colours.wood)


def university_hall(pen: Pen, colours: Palette, rng: random.Random) -> None:
    """A neoclassical hall: wings, wide steps, four columns under a pediment with a clock, a dome with a lantern."""
    paint = colours.paint
    white = colours.colour == "white"
    trim = paint.shade if white else colours.cream
    pen.rect(-13, -56, 13, -44, paint.main)
    pen.rect(4, -56, 13, -44, paint.shade)
    pen.ellipse(0, -56, 13, 15, paint.main)
    pen.blob([(4, -70), (10, -65), (13, -56), (4, -56)], paint.shade)
    pen.rect(-15, -57, 15, -54, trim)
    pen.rect(-3.5, -75, 3.5, -69, trim)
    pen.polygon([(-4.5, -75), (0, -82), (4.5, -75)], paint.deep)
    pen.rect(-42, -34, 42, -6, paint.main)
    pen.rect(28, -34, 42, -6, paint.shade)
    pen.rect(-44, -37, 44, -33, trim)
    for left in (-39, 32.5):
        pen.rect(left, -28, left + 6.5, -12, colours.window)
    pen.rect(-27, -36, 27, -6, paint.deep if white else paint.shade)
    pen.polygon([(-32, -38), (0, -56), (32, -38)], trim)
    pen.polygon([(-25, -39.5), (0, -53.5), (25, -39.5)], paint.main)
    pen.circle(0, -44.8, 5.4, trim)
    pen.line([(0, -48.6), (0, -44.8), (2.8, -44.8)], 1.5, colours.dark)
    pen.rect(-31, -38.5, 31, -34.5, trim)
    pen.rect(-4, -22, 4, -6, colours.dark)
    for x in (-24, -9.5, 9.5, 24):
        pen.rect(x - 2.9, -35, x + 2.9, -7, paint.main if white else trim)
        pen.rect(x + 1, -34.5, x + 2.9, -7, darker(trim, 0.86))
    for half_width, top, tone in ((34, -7, 1.0), (39, -4.4, 0.9), (44, -1.8, 0.8)):
        pen.rect(-half_width, top, half_width, 1, darker(trim, tone))
