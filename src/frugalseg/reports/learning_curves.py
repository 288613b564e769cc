"""Curves of a training, from the lines of metrics.jsonl, and of the choice of a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frugalseg.reports.charts import SERIES_COLOURS, Series, curve_chart

History = Sequence[Mapping[str, Any]]
_CURVES = (
    ("Loss", "nats", {"main": "main head", "over": "overclustering head"}),
    (
        "Health",
        "share",
        {"balance": "balance", "doubt": "doubt", "agreement": "agreement of views"},
    ),
    ("Accuracy of the sub-heads, for comparison only", "accuracy", {"accuracy": "sub-head"}),
)
_COMPARED = (
    ("Loss of the main head", "nats", "main"),
    ("Doubt", "share", "doubt"),
    ("Agreement of views", "share", "agreement"),
)


def learning_charts(history: History) -> list[dict[str, Any]]:
    """Charts of a training: losses, health, and accuracy where there were labels.

    Args:
        history: lines of metrics.jsonl: "training", "step" and numbers, or lists of numbers.

    Returns:
        Of each chart "title", "svg" and "legend", a list of names and colours; none where there is
        nothing to draw.
    """
    charts = []
    for title, unit, numbers in _CURVES:
        lines = [
            Series(f"{name}{where}", 0, points)
            for key, name in numbers.items()
            for where, points in _points(history, key)
        ]
        charts.append((title, unit, lines))
    return _drawn(charts)


def compared_charts(histories: Mapping[str, History]) -> list[dict[str, Any]]:
    """Charts that compare trainings.

    Args:
        histories: by run, the lines of metrics.jsonl of the training that was kept.

    Returns:
        As :func:`learning_charts`; a line of each chart is a run.
    """
    charts = []
    for title, unit, key in _COMPARED:
        lines = [
            Series(run, 0, points)
            for run, history in histories.items()
            for _, points in _points(history, key)
        ]
        charts.append((title, unit, lines))
    return _drawn(charts)


def _drawn(charts: Sequence[tuple[str, str, list[Series]]]) -> list[dict[str, Any]]:
    found = []
    for i, (title, unit, lines) in enumerate(charts):
        if not lines:
            continue
        for number, line in enumerate(lines):
            line.colour = (number + 1) % SERIES_COLOURS
        svg = curve_chart(lines, "steps", unit, f"curve{'abc'[i]}", f"{title} against steps")
        legend = [(line.name, line.colour) for line in lines]
        found.append({"title": title, "svg": svg, "legend": legend})
    return found


def _points(history: History, key: str) -> list[tuple[str, list[tuple[float, float, str]]]]:
    """Curves of a number against steps, one for each training (and sub-head) that has it."""
    curves: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
    for line in history:
        found = line.get(key)
        values = found if isinstance(found, list) else [] if found is None else [found]
        for i, value in enumerate(values):
            which = (f" {i + 1}" if len(values) > 1 else "", str(line.get("training", "")))
            curves.setdefault(which, []).append((float(line["step"]), float(value), ""))
    several = len({training for _, training in curves}) > 1
    return [
        (f"{number}, {training}" if several else number, points)
        for (number, training), points in curves.items()
    ]


def count_chart(counts: Mapping[str, Any], across: str = "clusters") -> str:
    """The curve on which a number of clusters was chosen, as SVG.

    Args:
        counts: "curve", a list of (number, value); "chosen"; and "value", what the curve shows.
        across: text under the horizontal axis.
    """
    points = [
        (float(k), float(value), str(k) if k == counts["chosen"] else "")
        for k, value in counts["curve"]
    ]
    plain = [(x, y, "") for x, y, _ in points]
    chosen = [point for point in points if point[2]]
    lines = [Series("curve", 2, plain), Series("chosen", 1, chosen)]
    title = f"The curve on which the number of {across} was chosen"
    return curve_chart(lines, across, str(counts.get("value", "value")), "count", title)
