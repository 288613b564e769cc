"""Few masks: accuracy of a discovery against the number of labelled images, as numbers and curve.

Regions of the overclustering are named by some images of one split and scored on another, so that
every point of the curve is scored on the same images. Nothing is trained.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.panels import Line, Panel, draw_panels
from experiments.published import Numbers
from frugalseg.console import log
from frugalseg.engine.environment import command_line, environment
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_json
from frugalseg.metrics.clustering import mean_and_spread
from frugalseg.tasks.discover.data import open_data
from frugalseg.tasks.discover.evaluate import finer_counts, semi_supervised_scores
from frugalseg.tasks.discover.predict import DiscoverRun
from frugalseg.tasks.discover.suggest import suggest_regions

NUMBERS = (1, 2, 3, 5, 8, 12, 20, 40)
DRAWS = 20  # random choices for each number
SCORES = ("accuracy", "miou")


def mask_efficiency(
    runs: list[Path],
    /,
    *,
    out: Path,
    fit: str = "train",
    score: str = "val",
    numbers: Numbers = NUMBERS,
) -> list[dict[str, Any]]:
    """Curves of finished discoveries that know the masks of their data; nothing is trained.

    Args:
        runs: Folders of the runs, usually of several seeds.
        out: The result file, JSON; a picture of the curves lies beside it.
        fit: Split whose images may be labelled.
        score: Split that is scored.
        numbers: Of labelled images; those beyond the split are left out, all of them added.

    Returns:
        The curve of each run, as in the file.

    Raises:
        FrugalsegError: a run has no masks, or there is no such split.
    """
    curves = []
    for folder in runs:
        log.info(f"== {folder}")
        curves.append(_curve(DiscoverRun.load(folder), fit, score, numbers))
    result = {"command": command_line(), "environment": environment(), "runs": curves}
    write_json(result, out)
    _draw(curves, out.with_suffix(".svg"))
    return curves


def _curve(run: DiscoverRun, fit: str, score: str, numbers: Sequence[int]) -> dict[str, Any]:
    data = open_data(run.config)
    if data.class_list is None:
        raise FrugalsegError(f"{run.dir} was trained without masks: give --masks to discover.")
    naming, shares, entropy = finer_counts(run, data, fit)
    scored, _, _ = finer_counts(run, data, score)
    if not naming.any() or not scored.any():
        raise FrugalsegError(f"{run.config.data}: {fit} or {score} has no labelled pixel.")
    usable = sorted({*(n for n in numbers if 0 < n < len(naming)), len(naming)})
    ranked = [place for place, _ in suggest_regions(shares, entropy, len(naming))]
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
        "run": run.dir.name,
        "data": data.name,
        "fit": fit,
        "score": score,
        "seed": run.config.seed,
        "regions": run.classes,
        "overclasses": run.config.overclasses,
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
    scores = semi_supervised_scores(both, range(len(chosen)), names)
    return {score: scores[score] for score in SCORES}


def _draw(curves: Sequence[dict[str, Any]], path: Path) -> None:
    """Accuracy by labelled images, suggested and random: means over runs, least to greatest."""
    numbers = [row["labelled"] for row in curves[0]["by_choice"]]
    lines = []
    for kind in ("suggested", "random"):
        spreads = []
        for number in numbers:
            rows = [r for curve in curves for r in curve["by_choice"] if r["labelled"] == number]
            each = [row[kind]["accuracy"] for row in rows]
            values = [value["mean"] if isinstance(value, dict) else value for value in each]
            spreads.append((float(np.mean(values)), min(values), max(values)))
        lines.append(Line(kind, numbers, *zip(*spreads, strict=True)))
    draw_panels([Panel("labelled images", lines)], "pixel accuracy", path)
