"""Few labels: accuracy against the share of labels, against k, and for suggested images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.cluster_runs import ClusterRun, load_cluster_run
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import command_line, environment
from frugalseg.files import write_json
from frugalseg.recipes.clustering import Say
from frugalseg.reports.label_curves import draw_label_curves

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
NUMBERS = (10, 20, 50, 100, 200, 500)


def run_label_curves(
    folders: Sequence[Path],
    out: Path,
    shares: Sequence[float] = SHARES,
    numbers: Sequence[int] = NUMBERS,
    say: Say = lambda text: None,
) -> list[dict[str, Any]]:
    """Curves of runs on labelled data; nothing is trained.

    Overclusters are named by labels of "train" and scored on "test" where the data have both (the
    paper's protocol, if the run was trained on "train"), else by one random half on the other. Of
    runs without an overclustering head the main one takes its place. Runs that differ in their
    number of overclusters give the curve against k. A picture of the curves lies beside the file.

    Args:
        folders: finished runs.
        out: the result file, JSON.
        shares: of the labels.
        numbers: of labels, for suggested against random images.
        say: is told, in words, what begins.

    Returns:
        The curves of each run, as in the file.

    Raises:
        FrugalsegError: a run has no labels.
    """
    from frugalseg.training.cluster_plan import open_image_data

    found = []
    for folder in folders:
        say(f"== {folder}")
        run = load_cluster_run(folder)
        images = open_image_data(run.config)
        if images.labels is None or not len(images.labelled):
            raise FrugalsegError(f"{folder} was trained on images without labels.")
        found.append(_curves(run, images, shares, numbers))
    result = {"command": command_line(), "environment": environment(), "runs": found}
    write_json(result, out)
    draw_label_curves(found, out.with_suffix(".svg"))
    return found


def _curves(
    run: ClusterRun, images: ImageSet, shares: Sequence[float], numbers: Sequence[int]
) -> dict[str, Any]:
    from frugalseg.evaluation.labels import share_curve, suggestion_curve
    from frugalseg.evaluation.suggest import suggest
    from frugalseg.training.cluster_answers import answer_images

    both = {"train", "test"} <= images.splits.keys() and run.config.split != "test"
    answers = answer_images(run, images, "train+test" if both else run.config.split)
    assert answers.labels is not None
    numbers = [number for number in numbers if number < len(answers.names)]  # one must be left
    ranked = [place for place, _ in suggest(answers, max(numbers, default=0))]
    naming, test = _halves(images, answers.indices)
    over = answers.over_probabilities
    return {
        "run": run.folder.name,
        "data": images.name,
        "split": run.config.split,
        "seed": run.config.seed,
        "clusters": run.clusters,
        "over_clusters": over.shape[1],
        "naming": len(naming),
        "test": len(test),
        "by_share": share_curve(over.argmax(1), answers.labels, naming, test, shares),
        "by_choice": suggestion_curve(
            answers.probabilities, over, answers.labels, lambda n: ranked[:n], numbers
        ),
    }


def _halves(images: ImageSet, indices: Any) -> tuple[Any, Any]:
    """Places of the images that name clusters, and of those that score."""
    if {"train", "test"} <= images.splits.keys():
        train = np.flatnonzero(np.isin(indices, images.splits["train"]))
        test = np.flatnonzero(np.isin(indices, images.splits["test"]))
        if len(train) and len(test):
            return train, test
    order = np.random.default_rng(0).permutation(len(indices))
    return order[: len(order) // 2], order[len(order) // 2 :]
