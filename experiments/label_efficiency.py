"""Few labels: accuracy by the share of labels, by k, and for suggested against random images.

Nothing is trained: clusters of finished runs are named by labels. The pictures are drawn from the
numbers that the result file holds.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.panels import Line, Panel, draw_panels
from experiments.published import Numbers, Shares
from frugalseg.console import log
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.environment import command_line, environment
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_json
from frugalseg.iic import many_to_one
from frugalseg.metrics.clustering import mean_and_spread
from frugalseg.metrics.confusion import accuracy, as_classes, confusion
from frugalseg.tasks.cluster.data import open_data
from frugalseg.tasks.cluster.predict import ClusterRun, answer_images
from frugalseg.tasks.cluster.suggest import suggest

Integers = NDArray[np.int64]
SHARES = (1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
NUMBERS = (10, 20, 50, 100, 200, 500)
SHARPNESS = 8  # of votes: near 1 all labelled images vote alike, at infinity the nearest decides


def label_efficiency(
    runs: list[Path], /, *, out: Path, shares: Shares = SHARES, numbers: Numbers = NUMBERS
) -> list[dict[str, Any]]:
    """Curves of runs on labelled data; nothing is trained.

    Overclusters are named by labels of "train" and scored on "test" if the data have both (the
    paper's protocol, if the run was trained on "train"), else by one random half on the other. The
    main head takes the place of an overclustering head that a run does not have. Runs that differ
    in their number of overclusters give the curve against k.

    Args:
        runs: Folders of finished clusterings of labelled images.
        out: The result file, JSON; a picture of the curves lies beside it.
        shares: Of the labels.
        numbers: Of labels, for suggested against random images.

    Returns:
        The curves of each run, as in the file.

    Raises:
        FrugalsegError: a run has no labels.
    """
    curves = []
    for folder in runs:
        log.info(f"== {folder}")
        run = ClusterRun.load(folder)
        images = open_data(run.config)
        if images.labels is None or not len(images.labelled):
            raise FrugalsegError(f"{folder} was trained on images without labels.")
        curves.append(_curves(run, images, shares, numbers))
    write_json({"command": command_line(), "environment": environment(), "runs": curves}, out)
    draw_label_curves(curves, out.with_suffix(".svg"))
    return curves


def _curves(
    run: ClusterRun, images: ImageSet, shares: Sequence[float], numbers: Sequence[int]
) -> dict[str, Any]:
    both = {"train", "test"} <= images.splits.keys() and run.config.split != "test"
    answers = answer_images(run, images, "train+test" if both else run.config.split)
    assert answers.labels is not None
    numbers = [number for number in numbers if number < len(answers.names)]  # one must be left
    ranked = [place for place, _ in suggest(answers, max(numbers, default=0))]
    naming, test = _halves(images, answers.indices)
    overcluster = answers.overcluster_probabilities
    return {
        "run": run.dir.name,
        "data": images.name,
        "split": run.config.split,
        "seed": run.config.seed,
        "clusters": run.clusters,
        "overclusters": overcluster.shape[1],
        "naming": len(naming),
        "test": len(test),
        "by_share": share_curve(overcluster.argmax(1), answers.labels, naming, test, shares),
        "by_choice": suggestion_curve(
            answers.probabilities, overcluster, answers.labels, lambda n: ranked[:n], numbers
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


def share_curve(
    clusters: Integers,
    labels: Integers,
    naming: Integers,
    test: Integers,
    shares: Sequence[float],
    seeds: int = 10,
) -> list[dict[str, Any]]:
    """Accuracy if clusters are named by ever fewer labels (Ji et al. 2019, figure 6).

    Each cluster gets the most frequent class of its labelled images; a cluster without any counts
    as wrong. Nothing is trained again.

    Args:
        clusters: ``(N)`` most probable overclusters.
        labels: ``(N)`` classes, -1 where unknown.
        naming: indices of the images whose labels may name clusters.
        test: indices of the images to score.
        shares: of the labels of ``naming`` to keep, each above 0 and at most 1.
        seeds: how many random choices of labels for each share.

    Returns:
        For each share: "share", "labels" (their number) and "accuracy" (mean and spread over the
        choices).
    """
    naming = naming[labels[naming] >= 0]
    kinds, count = int(labels.max()) + 1, int(clusters.max()) + 1
    scored = confusion(clusters[test], labels[test], count, kinds)
    curve = []
    for share in shares:
        number = max(1, round(share * len(naming)))
        accuracies = []
        for seed in range(seeds if number < len(naming) else 1):
            kept = np.random.default_rng((seed, number)).permutation(naming)[:number]
            mapping = many_to_one(confusion(clusters[kept], labels[kept], count, kinds))
            accuracies.append(accuracy(as_classes(scored, mapping)))
        curve.append({"share": share, "labels": number, "accuracy": mean_and_spread(accuracies)})
    return curve


def name_images(
    main: NDArray[np.floating],
    overcluster: NDArray[np.floating],
    labelled: Integers,
    classes: Integers,
) -> Integers:
    """Give every image a class from a few labelled ones, by the likeness of their answers.

    Each labelled image votes for its class, with a weight that falls with the Hellinger distance of
    the answers of both heads. Other than by naming clusters, images of a cluster without labels are
    named too.

    Args:
        main, overcluster: ``(N, k)`` and ``(N, K)`` soft assignments.
        labelled: ``(L)`` places of labelled images.
        classes: ``(L)`` their classes.

    Returns:
        ``(N)`` classes.
    """
    roots = np.sqrt(np.concatenate([main, overcluster], 1).clip(0)).astype(np.float32)
    likeness = np.clip(roots @ roots[labelled].T / 2, 0, 1) ** SHARPNESS  # 1 where answers agree
    votes = (likeness + 1e-12) @ np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
    named: Integers = votes.argmax(1)
    return named


def suggestion_curve(
    main: NDArray[np.floating],
    overcluster: NDArray[np.floating],
    labels: Integers,
    choose: Callable[[int], Sequence[int]],
    numbers: Sequence[int],
    seeds: int = 20,
) -> list[dict[str, Any]]:
    """Accuracy on all other images, by number of labels: suggested images against random ones.

    Args:
        main, overcluster: ``(N, k)`` and ``(N, K)`` soft assignments.
        labels: ``(N)`` classes, all known.
        choose: the images suggested for a number of labels.
        numbers: of labels.
        seeds: how many random choices for each number.

    Returns:
        For each number: "labels", "suggested" (accuracy) and "random" (mean and spread).
    """

    def score(chosen: Integers) -> float:
        rest = np.setdiff1d(np.arange(len(labels)), chosen)
        named = name_images(main, overcluster, chosen, labels[chosen])
        return float((named[rest] == labels[rest]).mean())

    curve = []
    for number in numbers:
        drawn = [
            score(np.random.default_rng((seed, number)).permutation(len(labels))[:number])
            for seed in range(seeds)
        ]
        suggested = score(np.asarray(choose(number), np.int64))
        row = {"labels": number, "suggested": suggested, "random": mean_and_spread(drawn)}
        curve.append(row)
    return curve


def draw_label_curves(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw what :func:`label_efficiency` measured.

    Args:
        runs: its result: "run", "overclusters", "by_share" and "by_choice" of each.
        path: SVG file: accuracy against the share of labels; against k, where runs differ in it;
            suggested against random images.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    panels = [Panel("share of the labels that name clusters", [_by_share(run) for run in runs])]
    against_k = _against_k(runs)
    if against_k:
        panels.append(Panel("overclusters", against_k))
    chosen = [line for run in runs for line in _by_choice(run, several=len(runs) > 1)]
    if any(line.xs for line in chosen):
        panels.append(Panel("labels", chosen))
    draw_panels(panels, "accuracy", path)


def _by_share(run: Mapping[str, Any]) -> Line:
    rows = sorted(run["by_share"], key=lambda row: row["share"])
    spread = [row["accuracy"] for row in rows]
    return Line(
        f"{run['run']}, {run['overclusters']} overclusters",
        [row["share"] for row in rows],
        [each["mean"] for each in spread],
        [each["least"] for each in spread],
        [each["greatest"] for each in spread],
    )


def _against_k(runs: Sequence[Mapping[str, Any]]) -> list[Line]:
    """One line for each share that all runs have, if they differ in k; at most four."""
    if len({run["overclusters"] for run in runs}) < 2:
        return []
    ordered = sorted(runs, key=lambda run: int(run["overclusters"]))
    tables = [{row["share"]: row["accuracy"]["mean"] for row in r["by_share"]} for r in ordered]
    common = sorted(set.intersection(*(set(table) for table in tables)), reverse=True)
    places = [float(run["overclusters"]) for run in ordered]
    return [
        Line(f"{share:.4g} of the labels", places, [table[share] for table in tables])
        for share in common[:: -(-len(common) // 4)]
    ]


def _by_choice(run: Mapping[str, Any], several: bool) -> list[Line]:
    rows = sorted(run["by_choice"], key=lambda row: row["labels"])
    numbers = [float(row["labels"]) for row in rows]
    random = [row["random"] for row in rows]
    where = f", {run['run']}" if several else ""
    return [
        Line(f"suggested{where}", numbers, [row["suggested"] for row in rows]),
        Line(
            f"random{where}",
            numbers,
            [each["mean"] for each in random],
            [each["least"] for each in random],
            [each["greatest"] for each in random],
        ),
    ]
