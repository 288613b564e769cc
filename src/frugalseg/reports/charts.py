"""Charts as SVG elements for HTML pages.

A chart takes its ink and the colours of its lines from variables of the page's style, so that it
suits light and dark screens; the page draws the legend.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SERIES_COLOURS = 8

History = Sequence[Mapping[str, Any]]


@dataclass
class Series:
    """One line of a chart on a page.

    Attributes:
        name: its text in the legend.
        colour: number of the page's colour, 0 to SERIES_COLOURS - 1.
        points: x and y (means over seeds) and a short text such as "64x64".
        single: x and y of every single result, if there are several seeds.
    """

    name: str
    colour: int
    points: list[tuple[float, float, str]] = field(default_factory=list)
    single: list[tuple[float, float]] = field(default_factory=list)


# Placeholders for variables of the page's style, replaced in the finished SVG.
_INK, _FAINT, _LINE = "#010101", "#020202", "#030303"
_SERIES = tuple(f"#0400{i:02x}" for i in range(SERIES_COLOURS))
_VARIABLES = {_INK: "var(--ink)", _FAINT: "var(--faint)", _LINE: "var(--line)"}
_VARIABLES |= {colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES)}


def quality_chart(
    series: Sequence[Series], cost: str, quality: str, identifier: str, title: str
) -> str:
    """Draw quality against cost.

    Args:
        series: the lines; a line of one point is a dot.
        cost: text under the horizontal axis.
        quality: text of the vertical axis.
        identifier: a word of letters that no other chart on the page has.
        title: what the chart shows, for those who cannot see it.

    Returns:
        An `<svg>` element.
    """

    def draw(axes: Any) -> None:
        for line in series:
            colour, points = _SERIES[line.colour], sorted(line.points)
            xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
            axes.plot(xs, ys, "-o", color=colour, linewidth=2, markersize=7)
            if line.single:
                singles = zip(*line.single, strict=True)
                axes.plot(*singles, ".", color=colour, alpha=0.45, markersize=5)
            _write_texts(axes, points, color=_FAINT, size=9)
        _scale_cost(axes, [x for line in series for x, _, _ in line.points])
        axes.margins(y=0.14)

    return _chart(draw, cost, quality, identifier, title)


def _curve_chart(
    series: Sequence[Series], across: str, up: str, identifier: str, title: str
) -> str:
    """Draw curves, as :func:`quality_chart`; points are marked if they have texts or are few."""

    def draw(axes: Any) -> None:
        for line in series:
            xs, ys = [x for x, _, _ in line.points], [y for _, y, _ in line.points]
            marker = "o" if len(xs) < 3 or any(text for *_, text in line.points) else ""
            colour = _SERIES[line.colour]
            axes.plot(xs, ys, color=colour, linewidth=2, marker=marker, markersize=5)
            _write_texts(axes, line.points, color=_INK)
        axes.margins(y=0.12)
        axes.xaxis.get_major_locator().set_params(integer=True)

    return _chart(draw, across, up, identifier, title)


def _chart(draw: Callable[[Any], None], across: str, up: str, identifier: str, title: str) -> str:
    """Make an SVG element of one pair of axes; `draw` draws on them."""
    import matplotlib
    from matplotlib.figure import Figure

    style = {"svg.fonttype": "none", "svg.hashsalt": identifier, "font.size": 10.5}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(5.4, 3.7), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(across, color=_INK)
        axes.set_ylabel(up, color=_INK)
        axes.tick_params(which="both", colors=_FAINT, length=0)
        axes.grid(color=_LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(_LINE)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
        return _for_page(file.getvalue(), identifier, title)


def _write_texts(axes: Any, points: Sequence[tuple[float, float, str]], **style: Any) -> None:
    """Write the texts of points above them."""
    for x, y, text in points:
        if text:
            axes.annotate(text, (x, y), (0, 9), textcoords="offset points", ha="center", **style)


def _scale_cost(axes: Any, costs: Sequence[float]) -> None:
    """Scale the horizontal axis from zero, or logarithmically if the costs lie far apart."""
    from matplotlib.ticker import LogLocator

    lowest, highest = min(costs), max(costs)
    if lowest > 0 and highest > 4 * lowest:
        scale_by_factors(axes, ",.10g")
        axes.set_xlim(lowest / 1.35, highest * 1.35)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    else:
        axes.set_xlim(0, highest * 1.12 or 1)


def scale_by_factors(axes: Any, form: str) -> None:
    """Make the horizontal axis of a matplotlib chart logarithmic, with plain numbers.

    Args:
        axes: the matplotlib axes.
        form: format of the numbers.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: format(x, form)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _for_page(svg: str, identifier: str, title: str) -> str:
    """The `<svg>` element alone, with unique names and the colours and fonts of the page."""
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


# Charts of metrics.jsonl: title, unit, and the names of the curves by key.
_LEARNING = (
    ("Loss", "nats", {"main": "main head", "overcluster": "overclustering head"}),
    (
        "Diagnostics",
        "share",
        {"balance": "balance", "entropy": "entropy", "agreement": "agreement of views"},
    ),
    ("Accuracy of the sub-heads, for comparison only", "accuracy", {"accuracy": "sub-head"}),
)
_COMPARED = (
    ("Loss of the main head", "nats", "main"),
    ("Entropy of single answers", "share", "entropy"),
    ("Agreement of views", "share", "agreement"),
)
Curve = tuple[str, list[tuple[float, float, str]]]  # name and points


def learning_charts(history: History) -> list[dict[str, Any]]:
    """Charts of a training: losses, diagnostics, and accuracy if there were labels.

    Args:
        history: lines of metrics.jsonl: "training", "step" and numbers, or lists of numbers.

    Returns:
        For each chart "title", "svg" and "legend", a list of names and colours. A chart without
        data is left out.
    """
    charts = []
    for title, unit, names in _LEARNING:
        curves = [
            (name + suffix, points)
            for key, name in names.items()
            for suffix, points in _curves(history, key)
        ]
        charts.append((title, unit, curves))
    return _against_steps(charts)


def compared_charts(histories: Mapping[str, History]) -> list[dict[str, Any]]:
    """Charts that compare trainings.

    Args:
        histories: for each run, the lines of metrics.jsonl of the training that was kept.

    Returns:
        As :func:`learning_charts`; each line of a chart is a run.
    """
    charts = []
    for title, unit, key in _COMPARED:
        curves = [
            (run, points) for run, each in histories.items() for _, points in _curves(each, key)
        ]
        charts.append((title, unit, curves))
    return _against_steps(charts)


def _against_steps(charts: Sequence[tuple[str, str, list[Curve]]]) -> list[dict[str, Any]]:
    """Draw charts of title, unit and curves, without those that have no curve."""
    drawn = []
    for i, (title, unit, curves) in enumerate(charts):
        if not curves:
            continue
        lines = [
            Series(name, (number + 1) % SERIES_COLOURS, points)
            for number, (name, points) in enumerate(curves)
        ]
        svg = _curve_chart(lines, "steps", unit, f"curve{'abc'[i]}", f"{title} against steps")
        legend = [(line.name, line.colour) for line in lines]
        drawn.append({"title": title, "svg": svg, "legend": legend})
    return drawn


def _curves(history: History, key: str) -> list[Curve]:
    """Curves of a number against steps, one for each training (and sub-head) that has it."""
    curves: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
    for line in history:
        value = line.get(key)
        values = value if isinstance(value, list) else [] if value is None else [value]
        for i, each in enumerate(values):
            name = (f" {i + 1}" if len(values) > 1 else "", str(line.get("training", "")))
            curves.setdefault(name, []).append((float(line["step"]), float(each), ""))
    several = len({training for _, training in curves}) > 1
    return [
        (f"{number}, {training}" if several else number, points)
        for (number, training), points in curves.items()
    ]


def count_chart(counts: Mapping[str, Any], across: str = "clusters") -> str:
    """The curve by which a number of clusters was chosen, as SVG.

    Args:
        counts: "curve", a list of (number, value); "chosen"; and "value", the name of the value.
        across: text under the horizontal axis.
    """
    plain = [(float(k), float(value), "") for k, value in counts["curve"]]
    chosen = [(float(k), float(v), str(k)) for k, v in counts["curve"] if k == counts["chosen"]]
    lines = [Series("curve", 2, plain), Series("chosen", 1, chosen)]
    title = f"The curve on which the number of {across} was chosen"
    return _curve_chart(lines, across, str(counts.get("value", "value")), "count", title)
