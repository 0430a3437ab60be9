"""KID: how far apart two sets of pictures are, by their features.

The squared maximum mean discrepancy with the kernel k(x, y) = (x.y / D + 1)^3, estimated without bias (Binkowski et al.
2018, "Demystifying MMD GANs"). Sets of any size can therefore be compared, and the value can fall below 0 by chance.
The features' model is part of the measurement: state it beside the value.
"""

import numpy as np

from synth.errors import InputError
from synth.measure.intervals import Figure, Z

SMALLEST = 4


def kid(a: np.ndarray, b: np.ndarray, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> Figure:
    """The kernel distance of features `a`, (n, D), and `b`, (m, D), with its 95% interval.

    The value is of all pairs of rows. The interval comes from the values of random subsets, `subset_size` rows of each
    set, or half of the smaller set where that is less: their deviation, scaled from the subsets' size to the sets', is
    the standard error (the delete-d jackknife, Shao & Wu 1989). Where one set is larger or the two do not differ, the
    interval is wider than need be.

    Rows must not have length 1, which would make the kernel nearly linear: see `Clip.features`.
    """
    _check(a, b)
    value, n = mmd2(a, b), min(len(a), len(b))
    size = min(subset_size, n // 2)
    rng = np.random.default_rng(seed)
    values = np.array([mmd2(_some(a, size, rng), _some(b, size, rng)) for _ in range(subsets)])
    error = float(np.sqrt(np.square(values - value).mean() * size / (n - size)))
    return Figure("kid", value, value - Z * error, value + Z * error)


def mmd2(a: np.ndarray, b: np.ndarray) -> float:
    """The unbiased estimate of the squared discrepancy of `a`, (n, D), and `b`, (m, D), from all pairs of rows."""
    return _mean_within(a) + _mean_within(b) - 2 * _sum_of_kernels(a, b) / (len(a) * len(b))


def _mean_within(rows: np.ndarray) -> float:
    """The mean kernel of two different rows; that of a row with itself would be the bias."""
    count, squares = len(rows), np.square(rows, dtype=np.float64).sum(1)
    return (_sum_of_kernels(rows, rows) - float(_kernel(squares, rows.shape[1]).sum())) / (count * (count - 1))


def _sum_of_kernels(a: np.ndarray, b: np.ndarray) -> float:
    """Over all pairs, a thousand rows of `a` at a time to bound the memory."""
    parts = (a[start : start + 1000] for start in range(0, len(a), 1000))
    b = b.astype(np.float64)
    return sum(float(_kernel(part.astype(np.float64) @ b.T, a.shape[1]).sum()) for part in parts)


def _kernel(products: np.ndarray, dimensions: int) -> np.ndarray:
    return (products / dimensions + 1) ** 3


def _some(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rows[rng.choice(len(rows), count, replace=False)]


def _check(a: np.ndarray, b: np.ndarray) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError("features", (a.shape, b.shape), "give two sets of rows of the same model's features")
    if min(len(a), len(b)) < SMALLEST:
        raise InputError("pictures", min(len(a), len(b)), f"give KID at least {SMALLEST} on each side")
