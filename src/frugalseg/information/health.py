"""Whether a clustering lives: numbers that show collapse and doubt, computed without labels."""

import math

import torch
from torch import Tensor

from frugalseg.information.joint import entropy


def clustering_health(p: Tensor, q: Tensor | None = None) -> dict[str, float]:
    """How evenly clusters are used, how sure answers are, and how far two views agree.

    Args:
        p: ``(N, k)`` assignments of one sub-head.
        q: the same of a transformed view of each image; without it nothing is said of agreement.

    Returns:
        - "balance": entropy of the mean answer as a share of ln k: 1 where clusters are of equal
          size, 0 where one has everything;
        - "doubt": mean entropy of single answers as a share of ln k: 0 where all are sure, 1 where
          every answer is uniform;
        - "used": number of clusters that are the most probable one of at least 1 % of an equal
          share of the images; "clusters": k;
        - "largest": share of images in the largest cluster;
        - "agreement": share of pairs with the same most probable cluster (with ``q`` only).

    Raises:
        ValueError: there are no images or fewer than two clusters.

    >>> health = clustering_health(torch.eye(4))
    >>> health["balance"], health["doubt"], health["used"]
    (1.0, 0.0, 4.0)
    """
    if p.ndim != 2 or not len(p) or p.shape[1] < 2:
        raise ValueError(f"assignments are (N, k) with k at least 2, not {tuple(p.shape)}")
    p = p.detach().double()
    count, clusters = p.shape
    most = p.argmax(1)
    sizes = torch.bincount(most, minlength=clusters)
    health = {
        "balance": min(float(entropy(p.mean(0))) / math.log(clusters), 1.0),
        "doubt": max(float(entropy(p).mean()) / math.log(clusters), 0.0),
        "used": float((sizes >= max(1, 0.01 * count / clusters)).sum()),
        "clusters": float(clusters),
        "largest": float(sizes.max()) / count,
    }
    if q is not None:
        health["agreement"] = float((most == q.argmax(1)).double().mean())
    return health
