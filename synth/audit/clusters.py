"""Clusters of pictures by their vectors, found without a look at what any of them was asked to be."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage


def clusters(vectors: np.ndarray, count: int) -> np.ndarray:
    """The cluster of each vector, (n,), from 0, the largest first; `count` of them at most.

    Ward's method, as in Luccioni et al. 2023, "Stable Bias".
    """
    if len(vectors) < 2:
        return np.zeros(len(vectors), int)
    found = fcluster(linkage(vectors.astype(np.float64), "ward"), count, "maxclust") - 1
    order = np.argsort(-np.bincount(found), kind="stable")
    return np.argsort(order)[found]


def centres(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The mean vector of each cluster, of length 1, (clusters, D)."""
    means = np.stack([vectors[labels == label].mean(0) for label in range(labels.max() + 1)])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def nearest(vectors: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """For each vector, (n, D), the place of the centre with the largest cosine, (n,)."""
    return np.argmax(vectors @ middles.T, axis=1)
