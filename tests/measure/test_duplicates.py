"""Near-duplicates are copies that were saved anew, and not other scenes, colours or layouts."""

import io
from dataclasses import replace

import imagehash
import numpy as np
import pytest
from PIL import Image

from synth.measure import duplicates
from synth.measure.duplicates import fingerprint, near_duplicates
from synth.vignettes.dataset import picture_seed, scene_at
from synth.vignettes.world import draw

SCENES = [scene_at("held-out", index) for index in range(8)]


@pytest.fixture(scope="module")
def pictures():
    return [draw(scene, picture_seed("held-out", index), 128) for index, scene in enumerate(SCENES)]


def jpeg(picture: Image.Image) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=60)
    return Image.open(data)


def count(*pictures: Image.Image) -> list[int]:
    return near_duplicates([fingerprint(picture) for picture in pictures])


def test_other_scenes_are_none(pictures):
    assert count(*pictures) == [0] * len(pictures)


def test_a_picture_that_was_saved_anew_or_made_smaller_is_one(pictures):
    first, second, *others = pictures
    assert count(first, jpeg(first), first.resize((96, 96)), second, *others) == [2, 2, 2, 0] + [0] * len(others)


def test_another_colour_is_no_duplicate_though_its_grey_is():
    scene = replace(SCENES[0], colour="green", style="flat illustration", time="noon", weather="clear")
    green, red = (draw(replace(scene, colour=colour), 3, 128) for colour in ("green", "red"))
    assert count(green, red) == [0, 0]


def test_bits_are_those_of_imagehash_and_compared_as_it_compares(pictures, monkeypatch):
    monkeypatch.setattr(duplicates, "ROWS", 3)
    hashes = [[imagehash.phash(channel) for channel in picture.split()] for picture in pictures]
    assert (fingerprint(pictures[0])[1] == hashes[0][1].hash.ravel()).all()
    for bits in (6, 20, 26, 64):
        monkeypatch.setattr(duplicates, "MOST_BITS", bits)
        alike = [[max(a - b for a, b in zip(one, other, strict=True)) <= bits for other in hashes] for one in hashes]
        assert count(*pictures) == (np.sum(alike, axis=1) - 1).tolist()


def test_one_picture_has_no_duplicate(pictures):
    assert count(pictures[0].convert("L")) == [0]
