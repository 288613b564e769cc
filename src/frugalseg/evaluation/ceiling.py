"""What sampling alone allows: the score of a perfect segmenter on given samples."""

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.sampling import interpolate_argmax, sample_labels


def ceiling_confusion(
    labels: NDArray[np.uint8], phi: Tensor, num_classes: int
) -> NDArray[np.int64]:
    """Read true labels at the samples, interpolate them back, and count.

    Args:
        labels: ``(H, W)`` class indices, 255 = ignore.
        phi: ``(h, w, 2)``.
        num_classes: number of classes C.

    Returns:
        ``(C, C)`` pixel counts, truth by answer; ignored pixels are left out.
    """
    read = sample_labels(labels, phi)
    # samples on ignored pixels vote for no class
    scores = F.one_hot(read.clamp_max(num_classes), num_classes + 1)[..., :num_classes]
    scores = scores.permute(2, 0, 1).float()[None]
    answer = interpolate_argmax(scores, phi[None].float(), labels.shape)[0].numpy()
    known = labels != 255
    pairs = labels[known].astype(np.int64) * num_classes + answer[known]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def ceilings(confusion: NDArray[np.int64], targets: list[int]) -> dict[str, float | None]:
    """Mean IoU of all classes and of target classes.

    Args:
        confusion: ``(C, C)`` counts, truth by answer.
        targets: indices of the target classes.

    Returns:
        "all" and "target"; None where no such class is present.
    """
    means = {"all": mean_iou(confusion), "target": mean_iou(confusion, targets)}
    return {name: None if np.isnan(mean) else mean for name, mean in means.items()}


def mean_iou(confusion: NDArray[np.int64], classes: list[int] | None = None) -> float:
    """Set-level mean IoU over the classes that are present.

    Args:
        confusion: ``(C, C)`` counts, truth by answer.
        classes: indices to average over; None for all.

    Returns:
        The mean, or NaN where none of the classes is present.
    """
    hits = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hits
    present = confusion.sum(1) > 0
    chosen = [c for c in (range(len(hits)) if classes is None else classes) if present[c]]
    return float(np.mean([hits[c] / union[c] for c in chosen])) if chosen else float("nan")
