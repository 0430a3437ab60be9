"""How a picture looks, whatever it shows: sharpness and colourfulness, from its pixels alone."""

import numpy as np
from PIL import Image
from scipy import ndimage

SHARPNESS = "variance of the Laplacian of the luma (Pech-Pacheco et al. 2000)"
COLOURFULNESS = "Hasler & Suesstrunk 2003, M(3)"


def sharpness(picture: Image.Image) -> float:
    """The variance of the Laplacian of the luma, 0..255 (Pech-Pacheco et al. 2000): 0 is flat, noise is thousands.

    It grows with every edge, so it compares pictures of one size and subject; hatching is sharper than a wash.
    """
    luma = np.asarray(picture.convert("L"), dtype=np.float64)
    return float(ndimage.laplace(luma, mode="mirror").var())


def colourfulness(picture: Image.Image) -> float:
    """The metric M(3) of Hasler & Suesstrunk 2003, "Measuring colourfulness in natural images": 0 is grey.

    By the paper's table 15 is slightly, 45 quite and 82 highly colourful, and 109 extremely so.
    """
    red, green, blue = np.moveaxis(np.asarray(picture.convert("RGB"), dtype=np.float64), 2, 0)
    opponents = np.stack([red - green, (red + green) / 2 - blue]).reshape(2, -1)
    return float(np.linalg.norm(opponents.std(1)) + 0.3 * np.linalg.norm(opponents.mean(1)))
