"""Choose the number of clusters: merge an overclustering until views no longer share its splits.

Two views of an image may fall into different overclusters; these then hold the same things. Pairs
of overclusters are merged one after the other, each time the pair whose merging loses the least
mutual information (agglomerative information bottleneck, Slonim and Tishby 1999). Read backwards,
each merging is a split that adds entropy. Two views share nearly all of that entropy if the split
separates different things, and less if it divides one kind of thing by style. The number of
clusters is where the first sort of split gives way to the second.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.iic import entropy, joint_distribution

Floats = NDArray[np.floating[Any]]
MOST = 30  # clusters


def merge_order(joint: Tensor) -> list[NDArray[np.int64]]:
    """Merge overclusters into fewer and fewer groups, two groups at a time.

    Args:
        joint: ``(K, K)`` joint distribution of overclusters of two views, symmetric.

    Returns:
        For K, K - 1, ..., 2 groups: ``(K)`` the group of each overcluster, numbered from 0.
    """
    table = joint.detach().double().clone()
    group = np.arange(len(table))
    groupings = [group]
    while len(table) > 2:
        a, b = _cheapest(table)
        group = np.where(group == b, a, group)
        group = group - (group > b)
        table[a] += table[b]
        table[:, a] += table[:, b]
        keep = [k for k in range(len(table)) if k != b]
        table = table[keep][:, keep]
        groupings.append(group)
    return groupings


def _cheapest(table: Tensor) -> tuple[int, int]:
    """The pair a < b of a symmetric table whose merging loses the least information.

    Information is 2 H(marginal) - H(table); all pairs are tried at once.
    """
    count, entr = len(table), torch.special.entr  # -x ln x
    cells, marginal = entr(table), table.sum(1)
    # the gain of H(table) in each column c if rows a and b become one, except in columns a and b
    columns = entr(table[:, None] + table) - cells[:, None] - cells  # (a, b, c)
    own = torch.eye(count, dtype=torch.bool)
    outside = columns.masked_fill(own[:, None] | own, 0).sum(-1)
    corner = table.diagonal()[:, None] + table.diagonal() + 2 * table
    inside = entr(corner) - cells.diagonal()[:, None] - cells.diagonal() - 2 * cells
    of_table = 2 * outside + inside  # the table is symmetric
    alone = entr(marginal)
    of_marginal = entr(marginal[:, None] + marginal) - alone[:, None] - alone
    loss = of_table - 2 * of_marginal
    loss = loss.masked_fill(torch.ones_like(own).tril(), torch.inf)
    place = int(loss.argmin())
    return place // count, place % count


def merge_answers(answers: NDArray[Any], groups: NDArray[np.int64]) -> NDArray[Any]:
    """Soft assignments to groups: sums over the overclusters of each.

    Args:
        answers: ``(N, K)``.
        groups: ``(K)`` from :func:`merge_order`.

    Returns:
        ``(N, groups)``.
    """
    merged = np.zeros((len(answers), int(groups.max()) + 1), answers.dtype)
    np.add.at(merged.T, groups, answers.T)
    return merged


def choose_count(
    p: Tensor,
    q: Tensor,
    unit: str = "clusters",
    groupings: Sequence[NDArray[np.int64]] | None = None,
) -> dict[str, Any]:
    """Choose the number of clusters, from the mean over sub-heads; at most MOST.

    Args:
        p: ``(S, N, K)`` overclustering of plain views.
        q: ``(S, N, K)`` or ``(S, R, N, K)`` of transformed views.
        unit: what the sentence calls the clusters.
        groupings: of the overclusters, for every sub-head, as from :func:`merge_order`, which
            makes them by default.

    Returns:
        "chosen", the number; "by_sub_head", the number by each sub-head alone; "curve", a list of
        (clusters, share of the entropy added by the last split that two views share); "before" and
        "after", the mean of this share up to the chosen number and beyond; "agreement", a list of
        (clusters, mean adjusted Rand index of all pairs of sub-heads); "information", a list of
        (clusters, share of the entropy of all merged clusters that two views share); "value", the
        name of the curve's values; "says", a sentence.
    """
    joints = joint_distribution(p, q).cpu()
    orders = [merge_order(joint) if groupings is None else groupings for joint in joints]
    groups = [{int(g.max()) + 1: g for g in order} for order in orders]
    numbers = range(2, min(MOST, p.shape[-1]) + 1)
    # (S, 1 + numbers, 2): information and entropy in nats of 1, 2, ... clusters; one has none
    totals = np.array(
        [
            [(0.0, 0.0)] + [_totals(joint, merged[k]) for k in numbers]
            for joint, merged in zip(joints, groups, strict=True)
        ]
    )
    mean = totals.mean(0)
    shared, added = np.diff(mean, axis=0).T
    chosen, before, after = turning_point(shared, added)
    by_sub_head = [turning_point(*np.diff(each, axis=0).T)[0] for each in totals]
    return {
        "chosen": chosen,
        "by_sub_head": by_sub_head,
        "curve": _pairs(numbers, _share(shared, added)),
        "before": before,
        "after": after,
        "agreement": _pairs(numbers, _agreement(p.detach().cpu().numpy(), groups, numbers)),
        "information": _pairs(numbers, _share(*mean[1:].T)),
        "value": "share of a split that views share",
        "says": (
            f"{chosen} {unit}: two views share {before:.0%} of what splits up to there add, and "
            f"{after:.0%} beyond."
            + f" Sub-heads alone say {min(by_sub_head)} to {max(by_sub_head)}."
            * (len(joints) > 1)
        ),
    }


def turning_point(shared: Floats, added: Floats) -> tuple[int, float, float]:
    """The number of clusters beyond which information grows more slowly with entropy.

    Fits two straight lines by least squares.

    Args:
        shared: ``(L)`` information in nats that splits 1 to 2, 2 to 3, ... clusters add.
        added: ``(L)`` entropy in nats that they add, not negative.

    Returns:
        The number of clusters at the turn, and the shares of added entropy that are shared, before
        it and after it (again the share before, if there is no split after it).
    """
    share = _share(shared, added)
    misfits = []
    for turn in range(1, len(share) + 1):
        parts = ((share[k], added[k]) for k in (slice(turn), slice(turn, None)))
        misfits.append(sum(float((w * (r - _mean(r, w)) ** 2).sum()) for r, w in parts))
    turn = 1 + int(np.argmin(misfits[:-1] or misfits))
    before = _mean(share[:turn], added[:turn])
    beyond = added[turn:].sum() > 0
    return turn + 1, before, _mean(share[turn:], added[turn:]) if beyond else before


def _totals(joint: Tensor, groups: NDArray[np.int64]) -> tuple[float, float]:
    """Information that two views share, and entropy, of merged clusters, in nats."""
    select = torch.nn.functional.one_hot(torch.from_numpy(groups)).to(joint)
    table = select.T @ joint @ select
    marginal = float(entropy(table.sum(1)))
    return 2 * marginal - float(entropy(table, 2)), marginal


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _mean(values: Floats, weights: Floats) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total > 0 else 0.0


def _agreement(
    answers: NDArray[Any], groups: list[dict[int, NDArray[np.int64]]], numbers: range
) -> list[float]:
    """Mean adjusted Rand index of all pairs of sub-heads; 0 if there is only one."""
    from sklearn.metrics import adjusted_rand_score

    means = []
    for k in numbers:
        assigned = [
            merge_answers(own, merged[k]).argmax(1)
            for own, merged in zip(answers, groups, strict=True)
        ]
        pairs = itertools.combinations(assigned, 2)
        means.append(float(np.mean([adjusted_rand_score(a, b) for a, b in pairs] or [0.0])))
    return means


def _pairs(numbers: range, values: Iterable[float]) -> list[tuple[int, float]]:
    return [(k, float(value)) for k, value in zip(numbers, values, strict=True)]
