"""Count answers against true classes, and derive scores from the counts.

A table of counts is `(answers, classes)`: the answer (a class, cluster or region) by row, the true
class by column. Only tables are kept, never the answers of a data set; tables of images add up.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

IGNORE = 255  # in label maps of bytes; class indices of whole images are negative if unknown

Counts = NDArray[np.int64]


def confusion(answers: ArrayLike, truth: ArrayLike, num_answers: int, num_classes: int) -> Counts:
    """Count how often each answer was given to items, or pixels, of each class.

    Args:
        answers: from 0 to `num_answers - 1`, of any shape.
        truth: true classes of the same shape, from 0 to `num_classes - 1`. An item is left out if
            its class is 255 in an array of uint8, or negative in any other.
        num_answers, num_classes: how many there are, used or not.

    Returns:
        (num_answers, num_classes) counts.

    Raises:
        ValueError: the shapes differ, or a number is out of range.

    >>> confusion([0, 0, 1, 1], [1, 1, 0, -1], 2, 2)
    array([[0, 2],
           [1, 0]])
    """
    rows, columns = np.asarray(answers), np.asarray(truth)
    if rows.shape != columns.shape:
        raise ValueError(f"answers {rows.shape} and truth {columns.shape} differ in shape")
    number: Counts | int = 1
    if rows.dtype == columns.dtype == np.uint8:
        # Count pixels by pairs of bytes first: no pass over them for ignored and stray ones.
        pairs = rows.astype(np.uint16) << 8 | columns
        table = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)
        table[:, IGNORE] = 0
        rows, columns = np.nonzero(table)
        number = table[rows, columns]
    else:
        known = columns != IGNORE if columns.dtype == np.uint8 else columns >= 0
        rows, columns = rows[known].astype(np.int64), columns[known].astype(np.int64)
    for name, indices, count in (("answer", rows, num_answers), ("class", columns, num_classes)):
        stray = indices[(indices < 0) | (indices >= count)]
        if stray.size:
            raise ValueError(f"{name} index {stray[0]} is not below {count}")
    counts = np.zeros((num_answers, num_classes), np.int64)
    np.add.at(counts, (rows, columns), number)
    return counts


def as_classes(counts: Counts, mapping: ArrayLike) -> Counts:
    """Sum the counts of answers that stand for the same class.

    Args:
        counts: (answers, classes).
        mapping: (answers) class of each answer, negative if it stands for none.

    Returns:
        (classes + 1, classes): the last row counts the answers that stand for no class: all wrong.

    >>> as_classes(np.array([[3, 1], [0, 2], [1, 1]]), [0, -1, 0])
    array([[4, 2],
           [0, 0],
           [0, 2]])
    """
    num_classes = counts.shape[1]
    table = np.zeros((num_classes + 1, num_classes), np.int64)
    classes = np.asarray(mapping)
    np.add.at(table, np.where(classes < 0, num_classes, classes), counts)
    return table


def accuracy(counts: Counts) -> float:
    """Share of items whose answer is their class.

    Args:
        counts: (classes or more, classes); further rows are wrong answers.

    Raises:
        ValueError: there are no items.
    """
    if not counts.sum():
        raise ValueError("no item is labelled")
    return float(counts.diagonal().sum() / counts.sum())


def class_iou(counts: Counts, predicted: bool = False) -> list[float | None]:
    """Intersection over union of each class.

    It is computed from the summed table of the whole set; it is not a mean over images. A class
    without a true item is absent and has None, but items wrongly assigned to it count against their
    own classes.

    Args:
        counts: (classes or more, classes); further rows are wrong answers.
        predicted: an absent class has 0 if an item was assigned to it, as in scikit-learn,
            torchmetrics and mmsegmentation.
    """
    right, truth = counts.diagonal(), counts.sum(0)
    union = truth + counts[: len(truth)].sum(1) - right
    occurs = union if predicted else truth
    return [share(r, u) if n else None for r, u, n in zip(right, union, occurs, strict=True)]


def false_items(counts: Counts) -> list[int]:
    """Items wrongly assigned to each class.

    Args:
        counts: (classes or more, classes); further rows are no class.
    """
    square = counts[: counts.shape[1]]
    wrong: list[int] = (square.sum(1) - square.diagonal()).tolist()
    return wrong


def share(part: float, whole: float) -> float | None:
    """A part as a share of the whole; None if the whole is 0."""
    return float(part) / float(whole) if whole else None


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """Mean over the values that are not None; None if all are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def adjusted_rand(counts: Counts) -> float:
    """The adjusted Rand index of two divisions of the same items (Hubert and Arabie 1985).

    Args:
        counts: (a, b) items by their groups in both.

    Returns:
        1 if both are the same except for the numbers of their groups, about 0 for chance.

    >>> adjusted_rand(np.array([[0, 3], [2, 0]]))
    1.0
    """
    # ordered pairs of items, as Python's integers: pairs of pixels can exceed 64 bits
    items = int(counts.sum())
    both, first, second = (
        sum(size * size for size in sizes.ravel().tolist())
        for sizes in (counts, counts.sum(1), counts.sum(0))
    )
    together, apart = both - items, items * items - first - second + both
    only_first, only_second = first - both, second - both
    if not only_first and not only_second:
        return 1.0
    expected = (together + only_first) * (only_first + apart)
    expected += (together + only_second) * (only_second + apart)
    return 2 * (together * apart - only_first * only_second) / expected
