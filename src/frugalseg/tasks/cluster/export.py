"""assignments.csv: the cluster of each image, its probability, and the second choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table, write_csv


def write_choices(
    names: Sequence[str],
    probabilities: NDArray[np.floating],
    path: Path,
    column: str = "cluster",
    answers: Sequence[str] = (),
    titles: Sequence[str] = (),
) -> None:
    """Write a table of the two most probable answers for each image, one line an image.

    Args:
        names: of the images.
        probabilities: (N, k).
        path: the CSV file.
        column: heading of the first choice.
        answers: (k,) the text of each answer; by default its number.
        titles: (k,) texts of a last column "name" for the first choice; none, no such column.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    answers = answers or [str(number) for number in range(probabilities.shape[1])]
    header = ("file", column, "confidence", "second_choice", "second_confidence")
    rows: list[Sequence[str]] = [(*header, "name") if titles else header]
    order = np.argsort(-probabilities, 1, kind="stable")[:, [0, min(1, len(answers) - 1)]]
    for name, answer, (first, second) in zip(names, probabilities, order.tolist(), strict=True):
        row = [name, answers[first], f"{answer[first]:.4f}"]
        row += [answers[second], f"{answer[second]:.4f}"]
        rows.append([*row, titles[first]] if titles else row)
    write_csv(rows, path)


def read_assignments(path: Path) -> dict[str, int]:
    """The clusters in assignments.csv, by the names of the images.

    Raises:
        FrugalsegError: the file cannot be read or is no such table.
    """
    try:
        return {
            row["file"]: int(row["cluster"]) for _, row in read_table(path, ("file", "cluster"))
        }
    except ValueError as error:
        raise FrugalsegError(f"{path}: its column 'cluster' must hold whole numbers.") from error
