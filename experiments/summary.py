"""The table and the curve of all results in a folder."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.panels import Line, Panel, draw_panels
from experiments.results import read_results
from frugalseg.engine.results import Result, Value, group_seeds, mean_and_range, results_table
from frugalseg.files import atomic_write
from frugalseg.tasks.iic.report import score


@dataclass(frozen=True)
class Curve:
    """What the picture of a grid shows.

    Attributes:
        across: text of the horizontal axis.
        x: the place of a result on it, the same for all seeds.
        line: which line a result belongs to.
        panels: text of the vertical axis and the value, for each chart.
    """

    across: str
    x: Value
    line: Callable[[Result], str]
    panels: tuple[tuple[str, Value], ...]


def _groups(result: Result) -> str:
    return f"{result.what['backbone']}, {result.what['clusters']} groups"


CURVES = {
    "segment": Curve(
        "M multiply-adds an image",
        lambda result: result.parts["cost"]["multiply_adds"]["total"] / 1e6,
        lambda result: str(result.what["sampler"]),
        (
            ("mIoU all", lambda result: (result.scores or {})["miou"]["all"]),
            ("mIoU target", lambda result: (result.scores or {})["miou"]["target"]),
        ),
    ),
    "cluster": Curve(
        "steps", lambda result: result.what["steps"], _groups, (("accuracy", score("accuracy")),)
    ),
    "discover": Curve(
        "steps",
        lambda result: result.what["steps"],
        _groups,
        (("accuracy", score("accuracy")), ("mIoU", score("miou"))),
    ),
    "finetune": Curve(
        "labels",
        lambda result: result.what["learned"],
        lambda result: "from nothing" if result.what["untrained"] else "on the clustered backbone",
        (("accuracy", score("accuracy")),),
    ),
}


def write_summary(folder: Path) -> str:
    """Write ``table.md`` and ``curve.svg`` of all results in a folder; the table."""
    results = read_results(folder)
    table = summary_table(results)
    atomic_write(table.encode(), folder / "table.md")
    for task, curve in CURVES.items():
        some = [result for result in results if result.kind.task == task]
        if some:
            draw_curve(some, curve, folder / "curve.svg")
    return table


def summary_table(results: Sequence[Result]) -> str:
    """Means over seeds, the cheaper ones first; of several kinds one table below the other."""
    kinds = itertools.groupby(sorted(results, key=_place), lambda result: result.kind.task)
    ordered = [list(some) for _, some in kinds]
    return "\n".join(map(results_table, ordered)) + _oracles(list(itertools.chain(*ordered)))


def _oracles(results: Sequence[Result]) -> str:
    """What the best step would have scored, of runs that were watched by labels."""
    stops = [
        f"{result.run}: {result.parts['oracle']['accuracy']:.3f} "
        f"at step {result.parts['oracle']['step']}"
        for result in results
        if result.parts.get("oracle")
    ]
    if not stops:
        return ""
    return (
        "\nIf labels chose the step (used nowhere above; accuracy on some of what was learned "
        f"from): {'; '.join(stops)}.\n"
    )


def _place(result: Result) -> tuple[str, float]:
    curve = CURVES.get(result.kind.task)
    return result.kind.task, 0.0 if curve is None else float(curve.x(result) or 0)


def draw_curve(results: Sequence[Result], curve: Curve, path: Path) -> None:
    """Draw scores: a chart for each, a line for each group of runs, bands over seeds.

    Args:
        results: of one kind.
        curve: what is drawn.
        path: SVG file; none is written without scores, or if all lie at one place.
    """
    panels = []
    groups = sorted(group_seeds(results), key=lambda group: curve.x(group[0]) or 0)
    for up, value in curve.panels:
        lines: dict[str, list[tuple[float, float, float, float]]] = {}
        for group in groups:
            spread = mean_and_range(group, value)
            if spread is not None:
                place = float(curve.x(group[0]) or 0)
                lines.setdefault(curve.line(group[0]), []).append((place, *spread))
        drawn = [Line(name, *zip(*points, strict=True)) for name, points in lines.items()]
        if drawn:
            panels.append(Panel(curve.across, drawn, up=up))
    if len({place for panel in panels for line in panel.lines for place in line.xs}) > 1:
        draw_panels(panels, "", path)
