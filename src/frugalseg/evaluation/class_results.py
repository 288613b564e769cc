"""Answers of a classifier: the table of predictions, their scores, and result files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.evaluation.results import FORMAT, command_line, environment
from frugalseg.files import write_json, write_whole
from frugalseg.information import confusion

TASK = "finetune"
_COLUMNS = ("file", "class", "confidence", "second_choice", "second_confidence")


def write_predictions(
    names: Sequence[str],
    probabilities: NDArray[np.floating],
    class_names: Sequence[str],
    path: Path,
) -> None:
    """Write the table, one line an image.

    Args:
        names: of the images.
        probabilities: (N, classes).
        class_names: of the classes.
        path: the CSV file.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    order = np.argsort(-probabilities, 1, kind="stable")
    for name, answer, (first, second) in zip(names, probabilities, order[:, :2], strict=True):
        row = [name, class_names[first], f"{answer[first]:.4f}"]
        writer.writerow([*row, class_names[second], f"{answer[second]:.4f}"])
    write_whole(text.getvalue().encode(), path)


def class_scores(
    answers: NDArray[np.int64], labels: NDArray[np.int64], class_names: Sequence[str]
) -> dict[str, Any]:
    """How good the answers are.

    Args:
        answers: (N,) class indices.
        labels: (N,) class indices, all known.
        class_names: what they mean.

    Returns:
        "accuracy"; "balanced", the mean over classes of the share of their images that is right;
        "classes", that share by class, None for classes without images; "confusion", images of each
        true class (rows) by answer; "images".
    """
    count = len(class_names)
    table = confusion(answers, labels, count, count).T
    sizes = table.sum(1)
    each = [float(table[k, k] / sizes[k]) if sizes[k] else None for k in range(count)]
    return {
        "accuracy": float(np.trace(table) / sizes.sum()),
        "balanced": float(np.mean([share for share in each if share is not None])),
        "classes": dict(zip(class_names, each, strict=True)),
        "confusion": table.tolist(),
        "images": int(sizes.sum()),
    }


def write_class_result(what: Mapping[str, Any], scores: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON.

    Args:
        what: was run: "run", "data", "split", "learned" (number of labels), "seed", ...
        scores: of :func:`class_scores`.
        path: the file.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    result = {
        "format": FORMAT,
        "task": TASK,
        "what": {"command": command_line(), **what},
        "environment": environment(),
        "scores": dict(scores),
    }
    write_json(result, path)


def class_table(what: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """Markdown: the whole, then the classes, the worst first."""
    lines = [
        "| run | data | split | labels | images | accuracy | mean of classes |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
        f"| {what['run']} | {what['data']} | {what['split']} | {what['learned']} "
        f"| {scores['images']} | {scores['accuracy']:.3f} | {scores['balanced']:.3f} |",
    ]
    known = [(share, name) for name, share in scores["classes"].items() if share is not None]
    worst = ", ".join(f"{name} {share:.0%}" for share, name in sorted(known)[:5])
    return "\n".join(lines) + f"\n\nRight by class, the worst first: {worst}\n"
