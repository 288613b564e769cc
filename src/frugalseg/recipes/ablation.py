"""What makes groups of digits, not of strokes: one ingredient at a time taken away."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.cluster_runs import ClusterConfig
from frugalseg.data.image_sets import ImageSet, array_set
from frugalseg.evaluation.cluster_results import write_cluster_result
from frugalseg.files import write_whole
from frugalseg.information import mean_and_spread
from frugalseg.recipes.clustering import Say, all_results, train_and_score, with_seed
from frugalseg.recipes.demo_clusters import demo_config

WHOLE = "whole"
# The recipe without one of its ingredients, settings that are changed.
VARIANTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "one copy": {"copies": 1},
    "no overclustering": {"order": ("main",)},
    "one sub-head": {"sub_heads": 1},
    "no rotation": {"view_options": {"rotation": 0.0}},
    "one crop": {"view_options": {"plain_crops": (24,), "test_crop": 24, "crops": (24,)}},
    "no rotation, one crop": {
        "view_options": {"rotation": 0.0, "plain_crops": (24,), "test_crop": 24, "crops": (24,)}
    },
    "no brightness": {"view_options": {"brightness": 0.0, "contrast": 0.0}},
    "sorted batches": {"shuffle": False},
}


def run_ablation(
    out: Path,
    runs: Path,
    seeds: Sequence[int] = (0, 1, 2),
    variants: Sequence[str] | None = None,
    config: ClusterConfig | None = None,
    images: ImageSet | None = None,
    say: Say = lambda text: None,
) -> str:
    """Train scikit-learn's digits with and without each ingredient; interrupted, it goes on.

    The digits lie sorted by kind, as in a folder with a sub-folder for each, so that batches in
    their order hold one kind or two.

    Args:
        out: folder of the result files and ``table.md``.
        runs: folder of the runs.
        seeds: of each variant.
        variants: some of ``VARIANTS``; by default all.
        config: the whole recipe; by default the demonstration's.
        images: other images than the digits, with labels.
        say: is told, in words, what begins.

    Returns:
        The table of all results there.
    """
    whole = config or demo_config()
    images = images or sorted_digits()
    for seed in seeds:
        for variant in variants or VARIANTS:
            name = f"{variant.replace(',', '').replace(' ', '-')}-{seed}"
            if (out / f"{name}-last.json").exists():
                continue
            one = with_seed(_changed(whole, VARIANTS[variant]), seed)
            (result,) = train_and_score(one, images, name, runs, runs / "results", say, ("last",))
            told = {"ingredients": variant, "ink": ink_told(runs / name, images)}
            write_cluster_result({**result, **told}, out / f"{name}-last.json")
    table = ablation_table(all_results(out))
    write_whole(table.encode(), out / "table.md")
    return table


def _changed(config: ClusterConfig, changes: Mapping[str, Any]) -> ClusterConfig:
    options = {**config.view_options, **changes.get("view_options", {})}
    return dataclasses.replace(config, **{**changes, "view_options": options})


def sorted_digits() -> ImageSet:
    """The digits of scikit-learn, sorted by kind."""
    from frugalseg.data.image_sets import open_digits

    digits = open_digits()
    assert digits.labels is not None
    order = np.argsort(digits.labels, kind="stable")
    pixels = np.stack([digits.read(int(i)) for i in order])
    labels = digits.labels[order]
    found = array_set(digits.root, {"digits": pixels}, {"digits": labels}, digits.class_names)
    return dataclasses.replace(found, splits={})


def ink_told(folder: Path, images: ImageSet) -> float:
    """How far the clusters of a run are about the amount of ink: its share of variance explained.

    Args:
        folder: of a finished run on the images.
        images: its images.

    Returns:
        0 (clusters say nothing of the mean brightness of an image) to 1 (everything).
    """
    from frugalseg.cluster_runs import load_cluster_run
    from frugalseg.training.cluster_answers import answer_images

    run = load_cluster_run(folder)
    answers = answer_images(run, images, run.config.split)
    ink = np.array([images.read(int(i)).mean() for i in answers.indices])
    return explained(ink, answers.assigned)


def explained(values: NDArray[np.floating], groups: NDArray[np.int64]) -> float:
    """Share of the variance of values that lies between groups (eta squared).

    >>> explained(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    sizes = np.bincount(groups)
    means = np.bincount(groups, values) / np.maximum(sizes, 1)
    return float(((means - values.mean()) ** 2 @ sizes) / ((values - values.mean()) ** 2).sum())


def ablation_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: one line a variant, mean, (least to greatest) over seeds, in the order of VARIANTS.

    Args:
        results: of :func:`run_ablation`.
    """
    lines = [
        "| recipe | seeds | accuracy | loss | ink explained | clusters used |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for variant in VARIANTS:
        group = [result for result in results if result.get("ingredients") == variant]
        if not group:
            continue
        columns = (
            [result["scores"]["accuracy"] for result in group],
            [min(result["losses"]) for result in group],
            [result["ink"] for result in group],
            [result["health"]["used"] for result in group],
        )
        cells = [_spread(values, ".0f" if k == 3 else ".3f") for k, values in enumerate(columns)]
        lines.append(f"| {variant} | {len(group)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], form: str) -> str:
    found = mean_and_spread(values)
    mean, least, greatest = (format(found[k], form) for k in ("mean", "least", "greatest"))
    return mean if least == greatest else f"{mean} ({least} to {greatest})"
