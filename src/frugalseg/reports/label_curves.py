"""Pictures of what labels are worth: accuracy against their share, their number and k."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frugalseg.files import write_whole

# Okabe and Ito's, told apart by the colour-blind as well
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


@dataclass(frozen=True)
class Line:
    """One line of a panel: places, means, and the least and greatest where there are several."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    least: Sequence[float] = ()
    greatest: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """One chart: what stands across, its lines, and whether places go by factors."""

    across: str
    lines: list[Line] = field(default_factory=list)
    by_factors: bool = True


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


def draw_panels(panels: Sequence[Panel], up: str, path: Path) -> None:
    """Draw charts side by side; the bands are from least to greatest.

    Args:
        panels: the charts.
        up: text of the vertical axes.
        path: SVG file.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "labels", "font.size": 10}):
        figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
        for axes, panel in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _draw(axes, panel, up)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    write_whole(file.getvalue().encode(), path)


def _draw(axes: Any, panel: Panel, up: str) -> None:
    for k, line in enumerate(panel.lines):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(line.xs, line.ys, "o-", color=colour, label=line.name, markersize=4)
        if line.least:
            axes.fill_between(
                line.xs, line.least, line.greatest, color=colour, alpha=0.18, linewidth=0
            )
    if panel.by_factors:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes.set_xscale("log")
        axes.set_xticks(sorted({x for line in panel.lines for x in line.xs}))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(panel.across)
    axes.set_ylabel(up)
    axes.grid(color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
