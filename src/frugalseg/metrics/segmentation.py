"""Scores at the image's own resolution, summed image by image.

Only counts are kept, never the predictions of a data set: `count_image` turns one image into an
`ImageCounts`, these are added, and `summarise` turns the sum into numbers. Label maps are uint8
class indices; a true value of 255 (ignore) leaves the pixel out of every count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from frugalseg.metrics.confusion import (
    IGNORE,
    Counts,
    class_iou,
    confusion,
    false_items,
    mean_of_known,
    share,
)
from frugalseg.sampling.boundaries import semantic_boundaries

BANDS = (1, 2, 4, 8, 16)  # greatest distances from a boundary, in pixels
OBJECT_SIZES = (16, 64, 256, 1024, 4096)  # areas in pixels that separate the sizes of objects

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageCounts:
    """Counts over one image or many; add them with `+`.

    Attributes:
        confusion: (C, C) pixels, predicted class by row, true class by column.
        band_correct: (B,) correct pixels within each distance of `BANDS` from a boundary.
        band_total: (B,) pixels within each of these distances.
        objects_found: (C, S) objects found, by class and size; zero for classes not counted.
            Size `i` holds the objects with `OBJECT_SIZES[i - 1] <= area < OBJECT_SIZES[i]`.
        objects_total: (C, S) objects in the truth.
        images: number of images counted.
    """

    confusion: Counts
    band_correct: Counts
    band_total: Counts
    objects_found: Counts
    objects_total: Counts
    images: int

    def __add__(self, other: ImageCounts) -> ImageCounts:
        return ImageCounts(
            self.confusion + other.confusion,
            self.band_correct + other.band_correct,
            self.band_total + other.band_total,
            self.objects_found + other.objects_found,
            self.objects_total + other.objects_total,
            self.images + other.images,
        )


def count_image(
    prediction: Labels, truth: Labels, num_classes: int, targets: Sequence[int]
) -> ImageCounts:
    """Count one image against its truth.

    Args:
        prediction: (H, W) uint8 class indices below `num_classes`.
        truth: (H, W) uint8 class indices below `num_classes`, or 255 to leave a pixel out.
        num_classes: C.
        targets: indices of the classes whose objects are counted; if empty, those of all classes.

    Raises:
        ValueError: shapes differ, or a value is neither a class nor (in the truth) 255.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    table = confusion(prediction, truth, num_classes, num_classes)
    correct = prediction == truth
    bands = _count_bands(correct, truth)
    counted = set(targets) or set(range(num_classes))
    return ImageCounts(table, *bands, *_count_objects(correct, truth, counted, num_classes), 1)


def boundary_distance(truth: Labels, limit: int) -> npt.NDArray[np.uint16]:
    """Squared distance of each pixel to the nearest boundary between true classes, up to a limit.

    A boundary pixel has a neighbour of another class above, below, left or right; ignored pixels
    are neither boundary pixels nor make others so. Distances are exactly Euclidean, between pixel
    centres: 0 on the boundary pixels themselves, which lie on both sides, so that the band "within
    w pixels" is 2 w + 2 pixels wide along a straight boundary.

    Args:
        truth: (H, W) uint8 class indices, 255 = ignore.
        limit: greatest distance in pixels that matters, at most 100.

    Returns:
        (H, W) squared distances; `limit**2 + 1` for all that exceed `limit` squared.
    """
    if not 0 < limit <= 100:
        raise ValueError(f"limit is {limit}, must be 1 to 100")  # squares must fit 16 bits
    height, width = truth.shape
    far = limit + 1
    labels = torch.from_numpy(np.ascontiguousarray(truth))[None]
    boundary = semantic_boundaries(labels, ignore_index=IGNORE, towards_ignored=False)[0].numpy()
    vertical = np.where(boundary, 0, far).astype(np.uint16)
    for row in range(1, height):
        np.minimum(vertical[row], vertical[row - 1] + 1, out=vertical[row])
    for row in range(height - 2, -1, -1):
        np.minimum(vertical[row], vertical[row + 1] + 1, out=vertical[row])
    np.multiply(vertical, vertical, out=vertical)
    squared = vertical.copy()
    # Rows with no boundary within reach need no sideways search.
    rows = np.flatnonzero((vertical <= limit * limit).any(axis=1))
    if rows.size:
        first, last = rows[0], rows[-1] + 1
        source, best = vertical[first:last], squared[first:last]
        for step in range(1, min(limit, width - 1) + 1):
            shifted = source + np.uint16(step * step)
            np.minimum(best[:, step:], shifted[:, :-step], out=best[:, step:])
            np.minimum(best[:, :-step], shifted[:, step:], out=best[:, :-step])
    return np.minimum(squared, np.uint16(limit * limit + 1))


def _count_bands(correct: npt.NDArray[np.bool_], truth: Labels) -> tuple[Counts, Counts]:
    """Correct pixels, and all pixels, within each distance of `BANDS`."""
    limit = BANDS[-1]
    squared = boundary_distance(truth, limit)
    squared[truth == IGNORE] = limit * limit + 1
    pairs = squared << 1 | correct
    table = np.bincount(pairs.ravel(), minlength=2 * (limit * limit + 2)).reshape(-1, 2)
    within = table.cumsum(axis=0)[[band * band for band in BANDS]]
    return within[:, 1].astype(np.int64), within.sum(axis=1).astype(np.int64)


def _count_objects(
    correct: npt.NDArray[np.bool_], truth: Labels, counted: set[int], num_classes: int
) -> tuple[Counts, Counts]:
    """Objects found and all objects: 8-connected parts of a class, found if half is correct."""
    shape = (num_classes, len(OBJECT_SIZES) + 1)
    found, total = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    present = set(np.flatnonzero(np.bincount(truth.ravel(), minlength=256)).tolist())
    for target in counted & present:
        mask = truth == target
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        mask = mask[box]
        parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
        part = parts[mask]
        area = np.bincount(part, minlength=count + 1)[1:]
        right = np.bincount(part[correct[box][mask]], minlength=count + 1)[1:]
        size = np.searchsorted(OBJECT_SIZES, area, side="right")
        total[target] = np.bincount(size, minlength=shape[1])
        found[target] = np.bincount(size[2 * right >= area], minlength=shape[1])
    return found, total


def summarise(counts: ImageCounts, names: Sequence[str], targets: Sequence[int]) -> dict[str, Any]:
    """Turn counts over a set into scores, ready for JSON.

    A class without a single true pixel in the set is absent: it is listed, its IoU is None and
    "miou" does not include it (see :func:`frugalseg.metrics.confusion.class_iou`). In
    "miou_true_or_predicted" it counts 0 if a pixel was assigned to it.

    Args:
        counts: sum over the images.
        names: C class names, in the order of their indices.
        targets: indices of the classes of the mean over targets.

    Returns:
        images, class_names, pixels (by class), false_pixels (wrongly assigned to each class), iou
        (by class), miou and miou_true_or_predicted (all and target), targets and absent (names),
        pixel_accuracy, confusion (pixels, true class by row, predicted class by column), bands
        (width, pixels, accuracy) and objects (bins; and found, total and recall by target class, or
        by class if there are no targets, and over all of them). Shares are in [0, 1], None if there
        was nothing to count.
    """
    if len(names) != len(counts.confusion):
        raise ValueError(f"{len(names)} names for {len(counts.confusion)} classes")
    truth = counts.confusion.sum(axis=0)
    iou = class_iou(counts.confusion)
    wanted = sorted(set(targets))

    def means(values: Sequence[float | None]) -> dict[str, float | None]:
        return {"all": mean_of_known(values), "target": mean_of_known(values[i] for i in wanted)}

    return {
        "images": counts.images,
        "class_names": list(names),
        "pixels": dict(zip(names, truth.tolist(), strict=True)),
        "false_pixels": dict(zip(names, false_items(counts.confusion), strict=True)),
        "iou": dict(zip(names, iou, strict=True)),
        "miou": means(iou),
        "miou_true_or_predicted": means(class_iou(counts.confusion, predicted=True)),
        "targets": [names[i] for i in wanted],
        "absent": [name for i, name in enumerate(names) if not truth[i]],
        "pixel_accuracy": share(counts.confusion.diagonal().sum(), truth.sum()),
        "confusion": counts.confusion.T.tolist(),
        "bands": [
            {
                "width": width,
                "pixels": int(counts.band_total[i]),
                "accuracy": share(counts.band_correct[i], counts.band_total[i]),
            }
            for i, width in enumerate(BANDS)
        ],
        "objects": _summarise_objects(counts, names, targets),
    }


def _summarise_objects(
    counts: ImageCounts, names: Sequence[str], targets: Sequence[int]
) -> dict[str, Any]:
    def row(found: Counts, total: Counts) -> dict[str, Any]:
        return {
            "found": found.tolist(),
            "total": total.tolist(),
            "recall": [share(f, t) for f, t in zip(found, total, strict=True)],
        }

    middle = [f"{low} to {high - 1}" for low, high in pairwise(OBJECT_SIZES)]
    return {
        "bins": [f"under {OBJECT_SIZES[0]}", *middle, f"{OBJECT_SIZES[-1]} and more"],
        "classes": {
            names[i]: row(counts.objects_found[i], counts.objects_total[i])
            for i in sorted(set(targets)) or range(len(names))
        },
        "all": row(counts.objects_found.sum(axis=0), counts.objects_total.sum(axis=0)),
    }
