"""How many clusters: what `--clusters auto` says against the true number, over seeds."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import ClusterConfig, load_cluster_run
from frugalseg.evaluation.results import command_line, environment
from frugalseg.files import write_json
from frugalseg.recipes.clustering import Say


def run_auto(
    config: ClusterConfig,
    out: Path,
    runs: Path,
    seeds: Sequence[int] = (0, 1, 2),
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Let the number of clusters be chosen, with every seed.

    Args:
        config: the configuration; its number of clusters is replaced by "auto".
        out: the result file, JSON.
        runs: folder of the runs.
        seeds: one run each.
        say: is told, in words, what begins.

    Returns:
        As in the file: for each seed the chosen number and the curve; the true number of classes.
    """
    from frugalseg.training.cluster import train_clustering
    from frugalseg.training.cluster_plan import open_image_data

    images = open_image_data(config)
    found = []
    for seed in seeds:
        one = dataclasses.replace(config, clusters="auto", seed=seed)
        folder = runs / f"{images.name}-auto-{seed}"
        say(f"== {folder.name}")
        train_clustering(one, folder, sys.stderr.isatty(), say, images)
        counts = load_cluster_run(folder).state["counts"]
        found.append({"seed": seed, **counts})
    result = {
        "command": command_line(),
        "environment": environment(),
        "data": images.name,
        "split": config.split,
        "images": len(images.splits[config.split]),
        "classes": len(images.class_names),
        "runs": found,
    }
    write_json(result, out)
    return result
