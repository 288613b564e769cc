"""How many clusters there are: merge an overclustering, and see where independent starts agree.

Overclusters that two views of an image exchange hold the same things. They are merged pair by pair,
each time the pair whose merging loses the least mutual information (agglomerative information
bottleneck, Slonim and Tishby 1999). Several sub-heads, begun independently, do so on their own: at
the number of clusters that the data have, they arrive at the same groups; at others each cuts or
joins where it happens to.
"""

import itertools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.information import entropy, joint_distribution

MOST = 30  # numbers of clusters that are considered
CLOSE = 0.02  # agreement this close to the best is as good, and the finer grouping is taken


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
    """The number of clusters at which sub-heads agree best.

    Args:
        p: ``(S, N, K)`` overclustering of plain views, two or more sub-heads.
        q: ``(S, N, K)`` or ``(S, R, N, K)`` of transformed ones.
        most: the greatest number considered.

    Returns:
        "chosen"; "curve", a list of (clusters, agreement), the agreement being the mean adjusted
        Rand index of all pairs of sub-heads; "information", a list of (clusters, mean share of the
        entropy of the merged clusters that two views share); "value", what the curve shows; "says",
        a sentence.
    """
    from sklearn.metrics import adjusted_rand_score

    joints = joint_distribution(p, q)
    answers = p.detach().cpu().numpy()
    merged: list[dict[int, NDArray[np.int64]]] = []
    for joint, own in zip(joints.cpu(), answers, strict=True):
        by_count = {int(g.max()) + 1: g for g in merge_order(joint)}
        merged.append(
            {k: merge_answers(own, g).argmax(1) for k, g in by_count.items() if k <= most}
        )
    agreement = {}
    for k in range(2, min(most, p.shape[-1]) + 1):
        pairs = itertools.combinations([one[k] for one in merged], 2)
        agreement[k] = float(np.mean([adjusted_rand_score(a, b) for a, b in pairs] or [0.0]))
    best = max(agreement.values())
    chosen = max(k for k, value in agreement.items() if value >= best - CLOSE)
    information = _shared(joints.cpu(), most)
    return {
        "chosen": chosen,
        "curve": list(agreement.items()),
        "information": information,
        "value": "agreement of sub-heads",
        "says": (
            f"{chosen} clusters: there, {p.shape[0]} sub-heads that were merged independently "
            f"agree best (adjusted Rand index {agreement[chosen]:.2f})."
        ),
    }


def _shared(joints: Tensor, most: int) -> list[tuple[int, float]]:
    """Information that views share over the entropy of the merged clusters, mean of sub-heads."""
    found: dict[int, list[float]] = {}
    for joint in joints:
        for groups in merge_order(joint):
            k = int(groups.max()) + 1
            if k > most:
                continue
            select = torch.nn.functional.one_hot(torch.from_numpy(groups), k).to(joint)
            table = select.T @ joint @ select
            marginal = float(entropy(table.sum(1)))
            shared = 2 * marginal - float(entropy(table, 2))
            found.setdefault(k, []).append(shared / marginal if marginal > 0 else 0.0)
    return [(k, float(np.mean(values))) for k, values in sorted(found.items())]
