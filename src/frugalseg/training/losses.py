"""What a segmenter is taught by: losses on class scores at the samples."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from frugalseg.errors import FrugalsegError

Loss = Callable[[Tensor, Tensor], Tensor]
IGNORE = 255


def balanced_weights(shares: Sequence[float]) -> Tensor:
    """Class weights that let rare classes be learned: ``1 / sqrt(share)``, of mean one over pixels.

    Args:
        shares: share of each class among the labelled pixels, summing to 1.

    Returns:
        ``(C,)``; a class without pixels gets the weight of the rarest one with some.
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


def segmentation_loss(name: str, shares: Sequence[float]) -> Loss:
    """A loss by name.

    Args:
        name: "cross-entropy"; "balanced" (weights :func:`balanced_weights`); or "balanced-iou"
            (that, plus the soft IoU over the batch).
        shares: share of each class among the labelled training pixels.

    Returns:
        ``(scores, labels) -> scalar``; 0 where no label is known.

    Raises:
        FrugalsegError: for an unknown name.
    """
    if name not in LOSSES:
        raise FrugalsegError(f"No loss {name!r}: choose from {', '.join(LOSSES)}.")
    weights = None if name == "cross-entropy" else balanced_weights(shares)

    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        weight = None if weights is None else weights.to(scores)
        each = F.cross_entropy(scores, labels, weight, ignore_index=IGNORE, reduction="sum")
        value = each / (labels != IGNORE).sum().clamp_min(1)
        return value + jaccard_loss(scores, labels) if name == "balanced-iou" else value

    return loss


LOSSES = ("balanced", "cross-entropy", "balanced-iou")
