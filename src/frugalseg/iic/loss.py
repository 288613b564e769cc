"""Mutual information between two views of the same images (Ji, Henriques, Vedaldi 2019, section 3).

Soft assignments are ``(..., N, k)``: N images, k clusters, rows that sum to 1; dimensions of
sub-heads come first. The second argument may hold R transformed views of each image,
``(..., R, N, k)``, so that the plain view is computed once. Information is in nats.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

Part = TypeVar("Part")


def pair_counts(p: Tensor, q: Tensor) -> Tensor:
    """Sum of the outer products of paired assignments: how often cluster a meets cluster b.

    Additive over images, so that the parts of a batch can be counted separately.

    Args:
        p: ``(..., N, k)`` of the plain views.
        q: ``(..., N, l)`` of the transformed views, or ``(..., R, N, l)`` with R views of each
            image; any floating type. Leading dimensions are those of ``p``.

    Returns:
        ``(..., k, l)``, summing to the number of pairs; float32, or float64 if both were.

    Raises:
        ValueError: the shapes do not fit together.

    >>> p = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    >>> pair_counts(p, p)
    tensor([[1.2500, 0.2500],
            [0.2500, 0.2500]])
    """
    several_views = q.ndim == p.ndim + 1
    lead = q.shape[:-3] if several_views else q.shape[:-2]
    if (
        p.ndim < 2
        or not p.ndim <= q.ndim <= p.ndim + 1
        or p.shape[:-2] != lead
        or p.shape[-2] != q.shape[-2]
    ):
        raise ValueError(
            f"assignments {tuple(p.shape)} and {tuple(q.shape)} are not (..., N, k) and "
            "(..., N, k) or (..., R, N, k)"
        )
    # under autocast the product would be in half precision
    with torch.autocast(p.device.type, enabled=False):
        p, q = _at_least_float32(p), _at_least_float32(q)
        # all R views of an image meet the same plain view: their sum replaces R products
        return p.mT @ (q.sum(-3) if several_views else q)


def sum_over_processes(counts: Tensor) -> Tensor:
    """Sum a tensor over all processes of the default group, in value and gradient.

    If gradients are then averaged over the processes (as ``DistributedDataParallel`` does), they
    are those of one process on the whole batch. Without a process group the tensor is returned
    unchanged.

    >>> sum_over_processes(torch.tensor([2.0, 3.0]))  # a single process
    tensor([2., 3.])
    """
    if not _distributed():
        return counts
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(counts)  # type: ignore[no-untyped-call]
    return total


def joint_from_counts(counts: Tensor) -> Tensor:
    """Symmetrise and normalise counts of pairs to a distribution over pairs of clusters.

    Args:
        counts: ``(..., k, k)``, at least 0, not all 0.

    Returns:
        ``(..., k, k)``, symmetric, summing to 1 over the last two dimensions.

    >>> joint_from_counts(torch.tensor([[2.0, 2.0], [0.0, 4.0]]))
    tensor([[0.2500, 0.1250],
            [0.1250, 0.5000]])
    """
    counts = (counts + counts.mT) / 2
    return counts / counts.sum((-2, -1), keepdim=True)


def joint_distribution(p: Tensor, q: Tensor) -> Tensor:
    """Joint distribution of the clusters of two views (Ji et al. 2019, eq. 2 and 3).

    With a process group, the pairs of all processes count.

    Args:
        p: ``(..., N, k)`` of the plain views.
        q: ``(..., N, k)``, or ``(..., R, N, k)``, of the transformed views.

    Returns:
        ``(..., k, k)``, symmetric, summing to 1; float32 or better.

    Raises:
        ValueError: the shapes do not fit together.

    >>> p = torch.eye(2).repeat(3, 1)
    >>> joint_distribution(p, p)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"{p.shape[-1]} and {q.shape[-1]} clusters cannot be paired")
    return joint_from_counts(sum_over_processes(pair_counts(p, q)))


def entropy(distribution: Tensor, dims: int = 1) -> Tensor:
    """``-sum p ln p`` over the last dimensions, exact if p is 0, in value and gradient.

    Args:
        distribution: at least 0.
        dims: number of last dimensions to sum over.

    Returns:
        Entropies in nats, of the shape of the other dimensions. Elements that are 0 get the
        gradient 0: an assignment that softmax has rounded to 0 cannot be moved, and it does not
        affect the others.

    >>> entropy(torch.tensor([0.5, 0.5, 0.0]))
    tensor(0.6931)
    """
    positive = distribution > 0
    logarithm = torch.where(positive, distribution, 1).log()
    return -(distribution * logarithm).sum(tuple(range(-dims, 0)))


def mutual_information(joint: Tensor, entropy_weight: float = 1.0) -> Tensor:
    """Mutual information of the two clusterings of a joint distribution.

    ``sum P_ab (ln P_ab - w ln P_a - w ln P_b) = I + (w - 1) (H_a + H_b)``: a weight above 1 favours
    clusters of equal size more strongly (the code of Ji et al. 2019).

    Args:
        joint: ``(..., k, l)``, at least 0, summing to 1 over the last two dimensions.
        entropy_weight: w; at 1 the result lies between 0 and ``ln(min(k, l))``.

    Returns:
        ``(...)`` in nats.

    >>> mutual_information(torch.eye(4) / 4)
    tensor(1.3863)
    """
    of_rows, of_columns = entropy(joint.sum(-1)), entropy(joint.sum(-2))
    return entropy_weight * (of_rows + of_columns) - entropy(joint, 2)


def iic_loss(p: Tensor, q: Tensor, entropy_weight: float = 1.0) -> Tensor:
    """Loss of invariant information clustering: minus the information that two views share.

    Nothing is read back from the device. With several processes, each returns the loss of the
    images of all of them, and has its share of the gradient (:func:`sum_over_processes`).

    Args:
        p: ``(..., N, k)`` of the plain views: softmax outputs.
        q: ``(..., N, k)``, or ``(..., R, N, k)`` with R views, of the transformed views.
        entropy_weight: see :func:`mutual_information`.

    Returns:
        ``(...)``: a loss for each sub-head, in nats; at weight 1 between ``-ln k`` and 0. Train on
        the mean.

    Raises:
        ValueError: the shapes do not fit together.

    >>> p = torch.eye(2).repeat(3, 1)
    >>> iic_loss(p, p)
    tensor(-0.6931)
    >>> iic_loss(p.expand(5, 6, 2), p.expand(5, 4, 6, 2)).shape
    torch.Size([5])
    """
    return -mutual_information(joint_distribution(p, q), entropy_weight)


def accumulate_iic(
    views: Callable[[Part], tuple[Tensor, Tensor]],
    parts: Sequence[Part],
    entropy_weight: float = 1.0,
) -> Tensor:
    """Loss of a batch that does not fit into memory at once, with exact gradients.

    Mutual information is not a mean over images, so gradients of parts do not add up to that of the
    batch; but the joint distribution is additive. A pass without gradient counts it, the loss gives
    its derivative by the counts, and a second pass propagates this through each part. The gradient
    of the mean loss is added to the parameters.

    Only as much memory is used as one part needs. Each part is computed twice, so its random
    numbers must be the same both times. Networks that normalise by the batch normalise by the part.
    With several processes the gradients are as with :func:`iic_loss`: average them.

    Args:
        views: gives the assignments of a part, ``(S, N, k)`` and ``(S, N, k)`` or
            ``(S, R, N, k)``.
        parts: the arguments of the calls of ``views``.
        entropy_weight: see :func:`mutual_information`.

    Returns:
        ``(S)``, a loss for each sub-head, without gradient.

    Raises:
        ValueError: there are no parts.

    >>> logits = torch.zeros(4, 3, requires_grad=True)
    >>> part = lambda rows: (logits[rows].softmax(-1), logits[rows].softmax(-1))
    >>> accumulate_iic(part, [slice(0, 2), slice(2, 4)]).abs() < 1e-6
    tensor(True)
    """
    if not parts:
        raise ValueError("there are no parts to accumulate")
    with torch.no_grad():
        counts = torch.stack([pair_counts(*views(part)) for part in parts]).sum(0)
        counts = sum_over_processes(counts)
    counts.requires_grad_()
    losses = -mutual_information(joint_from_counts(counts), entropy_weight)
    (change,) = torch.autograd.grad(losses.mean(), counts)
    # the pairs of all processes were summed, but gradients are averaged over them afterwards
    change = change * (torch.distributed.get_world_size() if _distributed() else 1)
    for part in parts:
        pair_counts(*views(part)).backward(change)  # type: ignore[no-untyped-call]
    return losses.detach()


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
