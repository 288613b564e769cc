"""Fine-tuning a clustered trunk against the same network from nothing, by the share of labels."""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.cluster_runs import load_cluster_run
from frugalseg.data.image_sets import ImageSet
from frugalseg.evaluation.results import command_line, environment
from frugalseg.files import write_json
from frugalseg.finetune_runs import FinetuneConfig, load_finetune_run
from frugalseg.information import mean_and_spread
from frugalseg.recipes.clustering import Say

STARTS = {"clustered": "on the clustered trunk", "nothing": "from nothing"}
SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
# Ji et al. 2019, run 698, on run 650 (STL10): 8000 epochs of 7 steps; views stl-supervised, ten
# crops of the test images
PUBLISHED: dict[str, Any] = {"batch": 700, "steps": 56_000, "crops": 5, "test": "test"}


def run_finetune(
    clustered: Path,
    out: Path,
    runs: Path,
    shares: Sequence[float] = SHARES,
    seeds: Sequence[int] = (0,),
    steps: int = 1000,
    published: bool = False,
    say: Say = lambda text: None,
) -> list[dict[str, Any]]:
    """Teach a classifier with ever more labels, on the run's trunk and from nothing.

    What is there already is not done again.

    Args:
        clustered: a finished clustering run on labelled images.
        out: the result file, JSON; a picture of it lies beside it.
        runs: folder of the runs.
        shares: of the labels.
        seeds: of each.
        steps: of each training.
        published: the paper's settings, whose steps take the place of ``steps``.
        say: is told, in words, what begins.

    Returns:
        For each share and start ("clustered" or "nothing"): "share", "labels", "start" and
        "accuracy", mean and spread over seeds; as in the file.
    """
    from frugalseg.data.image_sets import open_images

    own = load_cluster_run(clustered).config
    images = open_images(own.data, own.labels)
    common: dict[str, Any] = {"run": str(clustered), "data": own.data, "labels": own.labels}
    common |= PUBLISHED if published else {"steps": steps}
    found = []
    for share, start in itertools.product(shares, STARTS):
        told = []
        for seed in seeds:
            one = FinetuneConfig(**common, share=share, seed=seed, untrained=start == "nothing")
            folder = runs / f"{clustered.name}-{start}-{share:g}-{seed}"
            told.append(_one(one, images, folder, say))
        accuracy = mean_and_spread([each["accuracy"] for each in told])
        row = {"share": share, "labels": told[0]["labels"], "start": start}
        found.append({**row, "accuracy": accuracy, "seeds": list(seeds), "each": told})
    result = {"command": command_line(), "environment": environment(), "rows": found}
    result |= {"run": clustered.name, "data": images.name, "settings": common}
    write_json(result, out)
    _draw(found, out.with_suffix(".svg"))
    return found


def _draw(found: Sequence[dict[str, Any]], path: Path) -> None:
    """A line for each start: accuracy by the number of labels."""
    from frugalseg.reports.panels import Line, Panel, draw_panels

    lines = []
    for start, name in STARTS.items():
        rows = sorted((r for r in found if r["start"] == start), key=lambda r: r["labels"])
        spread = [r["accuracy"] for r in rows]
        ends = [[each[end] for each in spread] for end in ("mean", "least", "greatest")]
        lines.append(Line(name, [r["labels"] for r in rows], *ends))
    draw_panels([Panel("labels", lines)], "accuracy", path)


def _one(config: FinetuneConfig, images: ImageSet, folder: Path, say: Say) -> dict[str, Any]:
    """Train one run, or take it as it is, and score it on the images put aside."""
    from frugalseg.training.finetune import answer_classes, train_finetuning
    from frugalseg.training.finetune_plan import choose_parts
    from frugalseg.training.views import Views

    say(f"== {folder.name}")
    train_finetuning(config, images, folder, sys.stderr.isatty(), say)
    run, parts = load_finetune_run(folder), choose_parts(config, images)
    assert images.labels is not None
    views = Views(**run.views)
    answers = answer_classes(run.net, images, parts.scored, views, config.crops).argmax(1)
    right = float(np.mean(answers == images.labels[parts.scored]))
    return {"accuracy": right, "labels": len(parts.learned), "scored": len(parts.scored)}


def finetune_table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: one line a share, both starts; mean, (least to greatest) over seeds."""
    lines = ["| labels | seeds | on the clustered trunk | from nothing |", "| ---: " * 4 + "|"]
    for one in (row for row in rows if row["start"] == "clustered"):
        (other,) = (r for r in rows if r["share"] == one["share"] and r["start"] == "nothing")
        cells = [_cell(row["accuracy"]) for row in (one, other)]
        lines.append(f"| {one['labels']} | {len(one['seeds'])} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(spread: dict[str, float]) -> str:
    if spread["least"] == spread["greatest"]:
        return f"{spread['mean']:.3f}"
    return f"{spread['mean']:.3f} ({spread['least']:.3f} to {spread['greatest']:.3f})"
