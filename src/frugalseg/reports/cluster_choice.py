"""Which images stand for a cluster, which are in doubt, and which clusters are confused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalseg.evaluation.clusters import agreement_with_over

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Chosen:
    """Images of one cluster, by index.

    Attributes:
        cluster: its number.
        members: all its images, the surest first.
        typical: those that stand for it.
        unsure: those whose answer is shared with another cluster.
        odd: sure ones that the finer grouping would rather put elsewhere.
    """

    cluster: int
    members: NDArray[np.int64]
    typical: NDArray[np.int64]
    unsure: NDArray[np.int64]
    odd: NDArray[np.int64]


@dataclass(frozen=True)
class Confused:
    """Two clusters, the share of their images' answers that goes to the other one, examples."""

    first: int
    second: int
    share: float
    between: NDArray[np.int64]


def choose_images(
    probabilities: Floats, over: Floats | None, typical: int = 12, doubtful: int = 6
) -> list[Chosen]:
    """Choose the images that a gallery shows of each cluster; no image twice.

    An image is typical by its probability times what the overclustering head makes of it: the share
    of the cluster among all images of its overclusters. Odd ones are those of least such share.

    Args:
        probabilities: (N, k) answers.
        over: (N, K) answers of the overclustering head; without it nothing is odd.
        typical, doubtful: how many to choose at most.

    Returns:
        One entry a cluster, also for empty ones.
    """
    answers = probabilities.argmax(1)
    sure = probabilities.max(1)
    agreed = np.ones(len(answers)) if over is None else agreement_with_over(probabilities, over)
    chosen = []
    for cluster in range(probabilities.shape[1]):
        members = np.flatnonzero(answers == cluster)
        members = members[np.argsort(-sure[members], kind="stable")]
        left = members[np.argsort(-(sure * agreed)[members], kind="stable")]
        shown, left = left[:typical], left[typical:]
        by_doubt = left[np.argsort(sure[left], kind="stable")]
        unsure = by_doubt[sure[by_doubt] < 0.9][:doubtful]
        left = np.setdiff1d(left, unsure)
        by_oddness = left[np.argsort(agreed[left], kind="stable")]
        odd = by_oddness[agreed[by_oddness] < 0.5][:doubtful]
        chosen.append(Chosen(cluster, members, shown, unsure, odd))
    return chosen


def confused_clusters(
    probabilities: Floats, least: float = 0.02, examples: int = 6
) -> list[Confused]:
    """Pairs of clusters between which answers are shared, the most confused first.

    Args:
        probabilities: (N, k).
        least: smallest share of the answers of a pair's images that is told.
        examples: images between the two, the most undecided first.

    Returns:
        The pairs; the share is of the answers of both clusters' images, 0 to 0.5.
    """
    answers = probabilities.argmax(1)
    count = probabilities.shape[1]
    mass = np.zeros((count, count))
    np.add.at(mass, answers, probabilities)  # of the images of cluster i, how much went to j
    sizes = np.bincount(answers, minlength=count)
    second = _second(probabilities)
    found = []
    for i in range(count):
        for j in range(i + 1, count):
            images = sizes[i] + sizes[j]
            share = (mass[i, j] + mass[j, i]) / images if sizes[i] and sizes[j] else 0.0
            if share < least:
                continue
            either = ((answers == i) & (second == j)) | ((answers == j) & (second == i))
            between = np.flatnonzero(either)
            order = np.argsort(probabilities[between].max(1), kind="stable")
            found.append(Confused(i, j, float(share), between[order][:examples]))
    return sorted(found, key=lambda pair: -pair.share)


def _second(probabilities: Floats) -> NDArray[np.int64]:
    """(N,) the second choice; the only cluster where there is one alone."""
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities), np.int64)
    second: NDArray[np.int64] = np.argsort(-probabilities, 1, kind="stable")[:, 1]
    return second
