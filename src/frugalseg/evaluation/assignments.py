"""assignments.csv: which image went to which cluster, how surely, and what came second."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data._tables import read_table
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_whole

_COLUMNS = ("file", "cluster", "confidence", "second_choice", "second_confidence")


def write_assignments(
    names: Sequence[str],
    probabilities: NDArray[np.floating],
    path: Path,
    cluster_names: Sequence[str] = (),
) -> None:
    """Write the table, one line an image.

    Args:
        names: of the images.
        probabilities: (N, k).
        path: the CSV file.
        cluster_names: (k,) put into a last column "name"; without them there is none.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    order = np.argsort(-probabilities, 1, kind="stable")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(["name"] if cluster_names else [])])
    for name, answer, ranked in zip(names, probabilities, order, strict=True):
        first, second = int(ranked[0]), int(ranked[min(1, len(ranked) - 1)])
        row = [name, first, f"{answer[first]:.4f}", second, f"{answer[second]:.4f}"]
        writer.writerow([*row, *([cluster_names[first]] if cluster_names else [])])
    write_whole(text.getvalue().encode(), path)


def read_assignments(path: Path) -> dict[str, int]:
    """Clusters by the names of the images.

    Raises:
        FrugalsegError: the file cannot be read or holds something else.
    """
    try:
        return {row["file"]: int(row["cluster"]) for _, row in read_table(path, _COLUMNS[:2])}
    except ValueError as error:
        raise FrugalsegError(f"{path}: its column 'cluster' must hold whole numbers.") from error
