"""Match clusters to classes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

Integers = NDArray[np.int64]
UNUSED = -1  # the class of a cluster without labelled items


def one_to_one(counts: ArrayLike) -> Integers:
    """Match each cluster to a class of its own so that most items are right (Hungarian algorithm).

    Args:
        counts: ``(clusters, classes)`` items of each class in each cluster.

    Returns:
        ``(clusters)`` classes; :data:`UNUSED` for clusters without labelled items, and for those
        left over if there are more clusters than classes.

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
        counts: ``(clusters, classes)`` items of each class in each cluster, of the split that names
            clusters.

    Returns:
        ``(clusters)`` classes, the first of equally frequent ones; :data:`UNUSED` for clusters
        without labelled items, so that they count as wrong and not as class 0.

    >>> many_to_one([[5, 4], [6, 0], [0, 0]])
    array([ 0,  0, -1])
    """
    counts = np.asarray(counts)
    return np.where(counts.sum(1) > 0, counts.argmax(1), UNUSED).astype(np.int64)
