"""Scores of the answers of a classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.metrics.confusion import accuracy, confusion, mean_of_known, share


def class_scores(
    answers: NDArray[np.int64], labels: NDArray[np.int64], class_names: Sequence[str]
) -> dict[str, Any]:
    """Scores of answers against labels.

    Args:
        answers: (N,) class indices.
        labels: (N,) class indices, all known.
        class_names: of these classes.

    Returns:
        "accuracy"; "classes", by class the share of its images that is right, None if it has no
        images; "balanced", the mean of these shares; "class_names"; "confusion", images of each
        true class (rows) by answer; "images".
    """
    counts = confusion(answers, labels, len(class_names), len(class_names))
    sizes = counts.sum(0)
    shares = [share(right, size) for right, size in zip(counts.diagonal(), sizes, strict=True)]
    return {
        "accuracy": accuracy(counts),
        "balanced": mean_of_known(shares),
        "classes": dict(zip(class_names, shares, strict=True)),
        "class_names": list(class_names),
        "confusion": counts.T.tolist(),
        "images": int(sizes.sum()),
    }


def worst_classes(scores: Mapping[str, Any]) -> str:
    """A line on the five classes with the smallest shares of right answers.

    Args:
        scores: of :func:`class_scores`.
    """
    known = [(right, name) for name, right in scores["classes"].items() if right is not None]
    worst = ", ".join(f"{name} {right:.0%}" for right, name in sorted(known)[:5])
    return f"Right by class, the worst first: {worst}\n"
