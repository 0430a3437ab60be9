"""Tiles: nothing is lost, no seam is seen, and memory doesn't grow with the picture."""

import tracemalloc

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from transformers import Swin2SRForImageSuperResolution

from synth.edit.tiles import count, tiled
from synth.edit.upscalers import Swin2sr


def repeated(piece: np.ndarray, top: int, left: int) -> np.ndarray:
    """Twice the size, pixel by pixel."""
    return piece.repeat(2, axis=0).repeat(2, axis=1).astype(np.float32)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([(32, 8), (64, 16), (64, 32)]))
def test_what_looks_at_no_neighbour_is_the_same_in_tiles(height, width, how):
    picture, calls, (tile, overlap) = noise(height, width), [], how
    made = tiled(picture, repeated, 2, tile=tile, overlap=overlap, on_tile=lambda: calls.append(1))
    assert np.array_equal(made, repeated(picture, 0, 0))
    assert len(calls) == count(height, width, tile, overlap)


@given(st.integers(1, 300), st.integers(1, 300))
def test_pieces_are_whole_tiles_at_multiples_of_8_and_tell_where_they_were(height, width):
    picture = noise(height, width)
    padded = np.pad(picture, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="symmetric")

    def look(piece: np.ndarray, top: int, left: int) -> np.ndarray:
        assert top % 8 == left % 8 == 0
        assert piece.shape[:2] == (min(64, padded.shape[0]), min(64, padded.shape[1]))
        assert np.array_equal(piece, padded[top : top + 64, left : left + 64])
        return piece.astype(np.float32)

    assert np.array_equal(tiled(picture, look, 1, tile=64, overlap=16), picture)


def test_what_looks_8_pixels_far_is_the_same_in_tiles_as_in_the_whole():
    """A quarter of the overlap is dropped at each border; what is left saw all that it needed."""
    picture = noise(120, 136)

    def blurred(piece: np.ndarray, top: int, left: int) -> np.ndarray:
        image = Image.fromarray(piece).filter(ImageFilter.BoxBlur(8))
        return np.asarray(image, np.float32)

    whole = tiled(picture, blurred, 1, tile=1024)
    assert np.array_equal(tiled(picture, blurred, 1, tile=64, overlap=32), whole)


def test_tiles_that_disagree_fade_into_each_other():
    """Even where each tile came out in another brightness, no two neighbouring pixels differ by more than a little."""
    shades = iter(range(0, 240, 20))
    made = tiled(
        np.zeros((64, 352, 3), np.uint8), lambda piece, y, x: np.full(piece.shape, next(shades), np.float32), 1
    )
    assert made.max() - made.min() >= 60
    assert np.abs(np.diff(made[0, :, 0].astype(int))).max() <= 2


def test_memory_is_that_of_the_result_and_of_one_row():
    picture = np.zeros((4096, 256, 3), np.uint8)
    tracemalloc.start()
    made = tiled(picture, repeated, 2, tile=64, overlap=16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.4 * made.nbytes + picture.nbytes


def test_torch_is_not_asked_for_gradients(tiny_swin):
    upscaler = Swin2sr(Swin2SRForImageSuperResolution.from_pretrained(tiny_swin).eval())
    assert torch.is_grad_enabled()
    assert upscaler(noise(8, 8)).shape == (16, 16, 3)
