"""Sharpness and colourfulness have the values that their formulas give by hand."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from synth.measure.look import colourfulness, sharpness


def test_one_white_dot_is_as_sharp_as_its_laplacian_says():
    dot = Image.new("L", (9, 9))
    dot.putpixel((4, 4), 255)
    assert sharpness(dot) == pytest.approx((4**2 + 4 * 1) * 255**2 / 81)


def test_stripes_are_as_sharp_as_their_laplacian_says_up_to_the_edge():
    stripes = np.tile(np.array([0, 200], np.uint8), (6, 4))
    assert sharpness(Image.fromarray(stripes)) == pytest.approx(400**2)  # 400 in the black ones, -400 in the white


def test_flat_is_not_sharp_and_blur_makes_less_so():
    noise = Image.effect_noise((64, 64), 50).convert("RGB")
    assert sharpness(Image.new("RGB", (20, 30), "orange")) == 0
    assert sharpness(noise) > 3 * sharpness(noise.filter(ImageFilter.GaussianBlur(1))) > 0


def test_grey_has_no_colour_and_plain_red_has_that_of_its_mean():
    assert colourfulness(Image.effect_noise((32, 32), 60).convert("RGB")) == pytest.approx(0)
    assert colourfulness(Image.new("RGB", (5, 5), (255, 0, 0))) == pytest.approx(0.3 * np.hypot(255, 127.5))


def test_half_red_half_blue_is_as_colourful_as_the_formula_says():
    halves = Image.new("RGB", (8, 8), (255, 0, 0))
    halves.paste((0, 0, 255), (4, 0, 8, 8))
    # red - green: 255 and 0; (red + green) / 2 - blue: 127.5 and -255
    deviations, means = np.hypot(127.5, 191.25), np.hypot(127.5, 63.75)
    assert colourfulness(halves) == pytest.approx(deviations + 0.3 * means)


def test_what_is_no_rgb_is_measured_too():
    assert colourfulness(Image.new("L", (4, 4), 9)) == 0
    assert sharpness(Image.new("RGBA", (4, 4))) == 0
