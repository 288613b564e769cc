"""Regions found without labels under the names of classes, which a few labelled images tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.information import UNUSED, many_to_one, one_to_one

Counts = NDArray[np.int64]


def named_scores(
    counts: Counts, mapping: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Any]:
    """Scores of regions that stand for classes, whoever said for which.

    Args:
        counts: (regions, classes) pixels.
        mapping: (regions) classes, -1 for none; pixels of those count as wrong.
        names: of the classes.

    Returns:
        "accuracy" (pixels, pooled), "miou" over the classes that are there, "iou" by name (None
        where a class is absent) and "pixels" by name.

    Raises:
        ValueError: nothing is labelled.
    """
    total = int(counts.sum())
    if not total:
        raise ValueError("no pixel is labelled")
    confusion = np.zeros((len(names) + 1, len(names)), np.int64)  # last: regions without a class
    np.add.at(confusion, np.where(mapping < 0, len(names), mapping), counts)
    right, truth = confusion[: len(names)].diagonal(), confusion.sum(0)
    union = truth + confusion[: len(names)].sum(1) - right
    iou = {name: float(right[i] / union[i]) if truth[i] else None for i, name in enumerate(names)}
    there = [value for value in iou.values() if value is not None]
    return {
        "accuracy": float(right.sum() / total),
        "miou": float(np.mean(there)),
        "iou": iou,
        "pixels": {name: int(truth[i]) for i, name in enumerate(names)},
    }


def name_by_most(counts: Counts) -> NDArray[np.int64]:
    """Name each region after the class of most of its pixels.

    Args:
        counts: (regions, classes) labelled pixels.

    Returns:
        (regions) classes; regions without a labelled pixel are given the most frequent class.

    Raises:
        ValueError: nothing is labelled.
    """
    if not counts.sum():
        raise ValueError("no pixel of the labelled images has a class")
    mapping = many_to_one(counts)
    mapping[mapping == UNUSED] = int(counts.sum(0).argmax())
    return mapping


def semi_supervised_scores(
    per_image: Counts, labelled: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """Name regions by some labelled images and score them on the others.

    Each region is the class of most of its pixels in the labelled images; regions that do not occur
    there are given the class that is the most frequent in them.

    Args:
        per_image: (images, regions, classes) pixels, usually of the overclustering head.
        labelled: numbers of the images whose labels are looked at.
        names: of the classes.

    Returns:
        Those of :func:`named_scores` on the other images, "mapping" and "labelled" (how many).

    Raises:
        ValueError: no image is left, or none of its pixels or of the labelled ones has a class.
    """
    chosen = np.zeros(len(per_image), bool)
    chosen[list(labelled)] = True
    known, rest = per_image[chosen].sum(0), per_image[~chosen].sum(0)
    mapping = name_by_most(known)
    scores = named_scores(rest, mapping, names)
    return {**scores, "mapping": mapping.tolist(), "labelled": int(chosen.sum())}


def region_names(counts: Counts | None, num_regions: int, names: Sequence[str]) -> tuple[str, ...]:
    """Names of regions: the classes they stand for one to one; "region 0", ... for the others."""
    plain = [f"region {i}" for i in range(num_regions)]
    if counts is None or not counts.sum():
        return tuple(plain)
    mapping = one_to_one(counts)
    return tuple(names[m] if m >= 0 else plain[i] for i, m in enumerate(mapping))
