"""Draws a vignette: the picture of a scene, the same at any size for the same seed."""

import random
from collections.abc import Callable

from PIL import Image

from synth.vignettes.attributes import Scene
from synth.vignettes.canvas import Canvas
from synth.vignettes.palette import Palette
from synth.vignettes.places import Setting, draw_place
from synth.vignettes.skies import draw_sky
from synth.vignettes.styles import LINE_STYLES, apply_style
from synth.vignettes.subjects import Stand, draw_subject

SMALLEST, LARGEST, STEP = 64, 1024, 8
Finish = Callable[[Canvas, Scene, int, random.Random], Image.Image]


def draw(scene: Scene, seed: int, size: int = 128, *, finish: Finish = apply_style) -> Image.Image:
    """The scene as an RGB picture of `size` x `size` pixels.

    The seed alone decides the composition, each part of it from its own stream of random numbers: so another size,
    weather or style shows the same picture in another guise. finish: turns the painted canvas into the picture, by
    default in the scene's style.
    """
    if not SMALLEST <= size <= LARGEST or size % STEP:
        raise ValueError(f"size must be a multiple of {STEP} from {SMALLEST} to {LARGEST}, not {size}")
    seeds = random.Random(seed)
    stand_rng, sky_rng, place_rng, subject_rng, style_rng = (random.Random(seeds.getrandbits(64)) for _ in range(5))
    canvas = Canvas(size * _supersampling(scene.style, size))
    colours = Palette(scene, in_lines=scene.style in LINE_STYLES)
    stand = Stand(scene.subject, stand_rng)
    horizon = stand_rng.uniform(75, 82)
    sun_x, _ = draw_sky(canvas, scene.place, horizon, colours, sky_rng)
    draw_place(scene.place, Setting(canvas, colours, horizon, sun_x, stand), place_rng)
    draw_subject(canvas, stand, colours, subject_rng)
    return finish(canvas, scene, size, style_rng)


def _supersampling(style: str, size: int) -> int:
    """Plain shapes show their stairs at small sizes; filters hide them."""
    return 3 if style == "flat illustration" and size <= 128 else 2
