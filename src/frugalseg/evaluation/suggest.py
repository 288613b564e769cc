"""Which images to label: those whose labels name most others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frugalseg.evaluation.clusters import Answers, agreement_with_over


def suggest(answers: Answers, number: int) -> list[tuple[int, str]]:
    """Choose images to label.

    First a typical image of each cluster, the largest first; then one of each overcluster that has
    none yet; then the most undecided images between two clusters, each pair of clusters once before
    any comes again. Undecided images are odd ones, and their labels name few others: they come
    where all groups have a label.

    Args:
        answers: of a run.
        number: how many images to choose.

    Returns:
        Places in the answers, all different, each with the reason; as many as asked, or all images.
    """
    # many answers are sure: the finer grouping tells which of them stand for their cluster
    agreed = agreement_with_over(answers.probabilities, answers.over_probabilities)
    chosen: dict[int, str] = {}
    for place, why in _typical(answers.probabilities, agreed, answers.cluster_names):
        if len(chosen) < number:
            chosen.setdefault(place, why)
    over = answers.over_probabilities
    finer = _typical(over, agreed, [f"group {i} of the finer ones" for i in range(over.shape[1])])
    covered = {int(over[place].argmax()) for place in chosen}
    finer = [(p, why) for p, why in finer if int(over[p].argmax()) not in covered]
    for place, why in [*finer, *_unsure(answers)]:
        if len(chosen) < number:
            chosen.setdefault(place, why)
    return list(chosen.items())


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
