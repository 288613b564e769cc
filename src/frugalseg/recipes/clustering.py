"""What the clustering recipes share: train, answer, score, write a result file, make the table."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.cluster_runs import ClusterConfig, load_cluster_run
from frugalseg.data.image_sets import ImageSet
from frugalseg.evaluation.cluster_results import (
    cluster_result,
    cluster_table,
    read_cluster_result,
    write_cluster_result,
)
from frugalseg.files import write_whole
from frugalseg.information import agreement_scores, clustering_health
from frugalseg.task_runs import WEIGHTS

Say = Callable[[str], None]


def train_and_score(
    config: ClusterConfig,
    images: ImageSet,
    name: str,
    runs: Path,
    out: Path,
    say: Say,
    weights: Sequence[str] = tuple(WEIGHTS),
) -> list[dict[str, Any]]:
    """Train a run and score it; what is there already is not done again.

    Args:
        config: of the run.
        images: its images, with labels, which only score.
        name: of the run and its results.
        runs: folder of the runs.
        out: folder of the results, ``NAME-WEIGHTS.json``.
        say: is told, in words, what begins.
        weights: which of "last" and "lowest" to score.

    Returns:
        The results, in the order of ``weights``.
    """
    from frugalseg.reports.cluster_files import result_of
    from frugalseg.training.cluster import train_clustering
    from frugalseg.training.cluster_answers import answer_images

    results = []
    for kind in weights:
        path = out / f"{name}-{kind}.json"
        if not path.exists():
            say(f"== {name}, {kind} weights")
            train_clustering(config, runs / name, sys.stderr.isatty(), say, images)
            run = load_cluster_run(runs / name, kind)
            answers = answer_images(run, images, config.split)
            result = result_of(run, answers, images, config.split)
            told = {"weights": kind, "oracle": run.state["oracle"], "lowest": run.state["lowest"]}
            said = result["what"]["variant"]
            result["what"] |= {"variant": f"{kind} weights" + (f", {said}" if said else "")}
            write_cluster_result({**result, **told}, path)
        results.append(read_cluster_result(path))
    return results


def score_groups(
    assigned: NDArray[Any],
    images: ImageSet,
    indices: NDArray[np.int64],
    name: str,
    seed: int,
    path: Path,
    **what: Any,
) -> dict[str, Any]:
    """Write and return the result of a grouping made without a run, such as that of k-means.

    Args:
        assigned: ``(N)`` clusters of the images.
        images: their set, with labels.
        indices: ``(N)`` of the images in the set.
        name: of the method.
        seed: of the method.
        path: of the result file.
        what: further settings that the result shall say.
    """
    assert images.labels is not None
    clusters = len(images.class_names)
    hot = torch.nn.functional.one_hot(torch.from_numpy(np.asarray(assigned, np.int64)), clusters)
    told = {"run": name, "data": images.name, "split": what.pop("split", "all"), "seed": seed}
    told |= {"images": len(indices), "config_hash": "", "clusters": clusters, "trunk": ""}
    scores = agreement_scores(assigned, images.labels[indices], clusters, clusters)
    result = cluster_result(
        {**told, "variant": name, **what}, clustering_health(hot.float()), [], scores
    )
    write_cluster_result(result, path)
    return result


def write_table(results: Iterable[dict[str, Any]], path: Path) -> str:
    """The table of results, mean and range over seeds; written beside them."""
    text = cluster_table(list(results))
    write_whole(text.encode(), path)
    return text


def all_results(folder: Path) -> list[dict[str, Any]]:
    """The results of clusterings in a folder, by name."""
    return [read_cluster_result(path) for path in sorted(folder.glob("*.json"))]


def with_seed(config: ClusterConfig, seed: int) -> ClusterConfig:
    """The same configuration from another seed."""
    return dataclasses.replace(config, seed=seed)
