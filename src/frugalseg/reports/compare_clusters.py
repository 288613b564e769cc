"""One page that compares clusterings: their scores, and how far they agree with each other."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.evaluation.cluster_results import TASK, Columns, columns_of, group_cluster_seeds
from frugalseg.evaluation.results import mean_and_range
from frugalseg.files import write_whole
from frugalseg.reports._page import render
from frugalseg.reports.cluster_words import health_in_words


def write_cluster_comparison(
    results: Sequence[dict[str, Any]],
    assignments: Mapping[str, Mapping[str, int]],
    path: Path | str,
) -> None:
    """Write the page.

    Args:
        results: as `read_cluster_result` gives them; those that differ by seed alone are one row.
        assignments: by run, the clusters by the names of the images.
        path: HTML file; it needs no other file and no network.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    sets = dict.fromkeys(f"{r['what']['data']}, {r['what']['split']}" for r in results)
    columns = columns_of(results)
    kind = "Clusterings" if results[0]["task"] == TASK else "Discoveries"
    page = render(
        "compare_clusters.html",
        title=f"{kind} of {' and '.join(sets)}",
        columns=[name for name, _, _ in columns],
        rows=[_row(group, columns) for group in group_cluster_seeds(results)],
        remarks=[
            (r["what"]["run"], remark)
            for r in results
            for remark in health_in_words(r["health"], r["losses"])
        ],
        names=list(assignments),
        agreement=agreement_table(assignments),
        results=results,
    )
    write_whole(page.encode(), path)


def _row(group: Sequence[dict[str, Any]], columns: Columns) -> dict[str, Any]:
    cells = []
    for _, form, value in columns:
        numbers = mean_and_range(group, value)
        if numbers is None:
            cells.append({"text": "none", "range": ""})
            continue
        mean, least, greatest = (format(number, form) for number in numbers)
        spread = f"{least} to {greatest}" if least != greatest else ""
        cells.append({"text": mean, "range": spread})
    what = group[0]["what"]
    name = ", ".join(result["what"]["run"] for result in group)
    return {"name": name, "clusters": what["clusters"], "trunk": what.get("trunk"), "cells": cells}


def agreement_table(
    assignments: Mapping[str, Mapping[str, int]],
) -> list[list[float | None]]:
    """How far each two clusterings agree, by the adjusted Rand index.

    Args:
        assignments: by run, the clusters by the names of the images.

    Returns:
        A symmetric table: 1 where two agree wholly, about 0 for chance; None where they share
        fewer than two images.
    """
    runs = list(assignments.values())
    table: list[list[float | None]] = [[1.0] * len(runs) for _ in runs]
    for (i, one), (j, other) in itertools.combinations(enumerate(runs), 2):
        table[i][j] = table[j][i] = _agreement(one, other)
    return table


def _agreement(one: Mapping[str, int], other: Mapping[str, int]) -> float | None:
    from sklearn.metrics import adjusted_rand_score

    shared = sorted(one.keys() & other.keys())
    if len(shared) < 2:
        return None
    first, second = (_clusters(each, shared) for each in (one, other))
    return float(adjusted_rand_score(first, second))


def _clusters(assigned: Mapping[str, int], names: Sequence[str]) -> NDArray[np.int64]:
    return np.array([assigned[name] for name in names], np.int64)
