"""Charts side by side as one SVG file: lines with bands from least to greatest."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
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
    """One chart: what stands across (and up, where charts differ); do places go by factors?"""

    across: str
    lines: list[Line] = field(default_factory=list)
    by_factors: bool = True
    up: str = ""


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

    with matplotlib.rc_context({"svg.hashsalt": "panels", "font.size": 10}):
        figure = Figure(figsize=(5.2 * len(panels), 4.2), layout="constrained")
        for axes, panel in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _draw(axes, panel, panel.up or up)
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
        axes.set_xticks(_apart(x for line in panel.lines for x in line.xs))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.4g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(panel.across)
    axes.set_ylabel(up)
    axes.grid(color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _apart(places: Iterable[float]) -> list[float]:
    """Places for ticks: those that would write over the last one are left out."""
    kept: list[float] = []
    for place in sorted(set(places)):
        if not kept or place > 1.2 * kept[-1]:
            kept.append(place)
    return kept
