"""One self-contained page that compares runs: their costs, their scores, and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.class_lists.classes import ClassList
from frugalseg.data.images import read_image
from frugalseg.data.layouts.samples import Sample
from frugalseg.data.masks import read_mask
from frugalseg.engine.results import Result, Value, group_seeds, mean_and_range, number_at
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_text
from frugalseg.reports.charts import SERIES_COLOURS, Series, quality_chart
from frugalseg.reports.html import render
from frugalseg.reports.images import css_colour
from frugalseg.reports.tables import confusion_table, spread_cell
from frugalseg.tasks.segment.model import Run
from frugalseg.tasks.segment.page_examples import fit_examples

_EITHER = "mean of all that are true or predicted"


@dataclass
class Row:
    """Results that differ by seed alone, with their name and colour on the page."""

    label: str
    series: str
    results: list[Result]
    colour: int = 0

    @property
    def points(self) -> str:
        """Samples an image, such as "64x64"."""
        return "x".join(map(str, self.results[0].what["size"]))


def compare_runs(
    runs: Sequence[Run],
    results: Sequence[Result],
    samples: Sequence[Sample],
    count: int,
    classes: ClassList,
    path: Path,
) -> None:
    """Write a page of results, with the answers of the runs for images spread evenly over a split.

    Args:
        runs: finished runs with the same classes.
        results: one for each run.
        samples: images with masks.
        count: number of images to show.
        classes: of the masks, from their data set.
        path: HTML file.

    Raises:
        FrugalsegError: there is no result, or a file cannot be read or written.
    """
    places = np.linspace(0, len(samples), min(count, len(samples)), endpoint=False).astype(int)
    labels = label_results(results)
    examples = [_predict_example(runs, labels, samples[i], classes) for i in places]
    write_comparison(results, examples, path)


def _predict_example(
    runs: Sequence[Run], labels: Sequence[str], sample: Sample, classes: ClassList
) -> dict[str, Any]:
    assert sample.mask is not None
    truth = read_mask(sample.mask, classes)
    answers = []
    for run, label in zip(runs, labels, strict=True):
        answer = run.model.predict(sample.image, truth, run.classes.targets)
        warped = (answer.warped.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        phi = answer.phi.numpy()
        answers.append({"label": label, "phi": phi, "warped": warped, "answer": answer.labels})
    return {
        "name": sample.name,
        "image": read_image(sample.image),
        "truth": truth,
        "colours": runs[0].classes.colours,
        "runs": answers,
    }


def write_comparison(
    results: Sequence[Result], examples: Sequence[dict[str, Any]], path: Path | str
) -> None:
    """Write the page.

    Args:
        results: of runs; those that differ by seed alone are shown together, and differences are
            to the first.
        examples: images with the answers of the runs: "name", "image" (H, W, 3) uint8, "truth"
            (H, W) class indices, "colours" (C, 3) uint8, and "runs", a list of "label", "phi"
            (h, w, 2) in [0, 1], "warped" (h, w, 3) uint8 and "answer" (H, W) class indices.
        path: HTML file; it needs no other file and no network.

    Raises:
        FrugalsegError: there is no result, or the file cannot be written.
    """
    if not results:
        raise FrugalsegError("There is nothing to compare: name at least one evaluated run.")
    rows = name_rows(group_seeds(results))
    names = list(dict.fromkeys(name for result in results for name in _scores(result)["iou"]))
    sets = dict.fromkeys((result.what["data"], result.what["split"]) for result in results)
    title = "Quality against cost" if len(rows) > 1 else rows[0].label
    counts = {_scores(result).get("images") for result in results}
    page = render(
        "compare.html",
        title=f"{title} on {' and '.join(f'{Path(data).name}, {split}' for data, split in sets)}",
        runs=rows,
        images=counts.pop() if len(counts) == 1 else None,
        warnings=_warnings(results),
        cost=_table(rows, _COSTS),
        stages=_stage_table(rows),
        charts=_charts(rows) if len(rows) > 1 else [],
        legend={row.series: row.colour for row in rows},
        iou=_iou_table(rows, names),
        confusion=_confusion_tables(rows),
        objects=_object_tables(rows),
        bands=_band_table(rows),
        examples=fit_examples(examples, "truth" if _truth(results[0]) == "masks" else "regions"),
        class_colours=_class_colours(examples, names),
        not_counted=list(dict.fromkeys(r.parts["cost"]["not_counted"] for r in results)),
        results=results,
    )
    write_text(page, path)


def name_rows(groups: Sequence[list[Result]]) -> list[Row]:
    """Name each group by its sampler and points, and by other settings in which groups differ."""
    whats = [group[0].what for group in groups]
    varying = [
        key
        for key in ("data", "split", "segmenter", "encoder", "steps", "variant")
        if len({str(what.get(key)) for what in whats}) > 1
    ]
    rows = []
    for group, what in zip(groups, whats, strict=True):
        extra = "".join(
            f", {what[key]}{' steps' * (key == 'steps')}" for key in varying if what.get(key)
        )
        row = Row("", what["sampler"] + extra, group)
        row.label = f"{what['sampler']} {row.points}{extra}"
        rows.append(row)
    _tell_apart(rows, lambda row, number: f"{row.label}, {row.results[0].run}")
    _tell_apart(rows, lambda row, number: f"{row.label} ({number})")  # folders of one name
    colours = {series: i for i, series in enumerate(dict.fromkeys(row.series for row in rows))}
    for row in rows:
        row.colour = colours[row.series] % SERIES_COLOURS
    return rows


def _tell_apart(rows: Sequence[Row], rename: Callable[[Row, int], str]) -> None:
    """Rename rows that share a label; `rename` gets the row and its number among these."""
    labels = [row.label for row in rows]
    for i, row in enumerate(rows):
        if labels.count(row.label) > 1:
            row.label = row.series = rename(row, labels[: i + 1].count(labels[i]))


def label_results(results: Sequence[Result]) -> list[str]:
    """A unique name for each result: that of its row in the tables, and its seed if rows share it.

    Args:
        results: as in :func:`write_comparison`.
    """
    names = {}
    for row in name_rows(group_seeds(results)):
        for result in row.results:
            seed = f", seed {result.seed}" if len(row.results) > 1 else ""
            names[id(result)] = row.label + seed
    return [names[id(result)] for result in results]


def _warnings(results: Sequence[Result]) -> list[str]:
    warnings = []
    if len({(r.what["data"], r.what["split"], r.what["images"]) for r in results}) > 1:
        warnings.append("These results are of different images: their scores cannot be compared.")
    hardware = {tuple(r.environment.get(k) for k in ("cpu", "threads", "gpu")) for r in results}
    if len(hardware) > 1:
        warnings.append("These results come from different machines: compare no seconds.")
    truths = list(dict.fromkeys(map(_truth, results)))
    if len(truths) > 1:
        against = ", and against ".join(truths)
        warnings.append(f"Scores cannot be compared: they are against {against}.")
    elif truths != ["masks"]:
        warnings.append(f"There are no masks: scores say how well answers agree with {truths[0]}.")
    absent = list(dict.fromkeys(name for r in results for name in _scores(r)["absent"]))
    if absent:
        but = f" but '{_EITHER}'" if _false_pixels(results, absent) else ""
        warnings.append(f"Absent from the truth, and in no mean{but}: {', '.join(absent)}.")
    return warnings


def _false_pixels(results: Sequence[Result], names: Sequence[str]) -> int:
    """Pixels wrongly given to some classes in all results; older results do not say so."""
    given = [_scores(result).get("false_pixels", {}) for result in results]
    return sum(pixels.get(name, 0) for pixels in given for name in names)


def _truth(result: Result) -> str:
    """What the answers are compared with: masks, or the regions of a discovery."""
    return str(result.what.get("truth", "masks"))


def _scores(result: Result) -> Any:
    assert result.scores is not None, "runs that segment are always scored"
    return result.scores


def _against_first(rows: Sequence[Row], value: Value) -> list[dict[str, Any]]:
    """A cell for each row, with its difference to the first in points and a tint for it."""
    cells = [spread_cell(mean_and_range(row.results, value), ".3f") for row in rows]
    first = cells[0]["value"]
    for cell in cells[1:]:
        if first is None or cell["value"] is None:
            continue
        points = 100 * (cell["value"] - first)
        cell["difference"] = f"{points:+.1f}"
        cell["tint"] = round(min(abs(points) / 20, 1.0) * 0.45, 3)
        cell["better"] = points > 0
    return cells


Column = tuple[str, Value, str, float]  # heading, value, number format, factor


def _table(rows: Sequence[Row], columns: Sequence[Column]) -> dict[str, Any]:
    def cells(row: Row) -> list[dict[str, Any]]:
        return [
            spread_cell(mean_and_range(row.results, value), form, factor)
            for _, value, form, factor in columns
        ]

    headings = [heading for heading, *_ in columns]
    return {"columns": headings, "rows": [(row, cells(row)) for row in rows]}


_COSTS: tuple[Column, ...] = (
    ("mIoU, all", number_at("scores", "miou", "all"), ".3f", 1),
    ("mIoU, target", number_at("scores", "miou", "target"), ".3f", 1),
    ("sampler, M", number_at("cost", "multiply_adds", "sampler"), ",.0f", 1e-6),
    ("segmenter, M", number_at("cost", "multiply_adds", "segmenter"), ",.0f", 1e-6),
    ("total, M", number_at("cost", "multiply_adds", "total"), ",.0f", 1e-6),
    ("ms an image", number_at("cost", "seconds", "total"), ",.1f", 1e3),
    ("peak memory, MB", number_at("cost", "peak_memory_bytes"), ",.0f", 1e-6),
    ("folded cells, %", number_at("folded_cells"), ".2f", 100),
)


def _stage_table(rows: Sequence[Row]) -> dict[str, Any]:
    results = [result for row in rows for result in row.results]
    stages = dict.fromkeys(stage for each in results for stage in each.parts["cost"]["seconds"])
    ordered = [*(stage for stage in stages if stage != "total"), "total"]
    return _table(
        rows, [(stage, number_at("cost", "seconds", stage), ",.1f", 1e3) for stage in ordered]
    )


def _class_cells(rows: Sequence[Row], name: str) -> list[dict[str, Any]]:
    """IoU of a class by row; if it is absent, the pixels wrongly given to it."""
    cells = _against_first(rows, number_at("scores", "iou", name))
    for row, cell in zip(rows, cells, strict=True):
        false = _false_pixels(row.results, [name])
        if cell["value"] is None and false:
            cell |= {"text": "absent", "range": f"{false:,} pixels wrongly given to it"}
    return cells


def _iou_table(rows: Sequence[Row], names: Sequence[str]) -> list[dict[str, Any]]:
    targets = {n for row in rows for r in row.results for n in _scores(r).get("targets", ())}
    classes = [{"name": n, "target": n in targets, "cells": _class_cells(rows, n)} for n in names]
    means = (
        ("mean of all", number_at("scores", "miou", "all")),
        ("mean of targets", number_at("scores", "miou", "target")),
        (_EITHER, number_at("scores", "miou_true_or_predicted", "all")),
        ("pixels right", number_at("scores", "pixel_accuracy")),
    )
    return classes + [
        {"name": name, "target": False, "cells": _against_first(rows, value), "summary": True}
        for name, value in means
    ]


def _confusion_tables(rows: Sequence[Row]) -> list[tuple[Row, dict[str, Any]]]:
    """Of each row the confusion matrix over its seeds; older results have none."""
    tables = []
    for row in rows:
        found = [s for s in map(_scores, row.results) if "confusion" in s]
        if found:
            counts = np.sum([scores["confusion"] for scores in found], 0)
            names = found[0]["class_names"]
            tables.append((row, confusion_table(counts, names, names, shares=True)))
    return tables


def _band_table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{band['width']} px",
            "cells": _against_first(rows, number_at("scores", "bands", i, "accuracy")),
        }
        for i, band in enumerate(_scores(rows[0].results[0])["bands"])
    ]


def _object_tables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Recall by size: of all target classes together, then class by class."""
    scores = _scores(rows[0].results[0])
    objects = scores["objects"]

    def table(name: str, counts: dict[str, Any], *keys: str) -> dict[str, Any]:
        sizes = enumerate(zip(objects["bins"], counts["total"], strict=True))
        cells = [
            {
                "name": size,
                "total": total,
                "cells": _against_first(rows, number_at("scores", "objects", *keys, "recall", i)),
            }
            for i, (size, total) in sizes
            if total
        ]
        return {"name": name, "rows": cells}

    name = f"all {'target ' * bool(scores.get('targets'))}classes"
    tables = [table(name, objects["all"], "all")]
    if len(objects["classes"]) > 1:
        tables += [table(n, counts, "classes", n) for n, counts in objects["classes"].items()]
    return [each for each in tables if each["rows"]]


def _charts(rows: Sequence[Row]) -> list[str]:
    costs = (
        ("million multiply-adds an image", number_at("cost", "multiply_adds", "total"), 1e-6),
        ("milliseconds an image", number_at("cost", "seconds", "total"), 1e3),
    )
    qualities = (
        ("mIoU, all classes", number_at("scores", "miou", "all")),
        ("mIoU, target classes", number_at("scores", "miou", "target")),
    )
    charts = []
    for i, (cost_name, cost, factor) in enumerate(costs):
        for j, (quality_name, quality) in enumerate(qualities):
            lines = _series(rows, cost, factor, quality)
            if lines:
                title = f"{quality_name} against {cost_name}"
                chart = quality_chart(lines, cost_name, quality_name, f"chart{i}{j}", title)
                charts.append(chart)
    return charts


def _series(rows: Sequence[Row], cost: Value, factor: float, quality: Value) -> list[Series]:
    lines: dict[str, Series] = {}
    for row in rows:
        pairs = [(cost(result), quality(result)) for result in row.results]
        known = [(x * factor, y) for x, y in pairs if x is not None and y is not None]
        if not known:
            continue
        line = lines.setdefault(row.series, Series(row.series, row.colour))
        across, up = (sum(values) / len(values) for values in zip(*known, strict=True))
        line.points.append((across, up, row.points))
        line.single += known if len(known) > 1 else []
    return list(lines.values())


def _class_colours(
    examples: Sequence[dict[str, Any]], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Class names with their colours, if the pictures and the scores have the same classes."""
    colours = examples[0]["colours"] if examples else ()
    if len(colours) != len(names):
        return []
    return list(zip(names, map(css_colour, colours), strict=True))
