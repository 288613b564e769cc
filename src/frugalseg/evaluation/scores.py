"""Scores at the image's own resolution, summed image by image.

Only counts are kept, never a data set's predictions: `count_image` turns one image into an
`ImageCounts`, these add up, and `summarise` turns the sum into numbers. Label maps are uint8 class
indices; a true value of 255 (ignore) leaves the pixel out of every count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

IGNORE = 255
BANDS = (1, 2, 4, 8, 16)
OBJECT_SIZES = (16, 64, 256, 1024, 4096)

Labels = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageCounts:
    """What is counted over one image or many; add them with `+`.

    Attributes:
        confusion: (C, C) pixels, true class by row, predicted class by column.
        band_correct: (B,) pixels answered rightly within each band around boundaries.
        band_total: (B,) pixels within each band.
        objects_found: (C, S) objects found, by class and size; zero rows for other than targets.
        objects_total: (C, S) objects there are.
        images: number of images counted.
        bands: (B,) greatest distances in pixels, ascending.
        object_sizes: (S - 1,) areas in pixels that part the sizes: size `i` holds the objects with
            `object_sizes[i - 1] <= area < object_sizes[i]`.
    """

    confusion: Counts
    band_correct: Counts
    band_total: Counts
    objects_found: Counts
    objects_total: Counts
    images: int
    bands: tuple[int, ...] = BANDS
    object_sizes: tuple[int, ...] = OBJECT_SIZES

    def __add__(self, other: ImageCounts) -> ImageCounts:
        same = self.bands == other.bands and self.object_sizes == other.object_sizes
        if not same or self.confusion.shape != other.confusion.shape:
            raise ValueError("counts of different classes, bands or object sizes cannot be added")
        return ImageCounts(
            self.confusion + other.confusion,
            self.band_correct + other.band_correct,
            self.band_total + other.band_total,
            self.objects_found + other.objects_found,
            self.objects_total + other.objects_total,
            self.images + other.images,
            self.bands,
            self.object_sizes,
        )


def count_image(
    prediction: Labels,
    truth: Labels,
    num_classes: int,
    targets: Sequence[int],
    bands: Sequence[int] = BANDS,
    object_sizes: Sequence[int] = OBJECT_SIZES,
) -> ImageCounts:
    """Count one image against its truth.

    Args:
        prediction: (H, W) uint8 class indices below `num_classes`.
        truth: (H, W) uint8 class indices below `num_classes`, or 255 to leave a pixel out.
        num_classes: C.
        targets: class indices whose objects are counted; those of all classes where there are none.
        bands: widths in pixels, ascending, see `boundary_distance`.
        object_sizes: areas in pixels that part the objects by size, ascending.

    Returns:
        The counts; start a sum with the first image's, or with `functools.reduce`.

    Raises:
        ValueError: shapes differ, or a value is neither a class nor (in the truth) 255.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} differ in shape")
    confusion = _confusion(prediction, truth, num_classes)
    correct = prediction == truth
    band_correct, band_total = _count_bands(correct, truth, tuple(bands))
    counted = _counted(targets, num_classes)
    found, total = _count_objects(correct, truth, counted, num_classes, tuple(object_sizes))
    return ImageCounts(
        confusion, band_correct, band_total, found, total, 1, tuple(bands), tuple(object_sizes)
    )


def _confusion(prediction: Labels, truth: Labels, num_classes: int) -> Counts:
    # One bincount over all 256 x 256 pairs of bytes: no masking pass, and strays show up in it.
    pairs = truth.astype(np.uint16) << 8 | prediction
    table = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256).astype(np.int64)
    table[IGNORE] = 0
    inside = table[:num_classes, :num_classes]
    if inside.sum() != table.sum():
        strays = np.argwhere(table)
        strays = strays[(strays >= num_classes).any(axis=1)]
        raise ValueError(
            f"class index {strays.max()} in truth or prediction, but only {num_classes} classes"
        )
    return inside.copy()


def boundary_distance(truth: Labels, limit: int) -> npt.NDArray[np.uint16]:
    """Squared distance of each pixel to the nearest boundary between true classes, up to a limit.

    A boundary pixel is one with a neighbour above, below, left or right of another class; pixels to
    ignore neither are boundary nor make one. Distances are Euclidean between pixel centres, exact:
    0 on the boundary pixels themselves, which lie on both sides, so that the band "within w pixels"
    is 2 w + 2 pixels wide along a straight boundary.

    Args:
        truth: (H, W) uint8 class indices, 255 = ignore.
        limit: greatest distance in pixels that matters, at most 100.

    Returns:
        (H, W) squared distances where they are at most `limit` squared, else `limit**2 + 1`.
    """
    if not 0 < limit <= 100:
        raise ValueError(f"limit is {limit}, must be 1 to 100")  # squares must fit 16 bits
    height, width = truth.shape
    far = limit + 1
    vertical = np.where(_boundary_pixels(truth), 0, far).astype(np.uint16)
    for row in range(1, height):
        np.minimum(vertical[row], vertical[row - 1] + 1, out=vertical[row])
    for row in range(height - 2, -1, -1):
        np.minimum(vertical[row], vertical[row + 1] + 1, out=vertical[row])
    np.multiply(vertical, vertical, out=vertical)
    squared = vertical.copy()
    # Rows of the image that hold no boundary within reach need no sideways search.
    rows = np.flatnonzero((vertical <= limit * limit).any(axis=1))
    if rows.size:
        first, last = rows[0], rows[-1] + 1
        source, best = vertical[first:last], squared[first:last]
        for step in range(1, min(limit, width - 1) + 1):
            shifted = source + np.uint16(step * step)
            np.minimum(best[:, step:], shifted[:, :-step], out=best[:, step:])
            np.minimum(best[:, :-step], shifted[:, step:], out=best[:, :-step])
    return np.minimum(squared, np.uint16(limit * limit + 1))


def _boundary_pixels(truth: Labels) -> npt.NDArray[np.bool_]:
    valid = truth != IGNORE
    edge = np.zeros(truth.shape, dtype=bool)
    across = (truth[1:] != truth[:-1]) & valid[1:] & valid[:-1]
    edge[1:] |= across
    edge[:-1] |= across
    along = (truth[:, 1:] != truth[:, :-1]) & valid[:, 1:] & valid[:, :-1]
    edge[:, 1:] |= along
    edge[:, :-1] |= along
    return edge


def _count_bands(
    correct: npt.NDArray[np.bool_], truth: Labels, bands: tuple[int, ...]
) -> tuple[Counts, Counts]:
    limit = bands[-1]
    squared = boundary_distance(truth, limit)
    squared[truth == IGNORE] = limit * limit + 1
    pairs = squared << 1 | correct
    table = np.bincount(pairs.ravel(), minlength=2 * (limit * limit + 2)).reshape(-1, 2)
    within = table.cumsum(axis=0)[[band * band for band in bands]]
    return within[:, 1].astype(np.int64), within.sum(axis=1).astype(np.int64)


def _counted(targets: Sequence[int], num_classes: int) -> list[int]:
    """Classes whose objects are counted."""
    return sorted(set(targets)) or list(range(num_classes))


def _count_objects(
    correct: npt.NDArray[np.bool_],
    truth: Labels,
    counted: Sequence[int],
    num_classes: int,
    object_sizes: tuple[int, ...],
) -> tuple[Counts, Counts]:
    """Objects are the 8-connected parts of some classes; found means half its pixels right."""
    shape = (num_classes, len(object_sizes) + 1)
    found, total = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    present = set(np.flatnonzero(np.bincount(truth.ravel(), minlength=256)).tolist())
    for target in sorted(set(counted) & present):
        mask = truth == target
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        mask = mask[box]
        parts, count = ndimage.label(mask, structure=np.ones((3, 3)))
        part = parts[mask]
        area = np.bincount(part, minlength=count + 1)[1:]
        right = np.bincount(part[correct[box][mask]], minlength=count + 1)[1:]
        size = np.searchsorted(object_sizes, area, side="right")
        total[target] = np.bincount(size, minlength=shape[1])
        found[target] = np.bincount(size[2 * right >= area], minlength=shape[1])
    return found, total


def summarise(counts: ImageCounts, names: Sequence[str], targets: Sequence[int]) -> dict[str, Any]:
    """Turn counts over a set into scores, ready for JSON.

    IoU is of the set: from the summed confusion matrix, not a mean over images. A class without a
    single true pixel in the set is absent: it is named, its IoU is None and no mean includes it
    (pixels wrongly given to it still count against the classes they belong to).

    Args:
        counts: sum over the images.
        names: C class names, in the order of their indices.
        targets: class indices that the mean over targets is taken of.

    Returns:
        images, pixels (by class), iou (by class), miou (all and target), absent (names),
        pixel_accuracy, bands (width, pixels, accuracy) and objects (bins, and by target class, or
        by class where there are no targets, and for all of them: found, total, recall). Shares are
        in [0, 1], None where nothing was there.
    """
    confusion = counts.confusion
    if len(names) != len(confusion):
        raise ValueError(f"{len(names)} names for {len(confusion)} classes")
    right, truth = confusion.diagonal(), confusion.sum(axis=1)
    union = truth + confusion.sum(axis=0) - right
    iou = {name: _share(right[i], union[i]) if truth[i] else None for i, name in enumerate(names)}
    return {
        "images": counts.images,
        "pixels": {name: int(truth[i]) for i, name in enumerate(names)},
        "iou": iou,
        "miou": {
            "all": _mean(list(iou.values())),
            "target": _mean([iou[names[i]] for i in sorted(set(targets))]),
        },
        "targets": [names[i] for i in sorted(set(targets))],
        "absent": [name for i, name in enumerate(names) if not truth[i]],
        "pixel_accuracy": _share(right.sum(), truth.sum()),
        "bands": [
            {
                "width": width,
                "pixels": int(counts.band_total[i]),
                "accuracy": _share(counts.band_correct[i], counts.band_total[i]),
            }
            for i, width in enumerate(counts.bands)
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
            "recall": [_share(f, t) for f, t in zip(found, total, strict=True)],
        }

    edges = counts.object_sizes
    middle = [f"{low} to {high - 1}" for low, high in pairwise(edges)]
    return {
        "bins": [f"under {edges[0]}", *middle, f"{edges[-1]} and more"],
        "classes": {
            names[i]: row(counts.objects_found[i], counts.objects_total[i])
            for i in _counted(targets, len(names))
        },
        "all": row(counts.objects_found.sum(axis=0), counts.objects_total.sum(axis=0)),
    }


def _share(part: np.integer[Any] | int, whole: np.integer[Any] | int) -> float | None:
    return float(part) / float(whole) if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
