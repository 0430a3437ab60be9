"""Which pictures are nearly the same: perceptual hashes of their colour channels, by imagehash.

A pHash (Krawetz 2011, "Looks like it") sees grey only, so that a red house and a green one would be the same picture;
the three channels' hashes together tell them apart.
"""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from imagehash import phash
from PIL import Image

MOST_BITS = 6
"""Of 64. Vignettes of two scenes differed in 14 at least (1,770 pairs); a JPEG of quality 60, three quarters of the
size, noise or a tenth more light changed 2 bits or none in most of 60, and up to 4, 4, 4 and 10."""
ROWS = 256  # compared with all at a time, to bound the memory

METHOD = f"imagehash {version('imagehash')}, pHash of each colour channel, at most {MOST_BITS} of 64 bits differ"


def fingerprint(picture: Image.Image) -> np.ndarray:
    """The pHashes of red, green and blue, bool (3, 64)."""
    return np.stack([phash(channel).hash.ravel() for channel in picture.convert("RGB").split()])


def near_duplicates(prints: Sequence[np.ndarray]) -> list[int]:
    """How many of the others each picture nearly is, by their fingerprints: no channel differs in over MOST_BITS."""
    signs = np.where(np.stack(prints), np.float32(1), np.float32(-1)).transpose(1, 0, 2)  # (3, n, 64)
    counts = []
    for start in range(0, len(prints), ROWS):
        differing = (64 - signs[:, start : start + ROWS] @ signs.transpose(0, 2, 1)) / 2
        counts += ((differing.max(0) <= MOST_BITS).sum(1) - 1).tolist()
    return counts
