"""One self-contained page that compares runs: what they cost, what they get right, how it looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import group_seeds, mean_and_range, run_label
from frugalseg.files import write_whole
from frugalseg.reports._page import render
from frugalseg.reports.charts import SERIES_COLOURS, Series, quality_chart
from frugalseg.reports.pictures import colour_labels, draw_samples, picture, shrink

# Bytes of the pictures in the page; beyond it they are made smaller.
PICTURE_BUDGET = 11_000_000

Value = Callable[[dict[str, Any]], "float | None"]


@dataclass
class Run:
    """Results that differ by seed alone, and how the page names and colours them."""

    label: str
    series: str
    results: list[dict[str, Any]]
    colour: int = 0

    @property
    def points(self) -> str:
        """Samples an image, such as "64x64"."""
        return "x".join(map(str, self.results[0]["what"]["size"]))


def write_comparison(
    results: Sequence[dict[str, Any]], examples: Sequence[dict[str, Any]], path: Path | str
) -> None:
    """Write the page.

    Args:
        results: as `read_result` gives them; those that differ by seed alone are shown together,
            and differences are to the first.
        examples: images with what each run made of them: "name", and "runs", a list of "label",
            "image" (H, W, 3) uint8, "phi" (h, w, 2) in [0, 1], "warped" (h, w, 3) uint8, "answer"
            (H, W) class indices, "truth" (H, W) or None, "colours" (C, 3) uint8.
        path: HTML file; it needs no other file and no network.

    Raises:
        FrugalsegError: there is no result, or the file cannot be written.
    """
    if not results:
        raise FrugalsegError("There is nothing to compare: name at least one evaluated run.")
    runs = name_runs(group_seeds(results))
    names = list(dict.fromkeys(name for result in results for name in result["scores"]["iou"]))
    what = "Quality against cost" if len(runs) > 1 else runs[0].label
    page = render(
        "compare.html",
        title=f"{what} on {_sets(results)}",
        runs=runs,
        images=_agreed([result["scores"].get("images") for result in results]),
        warnings=_warnings(results),
        cost=_cost_table(runs),
        stages=_stage_table(runs),
        charts=_charts(runs) if len(runs) > 1 else [],
        legend={run.series: run.colour for run in runs},
        iou=_iou_table(runs, names),
        objects=_object_tables(runs),
        bands=_band_table(runs),
        examples=_fit_examples(examples, "truth" if _truth(results[0]) == "masks" else "regions"),
        class_colours=_class_colours(examples, names),
        not_counted=list(dict.fromkeys(result["cost"]["not_counted"] for result in results)),
        results=results,
    )
    write_whole(page.encode(), path)


def name_runs(groups: Sequence[list[dict[str, Any]]]) -> list[Run]:
    """Name each group by sampler and points, and by whatever else sets it apart."""
    whats = [group[0]["what"] for group in groups]
    varying = [
        key
        for key in ("data", "split", "segmenter", "encoder", "steps", "variant")
        if len({str(what.get(key)) for what in whats}) > 1
    ]
    runs = []
    for group, what in zip(groups, whats, strict=True):
        extra = ", ".join(_named(key, what.get(key)) for key in varying if what.get(key))
        extra = f", {extra}" if extra else ""
        runs.append(Run(run_label(group[0]) + extra, what["sampler"] + extra, group))
    labels = [run.label for run in runs]
    for run in runs:
        if labels.count(run.label) > 1:
            run.label = f"{run.label}, {run.results[0]['what']['run']}"
            run.series = run.label
    _number_doubles(runs)
    colours = {series: i for i, series in enumerate(dict.fromkeys(run.series for run in runs))}
    for run in runs:
        run.colour = colours[run.series] % SERIES_COLOURS
    return runs


def _number_doubles(runs: Sequence[Run]) -> None:
    """Tell apart what has one name still: runs in folders of one name."""
    labels = [run.label for run in runs]
    for i, run in enumerate(runs):
        if labels.count(run.label) > 1:
            run.label = f"{run.label} ({labels[: i + 1].count(labels[i])})"
            run.series = run.label


def label_results(results: Sequence[dict[str, Any]]) -> list[str]:
    """A name for each result that no other has: that of its rows in the tables, and its seed.

    Args:
        results: as :func:`write_comparison` takes them.

    Returns:
        Names, in their order; the seed is said where several share a row.
    """
    names = {}
    for run in name_runs(group_seeds(results)):
        for result in run.results:
            seed = f", seed {result['what']['seed']}" if len(run.results) > 1 else ""
            names[id(result)] = run.label + seed
    return [names[id(result)] for result in results]


def _named(key: str, value: Any) -> str:
    return f"{value} steps" if key == "steps" else str(value)


def _sets(results: Sequence[dict[str, Any]]) -> str:
    pairs = dict.fromkeys((result["what"]["data"], result["what"]["split"]) for result in results)
    return " and ".join(f"{Path(data).name}, {split}" for data, split in pairs)


def _agreed(values: Sequence[Any]) -> Any:
    return values[0] if len(set(values)) == 1 else None


def _warnings(results: Sequence[dict[str, Any]]) -> list[str]:
    said = []
    if len({(r["what"]["data"], r["what"]["split"], r["what"]["images"]) for r in results}) > 1:
        said.append("These results are of different images: their scores cannot be compared.")
    hardware = {tuple(r["environment"].get(k) for k in ("cpu", "threads", "gpu")) for r in results}
    if len(hardware) > 1:
        said.append("These results come from different machines: compare no seconds.")
    truths = list(dict.fromkeys(map(_truth, results)))
    if len(truths) > 1:
        said.append(f"Scores cannot be compared: they are against {', and against '.join(truths)}.")
    elif truths != ["masks"]:
        said.append(f"There are no masks: scores say how well answers agree with {truths[0]}.")
    absent = list(dict.fromkeys(name for r in results for name in r["scores"]["absent"]))
    if absent:
        said.append(f"Absent from the truth, and in no mean: {', '.join(absent)}.")
    return said


def _truth(result: dict[str, Any]) -> str:
    """What answers are compared with; results of earlier versions do not say and mean masks."""
    return str(result["what"].get("truth", "masks"))


# Cells: what a table shows, ready to print.


def _cell(group: Sequence[dict[str, Any]], value: Value, form: str, factor: float = 1.0) -> Any:
    numbers = mean_and_range(group, value)
    if numbers is None:
        return {"text": "none", "range": "", "value": None}
    mean, least, greatest = (format(number * factor, form) for number in numbers)
    spread = f"{least} to {greatest}" if least != greatest else ""
    return {"text": mean, "range": spread, "value": numbers[0]}


def _against_first(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add to each cell its difference to the first one, in points, and how strongly to tint it."""
    first = cells[0]["value"]
    for cell in cells[1:]:
        if first is None or cell["value"] is None:
            continue
        points = 100 * (cell["value"] - first)
        cell["difference"] = f"{points:+.1f}"
        cell["tint"] = round(min(abs(points) / 20, 1.0) * 0.45, 3)
        cell["better"] = points > 0
    return cells


_COST_COLUMNS: tuple[tuple[str, Value, str, float], ...] = (
    ("mIoU, all", lambda r: r["scores"]["miou"]["all"], ".3f", 1),
    ("mIoU, target", lambda r: r["scores"]["miou"]["target"], ".3f", 1),
    ("sampler, M", lambda r: r["cost"]["multiply_adds"].get("sampler"), ",.0f", 1e-6),
    ("segmenter, M", lambda r: r["cost"]["multiply_adds"].get("segmenter"), ",.0f", 1e-6),
    ("total, M", lambda r: r["cost"]["multiply_adds"]["total"], ",.0f", 1e-6),
    ("ms an image", lambda r: r["cost"]["seconds"]["total"], ",.1f", 1e3),
    ("peak memory, MB", lambda r: r["cost"]["peak_memory_bytes"], ",.0f", 1e-6),
    ("folded cells, %", lambda r: r["folded_cells"], ".2f", 100),
)


def _cost_table(runs: Sequence[Run]) -> dict[str, Any]:
    rows = [
        (run, [_cell(run.results, value, form, by) for _, value, form, by in _COST_COLUMNS])
        for run in runs
    ]
    return {"columns": [name for name, *_ in _COST_COLUMNS], "rows": rows}


def _stage_table(runs: Sequence[Run]) -> dict[str, Any]:
    stages = list(
        dict.fromkeys(
            stage for run in runs for result in run.results for stage in result["cost"]["seconds"]
        )
    )
    stages = [stage for stage in stages if stage != "total"] + ["total"]

    def seconds(stage: str) -> Value:
        return lambda result: result["cost"]["seconds"].get(stage)

    rows = [
        (run, [_cell(run.results, seconds(stage), ",.1f", 1e3) for stage in stages]) for run in runs
    ]
    return {"columns": stages, "rows": rows}


def _iou_table(runs: Sequence[Run], names: Sequence[str]) -> list[dict[str, Any]]:
    targets = {n for run in runs for r in run.results for n in r["scores"].get("targets", ())}

    def iou(name: str) -> Value:
        return lambda result: result["scores"]["iou"].get(name)

    def row(name: str, value: Value, target: bool) -> dict[str, Any]:
        cells = _against_first([_cell(run.results, value, ".3f") for run in runs])
        return {"name": name, "target": target, "cells": cells}

    rows = [row(name, iou(name), name in targets) for name in names]
    means = [
        row("mean of all", lambda result: result["scores"]["miou"]["all"], False),
        row("mean of targets", lambda result: result["scores"]["miou"]["target"], False),
        row("pixels right", lambda result: result["scores"]["pixel_accuracy"], False),
    ]
    return [*rows, *({**mean, "summary": True} for mean in means)]


def _band_table(runs: Sequence[Run]) -> list[dict[str, Any]]:
    widths = [band["width"] for band in runs[0].results[0]["scores"]["bands"]]

    def accuracy(width: int) -> Value:
        def value(result: dict[str, Any]) -> float | None:
            bands = {band["width"]: band["accuracy"] for band in result["scores"]["bands"]}
            return bands.get(width)

        return value

    return [
        {
            "name": f"{width} px",
            "cells": _against_first([_cell(run.results, accuracy(width), ".3f") for run in runs]),
        }
        for width in widths
    ]


def _object_tables(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Recall by size: of all target classes together, then class by class."""
    first = runs[0].results[0]["scores"]["objects"]

    def table(name: str, rows_of: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        def recall(i: int) -> Value:
            def value(result: dict[str, Any]) -> float | None:
                found: list[float | None] = rows_of(result["scores"]["objects"]).get("recall", [])
                return found[i] if i < len(found) else None

            return value

        totals = rows_of(first).get("total", [])
        rows = [
            {
                "name": size,
                "total": totals[i] if i < len(totals) else 0,
                "cells": _against_first([_cell(run.results, recall(i), ".3f") for run in runs]),
            }
            for i, size in enumerate(first["bins"])
        ]
        return {"name": name, "rows": [row for row in rows if row["total"]]}

    def of_class(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda objects: objects["classes"].get(name, {})

    which = "target classes" if runs[0].results[0]["scores"].get("targets") else "classes"
    tables = [table(f"all {which}", lambda objects: objects["all"])]
    if len(first["classes"]) > 1:
        tables += [table(name, of_class(name)) for name in first["classes"]]
    return [each for each in tables if each["rows"]]


def _charts(runs: Sequence[Run]) -> list[str]:
    costs: tuple[tuple[str, Value, float], ...] = (
        ("million multiply-adds an image", lambda r: r["cost"]["multiply_adds"]["total"], 1e-6),
        ("milliseconds an image", lambda r: r["cost"]["seconds"]["total"], 1e3),
    )
    qualities: tuple[tuple[str, Value], ...] = (
        ("mIoU, all classes", lambda r: r["scores"]["miou"]["all"]),
        ("mIoU, target classes", lambda r: r["scores"]["miou"]["target"]),
    )
    charts = []
    for i, (cost_name, cost, by) in enumerate(costs):
        for j, (quality_name, quality) in enumerate(qualities):
            lines = _series(runs, cost, by, quality)
            if lines:
                title = f"{quality_name} against {cost_name}"
                chart = quality_chart(lines, cost_name, quality_name, f"chart{i}{j}", title)
                charts.append(chart)
    return charts


def _series(runs: Sequence[Run], cost: Value, by: float, quality: Value) -> list[Series]:
    lines: dict[str, Series] = {}
    for run in runs:
        pairs = [(cost(result), quality(result)) for result in run.results]
        known = [(x * by, y) for x, y in pairs if x is not None and y is not None]
        if not known:
            continue
        line = lines.setdefault(run.series, Series(run.series, run.colour))
        across, up = (sum(values) / len(values) for values in zip(*known, strict=True))
        line.points.append((across, up, run.points))
        line.single += known if len(known) > 1 else []
    return list(lines.values())


def _class_colours(
    examples: Sequence[dict[str, Any]], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Class names with their colours, where the pictures and the scores have the same classes."""
    colours = next((run["colours"] for example in examples for run in example["runs"]), ())
    if len(colours) != len(names):
        return []
    painted = ["#{:02x}{:02x}{:02x}".format(*map(int, colour)) for colour in colours]
    return list(zip(names, painted, strict=True))


def _fit_examples(examples: Sequence[dict[str, Any]], truth: str) -> list[dict[str, Any]]:
    """The examples' pictures, as large as the page can bear; what stands for truth is called so."""
    side = 960
    while True:
        shown = [_example(example, side, truth) for example in examples if example["runs"]]
        size = sum(
            len(picture["uri"])
            for example in shown
            for row in [example, *example["runs"]]
            for picture in row["pictures"]
        )
        if size <= PICTURE_BUDGET or side <= 160:
            return shown
        side = max(160, int(side * min(0.9, (PICTURE_BUDGET / size) ** 0.5)))


def _example(example: dict[str, Any], side: int, truth: str) -> dict[str, Any]:
    first = example["runs"][0]
    pictures = [picture("image", shrink(first["image"], side), "jpeg")]
    if first.get("truth") is not None:
        pictures.append(_labels(truth, first["truth"], first["colours"], side))
    rows = []
    for run in example["runs"]:
        height, width = run["phi"].shape[:2]
        warped = picture(f"the {height}x{width} samples", run["warped"], "png")
        points = draw_samples(run["image"], run["phi"], side=side)
        rows.append(
            {
                "label": run["label"],
                "pictures": [
                    picture("where they lie", points, "jpeg"),
                    {**warped, "pixels": True},
                    _labels("answer", run["answer"], run["colours"], side),
                ],
            }
        )
    return {"name": example["name"], "pictures": pictures, "runs": rows}


def _labels(caption: str, labels: Any, colours: Any, side: int) -> dict[str, Any]:
    return picture(caption, colour_labels(shrink(labels, side, nearest=True), colours), "png")
