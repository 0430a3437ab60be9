"""Large pictures in tiles: each is enlarged by itself and fades into its neighbours, so that no seam is seen.

Memory holds the result (3 bytes a pixel) and one row of tiles, whatever the size of the picture.
"""

from collections.abc import Callable

import numpy as np

TILE, OVERLAP = 128, 32  # pixels of the picture before it is enlarged
STEP = 8  # sides and places are multiples of it: the windows of Swin2SR, and what a UNet can halve three times

Enlarge = Callable[[np.ndarray, int, int], np.ndarray]
"""A piece, uint8 (h, w, 3), with its top and left, to float32 (scale h, scale w, 3) from 0 to 255."""


def tiled(
    picture: np.ndarray,
    enlarge: Enlarge,
    scale: int,
    *,
    tile: int = TILE,
    overlap: int = OVERLAP,
    on_tile: Callable[[], None] | None = None,
) -> np.ndarray:
    """A picture, uint8 (H, W, 3), at `scale` times its size, uint8.

    tile, overlap: in pixels, multiples of 8. `on_tile()` is called after each of `count` tiles. The picture is mirrored
    at its right and lower border up to the next multiple of 8, and cut again in the end.
    """
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="symmetric")
    tops, lefts = (_starts(side, tile, overlap) for side in padded.shape[:2])
    whole = np.zeros((scale * padded.shape[0], scale * padded.shape[1], 3), np.uint8)
    for top in tops:
        row = np.zeros((scale * len(padded[top : top + tile]), whole.shape[1], 3), np.float32)
        for left in lefts:
            piece = enlarge(padded[top : top + tile, left : left + tile], top, left)
            _lay(piece.swapaxes(0, 1), row.swapaxes(0, 1), scale * left, scale * overlap)
            if on_tile:
                on_tile()
        _lay(row, whole, scale * top, scale * overlap)
    return whole[: scale * height, : scale * width]


def count(height: int, width: int, tile: int = TILE, overlap: int = OVERLAP) -> int:
    """How many tiles a picture of that size has."""
    tops, lefts = (_starts(side + -side % STEP, tile, overlap) for side in (height, width))
    return len(tops) * len(lefts)


def _starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin, evenly spread in multiples of 8, each overlapping the one before by `overlap` or more.

    >>> _starts(128, 128, 32), _starts(136, 128, 32), _starts(360, 128, 32)
    ([0], [0, 8], [0, 72, 152, 232])
    """
    if side <= tile:
        return [0]
    number = -((overlap - side) // (tile - overlap))
    return [(side - tile) * index // (number - 1) // STEP * STEP for index in range(number)]


def _lay(piece: np.ndarray, under: np.ndarray, start: int, overlap: int) -> None:
    """Lay a piece over an array's rows from `start` on.

    It fades in over the middle half of the overlap: what lies nearer to a tile's border than a quarter of it saw too
    little of its surroundings, and is dropped.
    """
    part = under[start : start + len(piece)]
    place = np.arange(len(piece), dtype=np.float32)[:, None, None] + 0.5
    share = ((place - overlap / 4) / (overlap / 2)).clip(0, 1) if start else 1
    mixed = part * (1 - share) + piece * share
    part[...] = mixed if under.dtype != np.uint8 else mixed.clip(0, 255).round()
