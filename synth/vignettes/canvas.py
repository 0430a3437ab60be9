"""A canvas measured in units (1/128 of the side), which also remembers what each pixel belongs to."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

UNITS = 128
SCENERY, LIGHTS, SUBJECT = 0, 128, 255


class Canvas:
    """A square picture and, beside it, a label for each pixel: scenery, lights in the sky, or the subject."""

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self.scale = pixels / UNITS
        self.image = Image.new("RGB", (pixels, pixels))
        self.labels = Image.new("L", (pixels, pixels), SCENERY)

    def pen(self, label: int = SCENERY, origin: Point = (0, 0), scale: float = 1.0) -> "Pen":
        """A pen whose coordinates start at `origin` and are `scale` units long."""
        return Pen(self, label, origin, scale)

    def mask(self, label: int) -> Image.Image:
        """White where the pixels bear the label, black elsewhere."""
        return self.labels.point([255 if value == label else 0 for value in range(256)])


class Pen:
    """Draws on a canvas in local coordinates: x to the right, y downwards."""

    def __init__(self, canvas: Canvas, label: int, origin: Point, scale: float) -> None:
        self._origin = origin
        self._factor = canvas.scale
        self.scale = scale
        self._colours = ImageDraw.Draw(canvas.image)
        self._labels = ImageDraw.Draw(canvas.labels)
        self._label = label

    def _place(self, points: Sequence[Point]) -> list[Point]:
        x0, y0 = self._origin
        return [((x0 + x * self.scale) * self._factor, (y0 + y * self.scale) * self._factor) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        placed = self._place(points)
        self._colours.polygon(placed, fill=colour)
        self._labels.polygon(placed, fill=self._label)

    def rect(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        box = self._place([(x - rx, y - ry), (x + rx, y + ry)])
        self._colours.ellipse(box, fill=colour)
        self._labels.ellipse(box, fill=self._label)

    def circle(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self.ellipse(x, y, radius, radius, colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        placed = self._place(points)
        pixels = max(1, round(width * self.scale * self._factor))
        self._colours.line(placed, fill=colour, width=pixels, joint="curve")
        self._labels.line(placed, fill=self._label, width=pixels, joint="curve")

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """A smooth closed shape through the points."""
        self.polygon(smooth(points, closed=True), colour)

    def limb(self, joints: Sequence[tuple[float, float, float]], colour: Colour) -> None:
        """A smooth limb through joints (x, y, radius), round at both ends."""
        path = smooth(joints, closed=False)
        left, right = [], []
        for i, (x, y, radius) in enumerate(path):
            (x0, y0, _), (x1, y1, _) = path[max(0, i - 1)], path[min(len(path) - 1, i + 1)]
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            dx, dy = (y0 - y1) / length * radius, (x1 - x0) / length * radius
            left.append((x + dx, y + dy))
            right.append((x - dx, y - dy))
        self.polygon(left + right[::-1], colour)
        for x, y, radius in (joints[0], joints[-1]):
            self.circle(x, y, radius, colour)


def smooth(points: Sequence[tuple[float, ...]], closed: bool, steps: int = 6) -> list[tuple[float, ...]]:
    """The points joined by a Catmull-Rom spline of `steps` pieces between neighbours."""
    count = len(points)
    last = count - 1

    def at(i: int) -> tuple[float, ...]:
        return points[i % count] if closed else points[min(max(i, 0), last)]

    path = []
    for i in range(count if closed else last):
        before, start, end, after = at(i - 1), at(i), at(i + 1), at(i + 2)
        for step in range(steps):
            t = step / steps
            path.append(tuple(_spline(t, *values) for values in zip(before, start, end, after, strict=True)))
    if not closed:
        path.append(tuple(points[last]))
    return path


def _spline(t: float, a: float, b: float, c: float, d: float) -> float:
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
