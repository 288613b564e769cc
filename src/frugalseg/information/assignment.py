"""Clusters against classes: which cluster stands for which class, and how good the answer is.

Clusters and classes are integers from 0; arrays are NumPy's.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

Integers = NDArray[np.int64]
UNUSED = -1  # the class of a cluster that no labelled image fell into


def confusion(
    clusters: ArrayLike, classes: ArrayLike, num_clusters: int, num_classes: int
) -> Integers:
    """Count how many items of each class fell into each cluster.

    Args:
        clusters: ``(N)`` from 0 to ``num_clusters - 1``.
        classes: ``(N)`` from 0 to ``num_classes - 1``; items with a negative class are left out.
        num_clusters, num_classes: how many there are, used or not.

    Returns:
        ``(num_clusters, num_classes)`` counts.

    Raises:
        ValueError: arrays of different lengths, or numbers out of range.

    >>> confusion([0, 0, 1, 1], [1, 1, 0, -1], 2, 2)
    array([[0, 2],
           [1, 0]])
    """
    a, b = np.asarray(clusters, np.int64), np.asarray(classes, np.int64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"clusters {a.shape} and classes {b.shape} are not both (N)")
    a, b = a[b >= 0], b[b >= 0]
    if a.size and (a.min() < 0 or a.max() >= num_clusters or b.max() >= num_classes):
        raise ValueError(f"clusters or classes are not below {num_clusters} and {num_classes}")
    counts = np.bincount(a * num_classes + b, minlength=num_clusters * num_classes)
    return counts.reshape(num_clusters, num_classes).astype(np.int64)


def one_to_one(counts: ArrayLike) -> Integers:
    """The class of each cluster where no class is given twice: most items right (Hungarian).

    Args:
        counts: ``(clusters, classes)`` from :func:`confusion`.

    Returns:
        ``(clusters)`` classes; :data:`UNUSED` for clusters left over where there are more clusters
        than classes, and for those that hold no labelled item.

    >>> one_to_one([[5, 4], [6, 0], [0, 0]])
    array([ 1,  0, -1])
    """
    counts = np.asarray(counts)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    mapping = np.full(len(counts), UNUSED, np.int64)
    mapping[rows] = columns
    mapping[counts.sum(1) == 0] = UNUSED
    return mapping


def many_to_one(counts: ArrayLike) -> Integers:
    """The most frequent class of each cluster; several clusters may share one.

    Args:
        counts: ``(clusters, classes)`` from :func:`confusion`, of the split that names clusters.

    Returns:
        ``(clusters)`` classes, the first of equally frequent ones; :data:`UNUSED` for clusters that
        hold no labelled item, so that they count as wrong and not as class 0.

    >>> many_to_one([[5, 4], [6, 0], [0, 0]])
    array([ 0,  0, -1])
    """
    counts = np.asarray(counts)
    return np.where(counts.sum(1) > 0, counts.argmax(1), UNUSED).astype(np.int64)


def accuracy(mapping: ArrayLike, clusters: ArrayLike, classes: ArrayLike) -> float:
    """Share of labelled items whose cluster stands for their class.

    Args:
        mapping: ``(clusters)`` from :func:`one_to_one` or :func:`many_to_one`.
        clusters, classes: ``(N)``; items with a negative class are left out.

    Returns:
        0 to 1.

    Raises:
        ValueError: no item is labelled.

    >>> accuracy([1, 0], [0, 0, 1], [1, 0, 0])
    0.6666666666666666
    """
    mapping = np.asarray(mapping)
    a, b = np.asarray(clusters, np.int64), np.asarray(classes, np.int64)
    known = b >= 0
    if not known.any():
        raise ValueError("no item is labelled")
    return float((mapping[a[known]] == b[known]).mean())


def agreement_scores(
    clusters: ArrayLike, classes: ArrayLike, num_clusters: int, num_classes: int
) -> dict[str, Any]:
    """Scores of a clustering against classes, on the same items.

    Args:
        clusters, classes: ``(N)``; items with a negative class are left out.
        num_clusters, num_classes: how many there are, used or not.

    Returns:
        "accuracy" (one-to-one, the paper's measure), "accuracy_many_to_one", "nmi" (arithmetic
        mean), "ari", "confusion" (lists), "mapping" (one-to-one, -1 for clusters left over),
        "unused_clusters" (those that hold no labelled item) and "labelled", the number of items.

    Raises:
        ValueError: no item is labelled, or numbers are out of range.

    >>> agreement_scores([0, 0, 1], [1, 1, 0], 3, 2)["unused_clusters"]
    [2]
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    a, b = np.asarray(clusters, np.int64), np.asarray(classes, np.int64)
    counts = confusion(a, b, num_clusters, num_classes)
    known = b >= 0
    mapping = one_to_one(counts)
    return {
        "accuracy": accuracy(mapping, a, b),
        "accuracy_many_to_one": accuracy(many_to_one(counts), a, b),
        "nmi": float(normalized_mutual_info_score(b[known], a[known])),
        "ari": float(adjusted_rand_score(b[known], a[known])),
        "confusion": counts.tolist(),
        "mapping": mapping.tolist(),
        "unused_clusters": np.flatnonzero(counts.sum(1) == 0).tolist(),
        "labelled": int(known.sum()),
    }


def mean_and_spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, population standard deviation, least and greatest of some values.

    >>> mean_and_spread([0.5, 1.0])
    {'mean': 0.75, 'std': 0.25, 'least': 0.5, 'greatest': 1.0}
    """
    a = np.asarray(values, float)
    return {
        "mean": float(a.mean()),
        "std": float(a.std()),
        "least": float(a.min()),
        "greatest": float(a.max()),
    }
