"""Tables in Markdown, and cells of the tables of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def markdown_table(
    header: Sequence[object], rows: Iterable[Sequence[object]], words: int = 1
) -> str:
    """A table in Markdown.

    Args:
        header: names of the columns.
        rows: their cells, one for each column.
        words: number of columns that hold words, on the left; the others hold numbers.

    Returns:
        The lines; the last one ends with a newline too.

    >>> print(markdown_table(["run", "mIoU"], [["a|b", 0.5]]), end="")
    | run | mIoU |
    | --- | ---: |
    | a\\|b | 0.5 |
    """
    rule = ["---" if i < words else "---:" for i in range(len(header))]
    escaped = ([str(cell).replace("|", r"\|") for cell in row] for row in rows)
    lines = [list(map(str, header)), rule, *escaped]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def iou_lines(scores: Mapping[str, Any]) -> str:
    """The IoU of each class in a line, and its mean by both conventions in words.

    Args:
        scores: of a segmentation or a discovery: "iou" and "miou"; "false_pixels" and
            "miou_true_or_predicted" are missing from older results.
    """
    false_pixels = scores.get("false_pixels", {})
    lines = []
    for name, iou in scores["iou"].items():
        wrong = false_pixels.get(name, 0)
        absent = f"absent, but {wrong:,} pixels are wrongly given to it" if wrong else "absent"
        lines.append(f"  {name:20s} {absent if iou is None else f'{iou:.3f}'}\n")
    keys = ("miou", "miou_true_or_predicted")
    means = [
        value["all"] if isinstance(value, Mapping) else value for value in map(scores.get, keys)
    ]
    if None not in means:
        true, either = means
        lines.append(
            f"mIoU over the classes that occur in the truth: {true:.3f} (in the table); in the "
            f"truth or the answers: {either:.3f} (as scikit-learn and torchmetrics count).\n"
        )
    return "".join(lines)


def spread_cell(
    numbers: tuple[float, float, float] | None, form: str, factor: float = 1.0
) -> dict[str, Any]:
    """A cell of a page: the mean of several results, and their range below it.

    Args:
        numbers: mean, minimum and maximum; None if no result has a value.
        form: number format.
        factor: by which the numbers are multiplied.

    Returns:
        "text", "range" (empty if minimum and maximum look the same) and "value", the unscaled mean.
    """
    if numbers is None:
        return {"text": "none", "range": "", "value": None}
    mean, lowest, highest = (format(number * factor, form) for number in numbers)
    spread = f"{lowest} to {highest}" if lowest != highest else ""
    return {"text": mean, "range": spread, "value": numbers[0]}


def confusion_table(
    counts: ArrayLike, groups: Sequence[str], classes: Sequence[str], shares: bool
) -> dict[str, Any]:
    """Items of each class in each cluster or region, shaded by their share of the group.

    Args:
        counts: (groups, classes).
        groups: names of the rows.
        classes: names of the columns.
        shares: show shares of the group, not counts.

    Returns:
        "classes", and "rows": each "name" and "cells" of "text", "tint" and "count".
    """
    table = np.asarray(counts)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)

    def cell(count: int, part: float) -> dict[str, Any]:
        text = f"{part:.0%}" if shares and part >= 0.005 else str(count) if not shares else ""
        tint = round(float(part) * 0.6, 3)
        return {"text": text if count else "", "tint": tint, "count": f"{count:,}"}

    rows = [
        {"name": name, "cells": [cell(int(n), s) for n, s in zip(line, part, strict=True)]}
        for name, line, part in zip(groups, table, share, strict=True)
    ]
    return {"classes": list(classes), "rows": rows}
