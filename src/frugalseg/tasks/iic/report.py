"""The results and pages of clusterings and discoveries, and the page that compares several runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.engine.results import Result, ResultKind, group_seeds, mean_and_range
from frugalseg.files import write_text
from frugalseg.metrics.confusion import adjusted_rand, confusion
from frugalseg.reports.charts import History, compared_charts, count_chart, learning_charts
from frugalseg.reports.html import render
from frugalseg.reports.tables import spread_cell
from frugalseg.tasks.iic.diagnostics_text import diagnostics_in_words, remarks_on
from frugalseg.tasks.iic.model import IICRun

Agreement = list[list[float | None]]


@dataclass(frozen=True, kw_only=True)
class GroupReport:
    """The parts of a page that clusterings and discoveries share.

    Attributes:
        title: of the page.
        diagnostics: as `frugalseg.iic.clustering_diagnostics` gives them.
        losses: of the sub-heads of the main head, in nats.
        restarts: loss of each start.
        history: lines of metrics.jsonl: "training", "step", "loss" and further numbers.
        scores: of the groups against classes; None without labels.
        counts: of :func:`frugalseg.tasks.iic.number.choose_count`, if the number of groups was
            chosen.
        problems: sentences, such as on files that could not be read.
        trained: whether there was a training.
        metadata: names and texts that say what was run, on what and when, for the foot of the page.
    """

    title: str
    diagnostics: Mapping[str, Any]
    losses: Sequence[float] = ()
    restarts: Sequence[float] = ()
    history: Sequence[Mapping[str, Any]] = ()
    scores: Mapping[str, Any] | None = None
    counts: Mapping[str, Any] | None = None
    problems: Sequence[str] = ()
    trained: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)


def render_report(
    template: str, report: GroupReport, items: str, groups: str, num_groups: int, **values: Any
) -> str:
    """The page of a clustering or a discovery as HTML.

    Args:
        template: of the task.
        report: the content of the page.
        items: see :func:`frugalseg.tasks.iic.diagnostics_text.diagnostics_in_words`.
        groups: name of the groups in the chart of their number, such as "clusters".
        num_groups: k.
        values: further values for the template.
    """
    return render(
        template,
        report=report,
        title=report.title,
        remarks=diagnostics_in_words(report.diagnostics, report.losses, items, report.trained),
        charts=learning_charts(report.history),
        best_loss=-math.log(num_groups),
        count_svg=count_chart(report.counts, groups) if report.counts else None,
        **values,
    )


def report_fields(
    run: IICRun[Any], result: Result, training: str, learned: bool = True
) -> dict[str, Any]:
    """The fields of :class:`GroupReport` that come from a run and its result.

    Args:
        run: the run.
        result: of the run.
        training: how it was trained.
        learned: whether the images are those that the run has learned from; otherwise the page
            leaves out the course of the training.
    """
    what, environment, config = result.what, result.environment, run.config
    start = "pretrained" if config.pretrained else f"width {config.width}"
    oracle = run.state.get("oracle")
    sub_heads = "" if config.merged else f", {config.sub_heads} sub-heads"
    metadata = {
        "command": what["command"],
        "data": f"{what['data']}, {what['split']}: {what['images']:,} images",
        "backbone": f"{config.backbone}, {start}{', frozen' * bool(config.frozen)}",
        "heads": f"{run.clusters} and {config.finer} {config.unit}{sub_heads}",
        "training": training,
        "seed": str(what["seed"]),
        "oracle stop": oracle
        and f"accuracy {oracle['accuracy']:.1%} at step {oracle['step']}, the best sub-head and "
        "step by labels: for comparison with published figures only",
        "software": f"frugalseg {environment['frugalseg']}, torch {environment['torch']}",
        "hardware": environment.get("gpu") or environment.get("cpu"),
        "date": environment["date"],
    }
    state = run.state if learned else {}
    return {
        "diagnostics": result.parts["diagnostics"],
        "losses": result.parts["losses"],
        "restarts": [min(each["losses"]) for each in state.get("restarts", ())],
        "history": kept_history(run) if learned else (),
        "scores": result.scores,
        "trained": not config.merged,
        "counts": state.get("counts"),
        "metadata": {name: text for name, text in metadata.items() if text},
    }


def kept_history(run: IICRun[Any]) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl of the training that was kept."""
    kept = run.state.get("training")
    return [line for line in run.dir.history() if line.get("training") == kept]


def kept_histories(runs: Sequence[IICRun[Any]]) -> dict[str, list[dict[str, Any]]]:
    """:func:`kept_history` by the names of the runs' folders, or their paths if names recur."""
    names = [run.dir.name for run in runs]
    unique = len(set(names)) == len(names)
    return {run.dir.name if unique else str(run.dir): kept_history(run) for run in runs}


def score(name: str) -> Callable[[Result], float | None]:
    """The value of a table's column that shows a score; None for results without scores."""
    return lambda result: None if result.scores is None else result.scores.get(name)


def result_kind(task: str, groups: str, scores: Sequence[tuple[str, str]]) -> ResultKind:
    """The kind of result of a clustering or discovery.

    Args:
        task: its name.
        groups: what its tables call the groups, such as "clusters".
        scores: heading and name of each score in its tables.
    """
    return ResultKind(
        task=task,
        names=("backbone", "clusters", "frozen", "steps"),
        parts={"diagnostics": ("balance", "entropy", "used", "clusters"), "losses": ()},
        columns=(
            *((heading, ".3f", score(name)) for heading, name in scores),
            ("loss", ".3f", lambda result: min(result.parts["losses"], default=None)),
            (f"{groups} used", ".0f", lambda result: result.parts["diagnostics"]["used"]),
            ("entropy", ".3f", lambda result: result.parts["diagnostics"]["entropy"]),
        ),
    )


def write_comparison(
    results: Sequence[Result],
    agreement: Agreement,
    names: Sequence[str],
    path: Path | str,
    histories: Mapping[str, History] | None = None,
    regions: Mapping[str, Any] | None = None,
) -> None:
    """Write a page that compares clusterings, or discoveries: scores, agreement, curves, pictures.

    Args:
        results: of one task; those that differ by seed alone share a row.
        agreement: of each pair of runs, as of :func:`agreement_table`.
        names: of the runs, in the order of `agreement`.
        path: HTML file; it needs no other file and no network.
        histories: lines of metrics.jsonl of the training that was kept, by run.
        regions: of discoveries: "images", the number on which agreement was measured, and
            "examples", each with "name" and "pictures" for the template.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    sets = dict.fromkeys(f"{r.what['data']}, {r.what['split']}" for r in results)
    kind, clustered = results[0].kind, results[0].kind.task == "cluster"
    page = render(
        "compare_clusters.html",
        title=f"{'Clusterings' if clustered else 'Discoveries'} of {' and '.join(sets)}",
        group="cluster" if clustered else "region",
        columns=[name for name, _, _ in kind.columns],
        rows=[
            {
                "name": ", ".join(result.run for result in group),
                "clusters": group[0].what["clusters"],
                "backbone": group[0].what.get("backbone"),
                "cells": [
                    spread_cell(mean_and_range(group, value), form)
                    for _, form, value in kind.columns
                ],
            }
            for group in group_seeds(results)
        ],
        remarks=[
            (result.run, remark)
            for result in results
            for remark in remarks_on(result, "images" if clustered else "places")
        ],
        names=names,
        agreement=agreement,
        regions=regions,
        charts=compared_charts(histories or {}),
        results=results,
    )
    write_text(page, path)


def agreement_table(assignments: Mapping[str, Mapping[str, int]]) -> Agreement:
    """The adjusted Rand index of each pair of clusterings.

    Args:
        assignments: for each run, the clusters by the names of the images.

    Returns:
        A symmetric table: 1 if two agree wholly, about 0 for chance; None if they share fewer than
        two images.
    """
    runs = list(assignments.values())
    values: dict[tuple[int, int], float | None] = {}
    for i, j in itertools.combinations(range(len(runs)), 2):
        names = sorted(runs[i].keys() & runs[j].keys())
        first, second = (
            np.unique([run[name] for name in names], return_inverse=True)[1]
            for run in (runs[i], runs[j])
        )
        values[i, j] = None
        if len(names) > 1:
            counts = confusion(first, second, int(first.max()) + 1, int(second.max()) + 1)
            values[i, j] = adjusted_rand(counts)
    return symmetric(len(runs), values)


def symmetric(count: int, values: Mapping[tuple[int, int], float | None]) -> Agreement:
    """A symmetric table of the values of pairs, with ones on the diagonal."""
    table: Agreement = [[1.0] * count for _ in range(count)]
    for (i, j), value in values.items():
        table[i][j] = table[j][i] = value
    return table
