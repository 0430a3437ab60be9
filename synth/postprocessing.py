"""What is done to a picture's pixels after it was rendered, written as text: "sharpen=0.5 contrast=1.2".

The steps are part of a picture's job, so that they are recorded, swept and played again like any setting.
"""

import math
from typing import TYPE_CHECKING

from synth.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

# name: (how many numbers, lowest, highest, the value that changes nothing)
STEPS = {
    "sharpen": (1, 0.0, 5.0, 0.0),  # strength of an unsharp mask with a radius of 1 px
    "denoise": (1, 0.0, 4.0, 0.0),  # radius in pixels of a median filter
    "brightness": (1, 0.0, 3.0, 1.0),
    "contrast": (1, 0.0, 3.0, 1.0),  # around the picture's mean grey
    "saturation": (1, 0.0, 3.0, 1.0),
    "balance": (3, 0.0, 2.0, 1.0),  # gains of red, green and blue
}
FORM = "give steps such as sharpen=0.5 denoise=1 contrast=1.2 saturation=1.1 brightness=1 balance=1.1/1/0.9"


def check_postprocess(text: object) -> str:
    """The steps in their normal form; InputError for one that is unknown or out of its range."""
    if not isinstance(text, str):
        raise InputError("postprocess", text, FORM)
    steps = _parse(text)
    return " ".join(f"{name}={'/'.join(f'{number:g}' for number in numbers)}" for name, numbers in steps)


def postprocess(picture: "Image.Image", text: str) -> "Image.Image":
    """An RGB picture after the steps that a text names, in their order."""
    for name, numbers in _parse(text):
        if any(number != STEPS[name][3] for number in numbers):
            picture = _apply(picture, name, numbers)
    return picture


def _apply(picture: "Image.Image", name: str, numbers: tuple[float, ...]) -> "Image.Image":
    from PIL import Image, ImageEnhance, ImageFilter

    value = numbers[0]
    if name == "sharpen":
        return picture.filter(ImageFilter.UnsharpMask(radius=1, percent=round(100 * value), threshold=0))
    if name == "denoise":
        return picture.filter(ImageFilter.MedianFilter(2 * int(value) + 1))
    if name == "balance":
        bands = [
            band.point(lambda level, gain=gain: level * gain)
            for band, gain in zip(picture.split(), numbers, strict=True)
        ]
        return Image.merge("RGB", bands)
    enhancers = {
        "brightness": ImageEnhance.Brightness, "contrast": ImageEnhance.Contrast, "saturation": ImageEnhance.Color,
    }  # fmt: skip
    return enhancers[name](picture).enhance(value)


def _parse(text: str) -> list[tuple[str, tuple[float, ...]]]:
    return [_step(part, text) for part in text.split()]


def _step(part: str, text: str) -> tuple[str, tuple[float, ...]]:
    name, _, values = part.partition("=")
    if name not in STEPS:
        raise InputError("postprocess", text, FORM)
    count, low, high, _ = STEPS[name]
    try:
        numbers = tuple(float(value) for value in values.split("/"))
    except ValueError:
        raise InputError("postprocess", text, FORM) from None
    if name == "denoise" and any(number % 1 for number in numbers):
        raise InputError("postprocess", text, "give denoise a whole number of pixels, 0 to 4")
    if len(numbers) != count or not all(math.isfinite(number) and low <= number <= high for number in numbers):
        many = "a number" if count == 1 else f"{count} numbers with / between them"
        raise InputError("postprocess", text, f"give {name} {many} from {low:g} to {high:g}")
    return name, numbers
