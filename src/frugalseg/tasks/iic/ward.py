"""Merge many centres into fewer groups by Ward's criterion, each centre with its mass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_NO_MASS = 1e-9  # of a centre without a point: it joins its neighbour first


def ward_groupings(centres: Floats, masses: Floats | NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Merge centres into fewer and fewer groups, two groups at a time.

    Each time the pair is joined that adds least to the sum of squared distances of points from the
    means of their groups: the pair of least m m' / (m + m') |c - c'|^2 (Ward 1963).

    Args:
        centres: ``(K, D)`` means of points, K at least 2.
        masses: ``(K)`` number of points of each.

    Returns:
        For K, K - 1, ..., 2 groups: ``(K)`` the group of each centre, numbered from 0.
    """
    from scipy.spatial.distance import cdist

    means = np.array(centres, np.float64)
    mass = np.maximum(np.asarray(masses, np.float64), _NO_MASS)
    group = np.arange(len(means))
    groupings = [group]
    while len(means) > 2:
        cost = cdist(means, means, "sqeuclidean") * np.outer(mass, mass) / np.add.outer(mass, mass)
        cost[np.tril_indices(len(cost))] = np.inf
        a, b = divmod(int(cost.argmin()), len(cost))
        means[a] = (mass[a] * means[a] + mass[b] * means[b]) / (mass[a] + mass[b])
        mass[a] += mass[b]
        means, mass = np.delete(means, b, 0), np.delete(mass, b)
        group = np.where(group == b, a, group)
        group = group - (group > b)
        groupings.append(group)
    return groupings
