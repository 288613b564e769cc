"""Curves of quality against cost, as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SERIES_COLOURS = 8


@dataclass
class Series:
    """One line of a chart.

    Attributes:
        name: what the legend says; the page draws the legend.
        colour: number of the page's colour, 0 to SERIES_COLOURS - 1.
        points: cost, quality (means over seeds) and a short text such as "64x64", by rising cost.
        single: cost and quality of every single result, where there are seeds.
    """

    name: str
    colour: int
    points: list[tuple[float, float, str]] = field(default_factory=list)
    single: list[tuple[float, float]] = field(default_factory=list)


# Colours that stand for variables of the page's style, swapped in the finished SVG.
_INK, _FAINT, _LINE = "#010101", "#020202", "#030303"
_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--faint)", _LINE: "var(--line)"}
_VARIABLES |= {f"#0400{i:02x}": f"var(--series-{i})" for i in range(SERIES_COLOURS)}


def quality_chart(
    series: Sequence[Series], cost: str, quality: str, identifier: str, title: str
) -> str:
    """Draw quality against cost.

    Args:
        series: the lines; a point of one result alone is a dot.
        cost: text under the horizontal axis.
        quality: text of the vertical axis.
        identifier: a word of letters that no other chart on the page has.
        title: what the chart shows, for those who cannot see it.

    Returns:
        An `<svg>` element.
    """
    import matplotlib

    style = {"svg.fonttype": "none", "svg.hashsalt": identifier, "font.size": 10.5}
    with matplotlib.rc_context(style):
        figure, axes = _axes(cost, quality)
        for line in series:
            _draw(axes, line)
        _scale_cost(axes, [x for line in series for x, _, _ in line.points])
        axes.margins(y=0.14)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(file.getvalue(), identifier, title)


def curve_chart(series: Sequence[Series], across: str, up: str, identifier: str, title: str) -> str:
    """Draw curves through many points, such as losses against steps.

    Args:
        series: the lines; of their points the texts are written where there are any.
        across: text under the horizontal axis.
        up: text of the vertical axis.
        identifier: a word of letters that no other chart on the page has.
        title: what the chart shows, for those who cannot see it.

    Returns:
        An `<svg>` element.
    """
    import matplotlib

    style = {"svg.fonttype": "none", "svg.hashsalt": identifier, "font.size": 10.5}
    with matplotlib.rc_context(style):
        figure, axes = _axes(across, up)
        for line in series:
            colour = f"#0400{line.colour:02x}"
            xs, ys = [x for x, _, _ in line.points], [y for _, y, _ in line.points]
            few = "o" if len(xs) < 3 or any(text for *_, text in line.points) else ""
            axes.plot(xs, ys, color=colour, linewidth=2, marker=few, markersize=5)
            for x, y, text in line.points:
                if text:
                    axes.annotate(
                        text, (x, y), (0, 9), textcoords="offset points", ha="center", color=_INK
                    )
        axes.margins(y=0.12)
        axes.xaxis.get_major_locator().set_params(integer=True)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(file.getvalue(), identifier, title)


def _axes(cost: str, quality: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 3.7), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(cost, color=_INK)
    axes.set_ylabel(quality, color=_INK)
    axes.tick_params(which="both", colors=_FAINT, length=0)
    axes.grid(color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_LINE)
    return figure, axes


def _draw(axes: Any, line: Series) -> None:
    colour = f"#0400{line.colour:02x}"
    points = sorted(line.points)
    across, up = [x for x, _, _ in points], [y for _, y, _ in points]
    axes.plot(across, up, "-o", color=colour, linewidth=2, markersize=7)
    if line.single:
        axes.plot(*zip(*line.single, strict=True), ".", color=colour, alpha=0.45, markersize=5)
    for x, y, text in points:
        axes.annotate(
            text, (x, y), (0, 9), textcoords="offset points", ha="center", color=_FAINT, size=9
        )


def _scale_cost(axes: Any, costs: Sequence[float]) -> None:
    """Costs from zero, or by factors where they lie far apart."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    least, greatest = min(costs), max(costs)
    if least > 0 and greatest > 4 * least:
        axes.set_xscale("log")
        axes.set_xlim(least / 1.35, greatest * 1.35)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(0, greatest * 1.12 or 1)


def _for_page(svg: str, identifier: str, title: str) -> str:
    """Only the element; names unlike any other chart's, colours and fonts those of the page."""
    from markupsafe import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{identifier}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{identifier}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r"(font: [0-9.]+px)[^;\"]*", r"\1 var(--font)", svg)
    head = f'<svg role="img" aria-label="{escape(title)}"'
    return re.sub(r' (width|height)="[0-9.]+pt"', "", svg, count=2).replace("<svg", head, 1)
