"""How many clusters there are: merge an overclustering, and see where splits cease to be shared.

Overclusters that two views of an image exchange hold the same things. They are merged pair by pair,
each time the pair whose merging loses the least mutual information (agglomerative information
bottleneck, Slonim and Tishby 1999). Read backwards, each merging is a split that adds entropy, of
which two views share a part: nearly all where different things are told apart, less where one kind
of thing is cut into styles. The number of clusters is where the one gives way to the other.
"""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.information import entropy, joint_distribution

Floats = NDArray[np.floating[Any]]
MOST = 30  # numbers of clusters that are considered


def merge_order(joint: Tensor, fewest: int = 2) -> list[NDArray[np.int64]]:
    """Groupings of overclusters into fewer and fewer groups, each merging two groups of the last.

    Args:
        joint: ``(K, K)`` joint distribution of overclusters of two views, symmetric.
        fewest: where to stop.

    Returns:
        For K, K - 1, ... groups: ``(K)`` the group of each overcluster, numbered from 0.
    """
    table = joint.detach().double().clone()
    groups = [[k] for k in range(len(table))]
    found = [_membership(groups)]
    while len(groups) > max(fewest, 1):
        a, b = _cheapest(table)
        groups[a] += groups.pop(b)
        table[a] += table[b]
        table[:, a] += table[:, b]
        keep = [k for k in range(len(table)) if k != b]
        table = table[keep][:, keep]
        found.append(_membership(groups))
    return found


def _cheapest(table: Tensor) -> tuple[int, int]:
    """The pair a < b of a symmetric table whose merging loses the least information.

    Information is 2 H(marginal) - H(table); all pairs are tried at once.
    """
    count = len(table)
    cells, marginal = _surprise(table), table.sum(1)
    # what H(table) gains in each column c where rows a and b become one; columns a and b apart
    columns = _surprise(table[:, None] + table) - cells[:, None] - cells  # (a, b, c)
    own = torch.eye(count, dtype=torch.bool)
    outside = columns.masked_fill(own[:, None] | own, 0).sum(-1)
    corner = table.diagonal()[:, None] + table.diagonal() + 2 * table
    inside = _surprise(corner) - cells.diagonal()[:, None] - cells.diagonal() - 2 * cells
    of_table = 2 * outside + inside  # rows and columns are alike
    alone = _surprise(marginal)
    of_marginal = _surprise(marginal[:, None] + marginal) - alone[:, None] - alone
    loss = of_table - 2 * of_marginal
    loss = loss.masked_fill(torch.ones_like(own).tril(), torch.inf)
    place = int(loss.argmin())
    return place // count, place % count


def _surprise(x: Tensor) -> Tensor:
    """``-x ln x``, 0 at 0."""
    surprise: Tensor = torch.special.entr(x)
    return surprise


def _membership(groups: list[list[int]]) -> NDArray[np.int64]:
    found = np.empty(sum(map(len, groups)), np.int64)
    for number, members in enumerate(groups):
        found[members] = number
    return found


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


def choose_count(p: Tensor, q: Tensor, most: int = MOST) -> dict[str, Any]:
    """The number of clusters up to which views share what a split adds; mean over sub-heads.

    Args:
        p: ``(S, N, K)`` overclustering of plain views.
        q: ``(S, N, K)`` or ``(S, R, N, K)`` of transformed ones.
        most: the greatest number considered.

    Returns:
        "chosen"; "by_sub_head", the number that each sub-head alone says; "curve", a list of
        (clusters, share of the entropy added by the last split that two views share); "before" and
        "after", its mean up to the chosen number and beyond; "agreement", a list of (clusters, mean
        adjusted Rand index of all pairs of sub-heads); "information", a list of (clusters, share of
        the entropy of all merged clusters that two views share); "value", what the curve shows;
        "says", a sentence.
    """
    joints = joint_distribution(p, q).cpu()
    groups = [{int(g.max()) + 1: g for g in merge_order(joint)} for joint in joints]
    numbers = range(2, min(most, p.shape[-1]) + 1)
    # (S, numbers, 2): information and entropy in nats, from one cluster, which has none, upwards
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
            f"{chosen} clusters: two views share {before:.0%} of what splits up to there add, and "
            f"{after:.0%} beyond. Sub-heads alone say {min(by_sub_head)} to {max(by_sub_head)}."
        ),
    }


def turning_point(shared: Floats, added: Floats) -> tuple[int, float, float]:
    """Where information stops to grow with entropy as it did: two straight lines, least squares.

    Args:
        shared: ``(L)`` information in nats that splits 1 to 2, 2 to 3, ... clusters add.
        added: ``(L)`` entropy in nats that they add, not negative.

    Returns:
        The number of clusters at the turn, and the shares of added entropy that are shared, before
        it and after it (the share before, where there is no split after it).
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
    """Information that views share and entropy, of merged clusters."""
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
    """Mean adjusted Rand index of all pairs of sub-heads, 0 where there is but one."""
    from sklearn.metrics import adjusted_rand_score

    found = []
    for k in numbers:
        each = [
            merge_answers(own, merged[k]).argmax(1)
            for own, merged in zip(answers, groups, strict=True)
        ]
        pairs = itertools.combinations(each, 2)
        found.append(float(np.mean([adjusted_rand_score(a, b) for a, b in pairs] or [0.0])))
    return found


def _pairs(numbers: range, values: Iterable[float]) -> list[tuple[int, float]]:
    return [(k, float(value)) for k, value in zip(numbers, values, strict=True)]
