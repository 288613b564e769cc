"""Losses on class scores.

Each function takes the shares of the classes among the labelled training pixels and returns a
function ``(scores, labels) -> scalar``. They are entered in
:data:`frugalseg.tasks.segment.config.LOSSES`.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORE = 255


def balanced_weights(shares: Sequence[float]) -> Tensor:
    """Class weights for learning rare classes: ``1 / sqrt(share)``, with mean one over pixels.

    Args:
        shares: share of each class among the labelled pixels, summing to 1.

    Returns:
        ``(C,)``; a class without pixels gets the weight of the rarest class that has pixels.
    """
    share = torch.tensor(list(shares), dtype=torch.float32)
    present = share > 0
    share = torch.where(present, share, share[present].min())
    weights = share.rsqrt()
    return weights / (weights * share).sum() * share.sum()


def jaccard_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """One minus the mean soft IoU of the classes present in the batch.

    Args:
        scores: ``(N, C, h, w)``.
        labels: ``(N, h, w)`` int64, 255 = ignore.

    Returns:
        Scalar in ``[0, 1]``.
    """
    known = (labels != IGNORE)[:, None]
    answer = scores.softmax(1) * known
    truth = F.one_hot(labels.clamp_max(scores.shape[1]), scores.shape[1] + 1)[..., :-1]
    truth = truth.permute(0, 3, 1, 2) * known
    hits = (answer * truth).sum((0, 2, 3))
    union = (answer + truth).sum((0, 2, 3)) - hits
    present = truth.sum((0, 2, 3)) > 0
    return 1 - ((hits / union.clamp_min(1e-6)) * present).sum() / present.sum().clamp_min(1)


def cross_entropy(shares: Sequence[float]) -> Loss:
    """Plain cross-entropy; 0 if no label is known."""
    return _weighted_cross_entropy(None)


def balanced(shares: Sequence[float]) -> Loss:
    """Cross-entropy weighted by :func:`balanced_weights`."""
    return _weighted_cross_entropy(balanced_weights(shares))


def balanced_iou(shares: Sequence[float]) -> Loss:
    """The sum of :func:`balanced` and :func:`jaccard_loss`."""
    weighted = balanced(shares)
    return lambda scores, labels: weighted(scores, labels) + jaccard_loss(scores, labels)


def _weighted_cross_entropy(weights: Tensor | None) -> Loss:
    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        weight = None if weights is None else weights.to(scores)
        each = F.cross_entropy(scores, labels, weight, ignore_index=IGNORE, reduction="sum")
        return each / (labels != IGNORE).sum().clamp_min(1)

    return loss
