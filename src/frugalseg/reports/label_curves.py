"""Pictures of what labels are worth: accuracy against their share, their number and k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frugalseg.reports.panels import Line, Panel, draw_panels


def draw_label_curves(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw what :func:`frugalseg.recipes.semi.run_label_curves` found.

    Args:
        runs: its result: "run", "over_clusters", "by_share" and "by_choice" of each.
        path: SVG file: accuracy against the share of labels; against k, where runs differ in it;
            suggested against random images.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    panels = [Panel("share of the labels that name clusters", [_by_share(run) for run in runs])]
    against_k = _against_k(runs)
    if against_k:
        panels.append(Panel("overclusters", against_k))
    chosen = [line for run in runs for line in _by_choice(run, several=len(runs) > 1)]
    if any(line.xs for line in chosen):
        panels.append(Panel("labels", chosen))
    draw_panels(panels, "accuracy", path)


def _by_share(run: Mapping[str, Any]) -> Line:
    rows = sorted(run["by_share"], key=lambda row: row["share"])
    spread = [row["accuracy"] for row in rows]
    return Line(
        f"{run['run']}, {run['over_clusters']} overclusters",
        [row["share"] for row in rows],
        [each["mean"] for each in spread],
        [each["least"] for each in spread],
        [each["greatest"] for each in spread],
    )


def _against_k(runs: Sequence[Mapping[str, Any]]) -> list[Line]:
    """One line for each share that all runs have, if they differ in k; at most four."""
    if len({run["over_clusters"] for run in runs}) < 2:
        return []
    ordered = sorted(runs, key=lambda run: int(run["over_clusters"]))
    tables = [{row["share"]: row["accuracy"]["mean"] for row in r["by_share"]} for r in ordered]
    common = sorted(set.intersection(*(set(table) for table in tables)), reverse=True)
    places = [float(run["over_clusters"]) for run in ordered]
    return [
        Line(f"{share:.4g} of the labels", places, [table[share] for table in tables])
        for share in common[:: -(-len(common) // 4)]
    ]


def _by_choice(run: Mapping[str, Any], several: bool) -> list[Line]:
    rows = sorted(run["by_choice"], key=lambda row: row["labels"])
    numbers = [float(row["labels"]) for row in rows]
    random = [row["random"] for row in rows]
    where = f", {run['run']}" if several else ""
    return [
        Line(f"suggested{where}", numbers, [row["suggested"] for row in rows]),
        Line(
            f"random{where}",
            numbers,
            [each["mean"] for each in random],
            [each["least"] for each in random],
            [each["greatest"] for each in random],
        ),
    ]
