"""Scores of clusterings of images against their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from frugalseg.iic import many_to_one, one_to_one
from frugalseg.metrics.confusion import accuracy, adjusted_rand, as_classes, confusion


def agreement_scores(
    clusters: ArrayLike, classes: ArrayLike, num_clusters: int, num_classes: int
) -> dict[str, Any]:
    """Scores of a clustering against classes, on the same items.

    Args:
        clusters, classes: (N); items with a negative class are left out.
        num_clusters, num_classes: how many there are, used or not.

    Returns:
        "accuracy" (one-to-one, the paper's measure), "accuracy_many_to_one", "nmi" (arithmetic
        mean), "ari", "confusion" (lists), "mapping" (one-to-one, -1 for clusters without a class),
        "unused_clusters" (those without a labelled item) and "labelled", the number of items.

    Raises:
        ValueError: no item is labelled, or numbers are out of range.

    >>> agreement_scores([0, 0, 1], [1, 1, 0], 3, 2)["unused_clusters"]
    [2]
    """
    from sklearn.metrics import normalized_mutual_info_score

    a, b = np.asarray(clusters, np.int64), np.asarray(classes, np.int64)
    counts = confusion(a, b, num_clusters, num_classes)
    known = b >= 0
    mapping = one_to_one(counts)
    return {
        "accuracy": accuracy(as_classes(counts, mapping)),
        "accuracy_many_to_one": accuracy(as_classes(counts, many_to_one(counts))),
        "nmi": float(normalized_mutual_info_score(b[known], a[known])),
        "ari": adjusted_rand(counts),
        "confusion": counts.tolist(),
        "mapping": mapping.tolist(),
        "unused_clusters": np.flatnonzero(counts.sum(1) == 0).tolist(),
        "labelled": int(known.sum()),
    }


def mean_and_spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, population standard deviation, minimum and maximum of numbers.

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
