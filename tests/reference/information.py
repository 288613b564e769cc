"""Mutual information of paired assignments, one pair, one sub-head and one entry at a time."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def slow_joint(p: Array, q: Array) -> Array:
    """Joint of p (N, k) and q (R, N, k), as Ji et al. 2019 write it."""
    k = p.shape[1]
    joint = np.zeros((k, k))
    for copy in q:
        for z, other in zip(p, copy, strict=True):
            for a in range(k):
                for b in range(k):
                    joint[a, b] += z[a] * other[b]
    joint = (joint + joint.T) / 2
    return joint / joint.sum()


def slow_information(joint: Array, weight: float = 1.0) -> float:
    rows, columns = joint.sum(1), joint.sum(0)
    total = 0.0
    for a in range(len(rows)):
        for b in range(len(columns)):
            if joint[a, b] > 0:
                total += joint[a, b] * (
                    math.log(joint[a, b])
                    - weight * math.log(rows[a])
                    - weight * math.log(columns[b])
                )
    return total


def slow_matching(counts: NDArray[np.int64]) -> int:
    """Most items right where each class is given to at most one cluster: every way is tried."""
    if not counts.size:
        return 0
    rest = slow_matching(counts[1:])  # the first cluster stands for none
    for c in range(counts.shape[1]):
        rest = max(rest, int(counts[0, c]) + slow_matching(np.delete(counts[1:], c, 1)))
    return rest


def slow_displaced_counts(p: Array, q: Array, d: int, weight: Array | None = None) -> Array:
    """Counts of displaced pairs of maps (n, k, H, W), as Ji et al. 2019 write them."""
    n, k, height, width = p.shape
    weight = np.ones((n, height, width)) if weight is None else weight
    counts = np.zeros((2 * d + 1, 2 * d + 1, k, k))
    for i in range(n):
        for y in range(height):
            for x in range(width):
                for dy in range(-d, d + 1):
                    for dx in range(-d, d + 1):
                        if 0 <= y + dy < height and 0 <= x + dx < width:
                            z = weight[i, y, x] * p[i, :, y, x]
                            other = weight[i, y + dy, x + dx] * q[i, :, y + dy, x + dx]
                            counts[dy + d, dx + d] += np.outer(z, other)
    return counts


def slow_segmentation_information(
    counts: Array, weight: float = 1.0, per_displacement: bool = True
) -> float:
    """Mean information over displacements that have pairs, or that of all pairs together."""
    k = counts.shape[-1]
    joints = counts.reshape(-1, k, k)
    if not per_displacement:
        joints = joints.sum(0, keepdims=True)
    found = []
    for joint in joints:
        if joint.sum() > 0:
            both = (joint + joint.T) / 2
            found.append(slow_information(both / both.sum(), weight))
    return sum(found) / len(found) if found else 0.0
