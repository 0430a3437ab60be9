"""The picture world: deterministic, the same at every size, and every attribute shows."""

import dataclasses
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synth.vignettes.attributes import ATTRIBUTES, COLOURS, PLACES, STYLES, SUBJECTS, TIMES, WEATHERS, Scene
from synth.vignettes.palette import PAINTS
from synth.vignettes.sheet import contact_sheet
from synth.vignettes.world import draw

PLAIN = Scene("house", "red", "hills", "noon", "clear", "flat illustration")

scenes = st.builds(Scene, **{name: st.sampled_from(values) for name, values in ATTRIBUTES.items()})


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)


def differing(first: Image.Image, second: Image.Image) -> float:
    """Mean difference of two pictures on the scale of 0 to 255."""
    return float(np.abs(pixels(first) - pixels(second)).mean())


@settings(max_examples=40, deadline=None)
@given(scene=scenes, seed=st.integers(0, 2**63))
def test_every_scene_is_drawn_twice_alike(scene, seed):
    first, second = draw(scene, seed, 64), draw(scene, seed, 64)
    assert (first.mode, first.size) == ("RGB", (64, 64))
    assert first.tobytes() == second.tobytes()


def test_other_processes_draw_the_same_bytes_and_the_global_generator_is_not_touched():
    program = (
        "import hashlib; from test_world import PLAIN, draw, styled;"
        "print(hashlib.sha256(b''.join(draw(s, 5, 64).tobytes() for s in styled())).hexdigest())"
    )
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    environments = [{**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path} for seed in "12"]
    digests = {
        subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True).stdout
        for env in environments
    }
    assert len(digests) == 1
    random.seed(1)
    before = random.getstate()
    draw(PLAIN, 5, 64)
    assert random.getstate() == before


def styled() -> list[Scene]:
    """One scene of each style, with the other attributes as varied as six scenes allow."""
    return [
        Scene(SUBJECTS[2 * i], COLOURS[i], PLACES[i], TIMES[i % 4], WEATHERS[i % 4], style)
        for i, style in enumerate(STYLES)
    ]


GOLDEN = {
    "flat illustration": (214, 177, 201, 208, 172, 194, 178, 144, 157, 177, 147, 159),
    "watercolor": (165, 179, 190, 173, 187, 201, 151, 179, 143, 155, 182, 149),
    "pencil sketch": (187, 144, 121, 194, 149, 119, 213, 166, 110, 214, 168, 109),
    "pixel art": (63, 100, 103, 77, 108, 115, 78, 98, 120, 75, 96, 119),
    "blueprint": (122, 133, 199, 125, 136, 200, 137, 134, 188, 138, 134, 187),
    "neon": (41, 71, 107, 43, 71, 107, 38, 61, 95, 32, 59, 90),
}


@pytest.mark.parametrize("scene", styled(), ids=lambda scene: scene.style)
def test_golden_colours(scene):
    """Mean colours of a 2 x 2 division: they move when the picture does, but not with a library's rounding."""
    means = pixels(draw(scene, 11).resize((2, 2), Image.BOX)).reshape(-1)
    np.testing.assert_allclose(means, GOLDEN[scene.style], atol=3)


@pytest.mark.parametrize("scene", styled(), ids=lambda scene: scene.style)
def test_composition_does_not_depend_on_the_size(scene):
    small = draw(scene, 3, 128)
    same, other = (draw(scene, seed, 256).resize((128, 128), Image.BOX) for seed in (3, 4))
    assert differing(small, same) < 7
    assert differing(small, same) < 0.6 * differing(small, other)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("attribute", [name for name in ATTRIBUTES if name != "style"])
def test_every_value_changes_the_picture_in_every_style(attribute, style):
    base = dataclasses.replace(PLAIN, style=style)
    pictures = [draw(dataclasses.replace(base, **{attribute: value}), 2, 64) for value in ATTRIBUTES[attribute]]
    for i, picture in enumerate(pictures):
        assert all(differing(picture, other) > 1.5 for other in pictures[:i])


def test_styles_differ():
    pictures = [draw(dataclasses.replace(PLAIN, style=style), 2, 64) for style in STYLES]
    assert all(differing(a, b) > 5 for i, a in enumerate(pictures) for b in pictures[:i])


@pytest.mark.parametrize("colour", PAINTS)
@pytest.mark.parametrize("time", ATTRIBUTES["time"])
def test_the_paint_stays_nearest_to_its_own_name(colour, time):
    """On the body of a car, in all hours: the named colour is the nearest of the eight."""
    scene = Scene("car", colour, "city", time, "clear", "flat illustration")
    names = list(PAINTS)
    paints = np.array([PAINTS[name].main for name in names], np.float32)
    picture = pixels(draw(scene, 9))[70:112, 20:108].reshape(-1, 3)
    nearest = np.linalg.norm(picture[:, None] - paints[None], axis=2)
    sure = nearest.min(1) < 45
    counts = np.bincount(nearest[sure].argmin(1), minlength=len(names))
    assert names[int(counts.argmax())] == colour


@pytest.mark.parametrize("size", [0, -8, 56, 63, 100, 130, 1032])
def test_wrong_sizes_are_refused(size):
    with pytest.raises(ValueError, match="multiple of 8 from 64 to 1024"):
        draw(PLAIN, 1, size)


@pytest.mark.parametrize("size", [64, 72, 200, 1024])
def test_unusual_sizes_are_drawn(size):
    for style in ("pixel art", "neon"):
        assert draw(dataclasses.replace(PLAIN, style=style), 1, size).size == (size, size)


def test_contact_sheet_holds_every_picture_with_its_caption():
    images = [draw(scene, 1, 64) for scene in styled()[:3]]
    sheet = contact_sheet(images, ["one", "two", "a rather long caption of many words"], columns=2)
    assert sheet.width == 2 * (64 + 8) + 8
    assert sheet.crop((8, 8, 72, 72)).tobytes() == images[0].tobytes()
    with pytest.raises(ValueError, match="one caption for each picture"):
        contact_sheet(images, ["one"], columns=2)
    with pytest.raises(ValueError, match="at least one column"):
        contact_sheet(images, ["a", "b", "c"], columns=0)
