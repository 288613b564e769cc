"""What few labels are worth: clusters named by them, against their number and their choice."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.information import accuracy, confusion, many_to_one, mean_and_spread

Integers = NDArray[np.int64]
SHARPNESS = 8  # of votes: near 1 all labelled images vote alike, at infinity the nearest decides


def share_curve(
    clusters: Integers,
    labels: Integers,
    naming: Integers,
    test: Integers,
    shares: Sequence[float],
    seeds: int = 10,
) -> list[dict[str, Any]]:
    """Accuracy where clusters are named by ever fewer labels (Ji et al. 2019, figure 6).

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
    curve = []
    for share in shares:
        number = max(1, round(share * len(naming)))
        found = []
        for seed in range(seeds if number < len(naming) else 1):
            kept = np.random.default_rng((seed, number)).permutation(naming)[:number]
            mapping = many_to_one(confusion(clusters[kept], labels[kept], count, kinds))
            found.append(accuracy(mapping, clusters[test], labels[test]))
        curve.append({"share": share, "labels": number, "accuracy": mean_and_spread(found)})
    return curve


def name_images(
    main: NDArray[np.floating],
    over: NDArray[np.floating],
    labelled: Integers,
    classes: Integers,
) -> Integers:
    """Give every image a class from a few labelled ones, by the likeness of their answers.

    Each labelled image votes for its class, with a weight that falls with the Hellinger distance of
    the answers of both heads. Other than by naming clusters, images of a cluster without labels are
    named too.

    Args:
        main, over: ``(N, k)`` and ``(N, K)`` soft assignments.
        labelled: ``(L)`` places of labelled images.
        classes: ``(L)`` their classes.

    Returns:
        ``(N)`` classes.
    """
    roots = np.sqrt(np.concatenate([main, over], 1).clip(0)).astype(np.float32)
    likeness = np.clip(roots @ roots[labelled].T / 2, 0, 1) ** SHARPNESS  # 1 where answers agree
    votes = (likeness + 1e-12) @ np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
    named: Integers = votes.argmax(1)
    return named


def suggestion_curve(
    main: NDArray[np.floating],
    over: NDArray[np.floating],
    labels: Integers,
    choose: Callable[[int], Sequence[int]],
    numbers: Sequence[int],
    seeds: int = 20,
) -> list[dict[str, Any]]:
    """Accuracy on all other images, by number of labels: suggested images against random ones.

    Args:
        main, over: ``(N, k)`` and ``(N, K)`` soft assignments.
        labels: ``(N)`` classes, all known.
        choose: the images suggested for a number of labels.
        numbers: of labels.
        seeds: how many random choices for each number.

    Returns:
        For each number: "labels", "suggested" (accuracy) and "random" (mean and spread).
    """

    def score(chosen: Integers) -> float:
        rest = np.setdiff1d(np.arange(len(labels)), chosen)
        named = name_images(main, over, chosen, labels[chosen])
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
