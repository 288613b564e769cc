"""Suggest images to label: those whose labels name the most other images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from frugalseg.tasks.cluster.evaluate import Answers, agreement_with_overcluster

UNDECIDED = 6  # once all groups have a label, one in so many images is an undecided one


def suggest(answers: Answers, number: int) -> list[tuple[int, str]]:
    """Choose images to label.

    First come typical images of each cluster, the largest first; then of each overcluster that has
    none yet; then more images of each overcluster, in proportion to its size, which shows whether
    it holds two kinds. Among these last ones every sixth is the most undecided image between two
    clusters, each pair of clusters once before any comes again: only few, since such images are
    odd and their labels name few others.

    Args:
        answers: of a run.
        number: how many images to choose.

    Returns:
        Places in the answers, all different, each with the reason; `number` of them, or all images.
    """
    overcluster = answers.overcluster_probabilities
    # many answers are equally sure: agreement with the overclustering ranks them
    agreed = agreement_with_overcluster(answers.probabilities, overcluster)
    typical = _typical(answers.probabilities, agreed, answers.cluster_names)
    covered = {int(overcluster[place].argmax()) for place, _ in typical}
    finer = _typical(
        overcluster, agreed, [f"group {i} of the finer ones" for i in range(overcluster.shape[1])]
    )
    typical += [(p, why) for p, why in finer if int(overcluster[p].argmax()) not in covered]
    chosen: dict[int, str] = {}
    for place, why in typical:
        if len(chosen) < number:
            chosen.setdefault(place, why)
    stands = overcluster.max(1) * answers.probabilities.max(1) * agreed
    sources = [_further(overcluster.argmax(1), stands, list(chosen)), iter(_unsure(answers))]
    turns = itertools.cycle([0] * (UNDECIDED - 1) + [1])
    while len(chosen) < min(number, len(answers.names)):
        fresh = (each for each in sources[next(turns)] if each[0] not in chosen)
        place, why = next(fresh, (-1, ""))
        if place >= 0:
            chosen[place] = why
    return list(chosen.items())


def _further(
    group: NDArray[np.integer], stands: NDArray[np.floating], labelled: Sequence[int]
) -> Iterator[tuple[int, str]]:
    """More images of each group, always of the group with the most images for each label.

    Images of a group come in even steps from typical to odd; each round fills the gaps of the last
    (the middle, the quarters, ...).
    """
    members = [np.flatnonzero(group == k) for k in range(int(group.max()) + 1)]
    sizes = np.array([len(each) for each in members])
    labels = np.bincount(group[labelled], minlength=len(sizes)) + 1
    typical_first = [each[np.argsort(-stands[each], kind="stable")] for each in members]
    rests = [iter(each[_halving(len(each))]) for each in typical_first]
    left = sizes.copy()
    while left.any():
        k = int(np.where(left > 0, sizes / labels, -1.0).argmax())
        labels[k] += 1
        left[k] -= 1
        yield int(next(rests[k])), f"one of group {k} of the finer ones ({sizes[k]} images)"


def _halving(count: int) -> NDArray[np.int64]:
    """The numbers below `count` in van der Corput's order: first, middle, quarters, ..."""
    bits = max(count - 1, 1).bit_length()
    numbers = np.arange(1 << bits)
    mirrored = sum(((numbers >> b) & 1) << (bits - 1 - b) for b in range(bits))
    places, rounds = np.unique(mirrored * count >> bits, return_index=True)
    return places[np.argsort(rounds)] if count else numbers[:0]


def _typical(
    probabilities: NDArray[np.floating], agreed: NDArray[np.floating], names: Sequence[str]
) -> list[tuple[int, str]]:
    """The surest and least odd image of each group, the largest group first."""
    assigned = probabilities.argmax(1)
    sizes = np.bincount(assigned, minlength=probabilities.shape[1])
    typical = []
    for group in np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]:
        members = np.flatnonzero(assigned == group)
        best = members[(probabilities[members, group] * agreed[members]).argmax()]
        typical.append((int(best), f"typical of {names[group]} ({sizes[group]} images)"))
    return typical


def _unsure(answers: Answers) -> list[tuple[int, str]]:
    """Images between two clusters, the most undecided first, pairs of clusters in turn."""
    p = answers.probabilities
    order = np.argsort(-p, 1, kind="stable")[:, :2]
    rows = np.arange(len(p))
    margin = p[rows, order[:, 0]] - p[rows, order[:, -1]]
    rounds: dict[tuple[int, int], int] = {}
    ranked = []
    for place in np.argsort(margin, kind="stable"):
        pair = (int(order[place].min()), int(order[place].max()))
        rounds[pair] = rounds.get(pair, 0) + 1
        ranked.append((rounds[pair], float(margin[place]), int(place), pair))
    names = answers.cluster_names
    return [(place, f"between {names[a]} and {names[b]}") for _, _, place, (a, b) in sorted(ranked)]
