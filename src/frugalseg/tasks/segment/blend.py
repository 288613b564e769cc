"""Choose the blend of sampler and uniform sampling by ceilings on unseen images.

A ceiling is the score of a perfect segmenter on the samples: true labels are read at the samples
and interpolated back to the image.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.console import log
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.metrics.confusion import Counts, class_iou, confusion, mean_of_known
from frugalseg.sampling import blend_with_uniform, interpolate_argmax, sample_labels
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.crops import CachedImages, random_crop
from frugalseg.tasks.segment.model import FrugalModel

BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
BLEND_IMAGES = 40


def ceiling_confusion(labels: NDArray[np.uint8], phi: Tensor, num_classes: int) -> Counts:
    """Count the pixels that a perfect segmenter on the samples would answer.

    Args:
        labels: ``(H, W)`` class indices, 255 = ignore.
        phi: ``(h, w, 2)``.
        num_classes: number of classes C.

    Returns:
        ``(C, C)`` pixel counts, answer by truth; ignored pixels are left out.
    """
    read = sample_labels(labels, phi)
    # samples on ignored pixels vote for no class
    scores = F.one_hot(read.clamp_max(num_classes), num_classes + 1)[..., :num_classes]
    scores = scores.permute(2, 0, 1).float()[None]
    answer = interpolate_argmax(scores, phi[None].float(), labels.shape)[0].numpy()
    return confusion(answer, labels, num_classes, num_classes)


def ceilings(counts: Counts, targets: Iterable[int]) -> dict[str, float | None]:
    """Mean IoU of all classes and of target classes.

    Args:
        counts: ``(C, C)``, answer by truth.
        targets: indices of the target classes.

    Returns:
        "all" and "target"; None if no such class is present.
    """
    iou = class_iou(counts)
    return {"all": mean_of_known(iou), "target": mean_of_known(iou[c] for c in targets)}


def choose_blend(
    config: SegmentConfig, model: FrugalModel, dataset: ImageMaskFolder
) -> dict[str, Any]:
    """Choose how far to follow the sampler, by :func:`best_blend` on val or on the images held out.

    Args:
        config: resolved.
        model: its sampler is trained.
        dataset: the folder.

    Returns:
        "blend", 0 to 1, and the "ceilings" behind it if it was chosen by images.
    """
    if config.sampler == "uniform" or config.blend is not None:
        return {"blend": 1.0 if config.blend is None else config.blend}
    samples = dataset.splits.get("held") or dataset.splits.get("val") or ()
    samples = samples[:: max(1, -(-len(samples) // BLEND_IMAGES))]
    if not samples:
        return {"blend": 1.0}
    log.info(f"Choosing how far to follow the sampler on {len(samples)} val images")
    store = CachedImages(samples, dataset.classes, config.size)
    count = dataset.classes.num_classes
    counts = {blend: np.zeros((count, count), np.int64) for blend in BLENDS}
    model.eval()
    for i in range(len(store)):
        stored = store[i]
        crop = random_crop(stored, i, model.thumbnail, None, None)
        thumbnail = crop.maps if model.needs_truth() else crop.thumbnail
        with torch.inference_mode():
            phi = model.sampler(thumbnail[None].to(model.device)).cpu()
            for blend in BLENDS:
                blended = blend_with_uniform(phi, blend)[0]
                counts[blend] += ceiling_confusion(stored.labels, blended, count)
    return best_blend(counts, dataset.classes.targets)


def best_blend(counts: Mapping[float, Counts], targets: list[int]) -> dict[str, Any]:
    """The blend with the highest ceiling: the sum of the means over all and over target classes.

    A blend is excluded if either mean is below that of uniform sampling (blend 0). A ceiling is the
    score of a perfect segmenter: a real one may still gain or lose compared with uniform sampling.
    If the images show no target, the mean over all classes decides alone; if they show no class at
    all, there is no reason to doubt the sampler.

    Args:
        counts: for each blend, ``(C, C)`` counts of a perfect segmenter, answer by truth.
        targets: indices of the target classes.

    Returns:
        "blend", and the "ceilings" by blend: "all" and "target", None if there is no such class.
    """
    scores = {blend: ceilings(table, targets) for blend, table in counts.items()}
    known = {b: [v for v in each.values() if v is not None] for b, each in scores.items()}
    uniform = known[min(known)]
    sound = [b for b in known if all(v >= u for v, u in zip(known[b], uniform, strict=True))]
    best = max(sound, key=lambda blend: sum(known[blend])) if any(known.values()) else 1.0
    return {"blend": best, "ceilings": {str(blend): each for blend, each in scores.items()}}
