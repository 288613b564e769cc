"""Few masks: accuracy of a discovery against the number of labelled images, as numbers and curve.

Regions of the overclustering are named by some images of one split and scored on another, so that
every point of the curve is scored on the same images. Nothing is trained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.discover_runs import DiscoverRun, load_discover_run
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.named_regions import semi_supervised_scores
from frugalseg.evaluation.results import command_line, environment
from frugalseg.evaluation.suggest_regions import suggest_regions
from frugalseg.files import write_json, write_whole
from frugalseg.information import mean_and_spread
from frugalseg.recipes.clustering import Say
from frugalseg.reports.charts import Series, quality_chart

NUMBERS = (1, 2, 3, 5, 8, 12, 20, 40)
DRAWS = 20  # random choices for each number
SCORES = ("accuracy", "miou")
# what a chart takes from the page around it
_STYLE = (
    "<style>svg{--ink:#1d2026;--faint:#626873;--line:#e2e1dd;--series-0:#6b7280;"
    "--series-1:#c2570c;--series-2:#0f6cbd;--font:sans-serif;background:#ffffff}</style>"
)


def run_region_labels(
    folders: Sequence[Path],
    out: Path,
    fit: str = "train",
    score: str = "val",
    numbers: Sequence[int] = NUMBERS,
    say: Say = lambda text: None,
) -> list[dict[str, Any]]:
    """Curves of finished discoveries that know the masks of their data.

    Args:
        folders: of the runs, usually of several seeds.
        out: the result file, JSON; the picture lies beside it, as SVG.
        fit: split whose images may be labelled.
        score: split that is scored.
        numbers: of labelled images; those beyond the split are left out, all of them added.
        say: is told, in words, what begins.

    Returns:
        The curve of each run, as in the file.

    Raises:
        FrugalsegError: a run has no masks, or there is no such split.
    """
    found = []
    for folder in folders:
        say(f"== {folder}")
        found.append(_curve(load_discover_run(folder), fit, score, numbers))
    result = {"command": command_line(), "environment": environment(), "runs": found}
    write_json(result, out)
    write_whole(labels_picture(found).encode(), out.with_suffix(".svg"))
    return found


def _curve(run: DiscoverRun, fit: str, score: str, numbers: Sequence[int]) -> dict[str, Any]:
    from frugalseg.reports.region_files import finer_counts
    from frugalseg.training.discover_plan import open_discover_data

    data = open_discover_data(run.config)
    if data.classes is None:
        raise FrugalsegError(f"{run.folder} was trained without masks: give --masks to discover.")
    naming, shares, doubt = finer_counts(run, data, fit)
    scored, _, _ = finer_counts(run, data, score)
    if not naming.any() or not scored.any():
        raise FrugalsegError(f"{run.config.data}: {fit} or {score} has no labelled pixel.")
    usable = sorted({*(n for n in numbers if 0 < n < len(naming)), len(naming)})
    ranked = [place for place, _ in suggest_regions(shares, doubt, len(naming))]
    curve = []
    for number in usable:
        drawn = [
            np.random.default_rng((seed, number)).permutation(len(naming))[:number]
            for seed in range(DRAWS if number < len(naming) else 1)
        ]
        random = [_named(naming, scored, places, data.classes.names) for places in drawn]
        row: dict[str, Any] = {"labelled": number}
        row["suggested"] = _named(naming, scored, np.array(ranked[:number]), data.classes.names)
        row["random"] = {s: mean_and_spread([one[s] for one in random]) for s in SCORES}
        curve.append(row)
    return {
        "run": run.folder.name,
        "data": data.images.name,
        "fit": fit,
        "score": score,
        "seed": run.config.seed,
        "regions": run.classes,
        "over_regions": run.plan.over_classes,
        "by_choice": curve,
    }


def _named(
    naming: NDArray[np.int64], scored: NDArray[np.int64], places: NDArray[Any], names: Sequence[str]
) -> dict[str, float]:
    """Scores of regions named by the images at some places; 0 where these show no class at all."""
    chosen = naming[places]
    if not chosen.any():
        return dict.fromkeys(SCORES, 0.0)
    both = np.concatenate([chosen, scored])
    found = semi_supervised_scores(both, range(len(chosen)), names)
    return {score: found[score] for score in SCORES}


def labels_picture(curves: Sequence[dict[str, Any]]) -> str:
    """Accuracy against labelled images, suggested and random, means over runs: an SVG file."""
    numbers = [row["labelled"] for row in curves[0]["by_choice"]]
    lines = []
    for colour, kind in ((1, "suggested"), (2, "random")):
        line = Series(kind, colour)
        for number in numbers:
            rows = [r for curve in curves for r in curve["by_choice"] if r["labelled"] == number]
            each = [row[kind]["accuracy"] for row in rows]
            values = [value["mean"] if isinstance(value, dict) else value for value in each]
            named = kind if number == numbers[0] else ""
            line.points.append((number, float(np.mean(values)), named))
            line.single += [(number, value) for value in values]
        lines.append(line)
    title = f"{curves[0]['data']}: accuracy of named regions against labelled images"
    svg = quality_chart(lines, "labelled images", "pixel accuracy", "labels", title)
    end = svg.index(">") + 1
    return svg[:end] + _STYLE + svg[end:] + "\n"
