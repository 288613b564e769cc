"""Detect collapsed and undecided clusterings, without labels."""

import math

import torch
from torch import Tensor

from frugalseg.iic.loss import entropy


def clustering_diagnostics(p: Tensor, q: Tensor | None = None) -> dict[str, float]:
    """Measure the balance of the clusters, the certainty of assignments and the views' agreement.

    Args:
        p: ``(N, k)`` assignments of one sub-head.
        q: the same of a transformed view of each image; without it "agreement" is left out.

    Returns:
        - "balance": entropy of the mean assignment as a share of ln k: 1 if clusters are of equal
          size, 0 if one has everything;
        - "entropy": mean entropy of single assignments as a share of ln k: 0 if all are certain, 1
          if every assignment is uniform;
        - "used": number of clusters that are the most probable cluster of at least 1 % of an equal
          share of the images; "clusters": k;
        - "largest": share of images in the largest cluster;
        - "agreement": share of pairs with the same most probable cluster (with ``q`` only).

    Raises:
        ValueError: there are no images or fewer than two clusters.

    >>> diagnostics = clustering_diagnostics(torch.eye(4))
    >>> diagnostics["balance"], diagnostics["entropy"], diagnostics["used"]
    (1.0, 0.0, 4.0)
    """
    if p.ndim != 2 or not len(p) or p.shape[1] < 2:
        raise ValueError(f"assignments are (N, k) with k at least 2, not {tuple(p.shape)}")
    p = p.detach().double()
    count, clusters = p.shape
    cluster = p.argmax(1)
    sizes = torch.bincount(cluster, minlength=clusters)
    diagnostics = {
        "balance": min(float(entropy(p.mean(0))) / math.log(clusters), 1.0),
        "entropy": max(float(entropy(p).mean()) / math.log(clusters), 0.0),
        "used": float((sizes >= max(1, 0.01 * count / clusters)).sum()),
        "clusters": float(clusters),
        "largest": float(sizes.max()) / count,
    }
    if q is not None:
        diagnostics["agreement"] = float((cluster == q.argmax(1)).double().mean())
    return diagnostics
