"""Charts side by side in one SVG file, for documents."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frugalseg.files import atomic_write
from frugalseg.reports.charts import scale_by_factors

# Okabe and Ito's colours, which the colour-blind can distinguish as well.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


@dataclass(frozen=True)
class Line:
    """One line of a panel: its points, and the least and greatest values if each is a mean."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    least: Sequence[float] = ()
    greatest: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """One of several charts; `up` is set only if it differs from that of the others."""

    across: str
    lines: list[Line] = field(default_factory=list)
    by_factors: bool = True
    up: str = ""


def draw_panels(panels: Sequence[Panel], up: str, path: Path) -> None:
    """Draw charts side by side, with bands from the least to the greatest value.

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
        every = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(every, panels, strict=True):
            _draw_panel(axes, panel, panel.up or up)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
        atomic_write(file.getvalue(), path)


def _draw_panel(axes: Any, panel: Panel, up: str) -> None:
    for k, line in enumerate(panel.lines):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(line.xs, line.ys, "o-", color=colour, label=line.name, markersize=4)
        if line.least:
            axes.fill_between(
                line.xs, line.least, line.greatest, color=colour, alpha=0.18, linewidth=0
            )
    if panel.by_factors:
        scale_by_factors(axes, ".4g")
        axes.set_xticks(_spread_ticks(x for line in panel.lines for x in line.xs))
        axes.minorticks_off()
        axes.tick_params(axis="x", rotation=45)
    axes.set_xlabel(panel.across)
    axes.set_ylabel(up)
    axes.grid(color="#dddddd")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def _spread_ticks(places: Iterable[float]) -> list[float]:
    """Places for ticks, without those whose text would overlap the last one's."""
    kept: list[float] = []
    for place in sorted(set(places)):
        if not kept or place > 1.2 * kept[-1]:
            kept.append(place)
    return kept
