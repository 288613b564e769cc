"""Which images to label: those whose labels name most others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from frugalseg.evaluation.clusters import Answers, agreement_with_over

UNDECIDED = 6  # where all groups have a label, every so many-th image is an undecided one


def suggest(answers: Answers, number: int) -> list[tuple[int, str]]:
    """Choose images to label.

    First a typical image of each cluster, the largest first; then one of each overcluster that has
    none yet; then more of each overcluster, in proportion to its size, since a group that holds two
    kinds shows it only so. Among these, every sixth is the most undecided image between two
    clusters, each pair of clusters once before any comes again: such images are odd ones, whose
    labels name few others.

    Args:
        answers: of a run.
        number: how many images to choose.

    Returns:
        Places in the answers, all different, each with the reason; as many as asked, or all images.
    """
    over = answers.over_probabilities
    # many answers are sure: the finer grouping tells which of them stand for their cluster
    agreed = agreement_with_over(answers.probabilities, over)
    typical = _typical(answers.probabilities, agreed, answers.cluster_names)
    covered = {int(over[place].argmax()) for place, _ in typical}
    finer = _typical(over, agreed, [f"group {i} of the finer ones" for i in range(over.shape[1])])
    typical += [(p, why) for p, why in finer if int(over[p].argmax()) not in covered]
    chosen: dict[int, str] = {}
    for place, why in typical:
        if len(chosen) < number:
            chosen.setdefault(place, why)
    stands = over.max(1) * answers.probabilities.max(1) * agreed
    sources = [_further(over.argmax(1), stands, list(chosen)), iter(_unsure(answers))]
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
    """More images of each group, always of the one with the most images a label.

    Within a group they go through its images from typical to odd in even steps, each round between
    those of the last (the middle, the quarters, ...).
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
    """The numbers below count in van der Corput's order: first, middle, quarters, ..."""
    bits = max(count - 1, 1).bit_length()
    numbers = np.arange(1 << bits)
    mirrored = sum(((numbers >> b) & 1) << (bits - 1 - b) for b in range(bits))
    places, rounds = np.unique(mirrored * count >> bits, return_index=True)
    return places[np.argsort(rounds)] if count else numbers[:0]


def _typical(
    probabilities: NDArray[np.floating],
    agreed: NDArray[np.floating],
    names: list[str] | tuple[str, ...],
) -> list[tuple[int, str]]:
    """The surest and least odd image of each group, the largest group first."""
    assigned = probabilities.argmax(1)
    sizes = np.bincount(assigned, minlength=probabilities.shape[1])
    found = []
    for group in np.argsort(-sizes, kind="stable"):
        if not sizes[group]:
            continue
        members = np.flatnonzero(assigned == group)
        best = members[(probabilities[members, group] * agreed[members]).argmax()]
        found.append((int(best), f"typical of {names[group]} ({sizes[group]} images)"))
    return found


def _unsure(answers: Answers) -> list[tuple[int, str]]:
    """Images between two clusters, the most undecided first, pairs of clusters by turns."""
    p = answers.probabilities
    order = np.argsort(-p, 1, kind="stable")[:, :2]
    rows = np.arange(len(p))
    margin = p[rows, order[:, 0]] - p[rows, order[:, -1]]
    seen: dict[tuple[int, int], int] = {}
    ranked = []
    for place in np.argsort(margin, kind="stable"):
        pair = (int(order[place].min()), int(order[place].max()))
        seen[pair] = seen.get(pair, 0) + 1
        ranked.append((seen[pair], float(margin[place]), int(place), pair))
    names = answers.cluster_names
    return [(place, f"between {names[a]} and {names[b]}") for _, _, place, (a, b) in sorted(ranked)]
