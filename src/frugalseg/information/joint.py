"""What two views of the same images agree on (Ji, Henriques, Vedaldi 2019, section 3).

Soft assignments are ``(..., N, k)``: N images, k clusters, rows that sum to one; sub-heads lead.
Several transformed copies of each image stand before N in the second argument, ``(..., R, N, k)``,
so that the plain view is computed once. Information is in nats.
"""

import torch
from torch import Tensor


def pair_counts(p: Tensor, q: Tensor) -> Tensor:
    """Sum of the outer products of paired assignments: how often cluster a meets cluster b.

    Additive over images, so that batches may be counted in parts.

    Args:
        p: ``(..., N, k)`` of the plain views.
        q: ``(..., N, l)`` of the transformed views, or ``(..., R, N, l)`` with R copies of each
            image; any floating type. Leading dimensions are those of ``p``.

    Returns:
        ``(..., k, l)``, summing to the number of pairs; float32, or float64 where both were.

    Raises:
        ValueError: shapes that do not belong together.

    >>> p = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    >>> pair_counts(p, p)
    tensor([[1.2500, 0.2500],
            [0.2500, 0.2500]])
    """
    copies = q.ndim == p.ndim + 1
    lead = q.shape[:-3] if copies else q.shape[:-2]
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
    # under autocast a product would fall back to half precision
    with torch.autocast(p.device.type, enabled=False):
        p, q = _at_least_float32(p), _at_least_float32(q)
        # the copies of an image meet the same plain view: their sum does the work of R products
        return p.mT @ (q.sum(-3) if copies else q)


def sum_over_processes(counts: Tensor) -> Tensor:
    """Sum of a tensor over all processes of the default group, for value and gradient.

    With gradients that are then averaged over the processes (as
    ``DistributedDataParallel`` does) the result is that of one process on the whole batch. Without
    a process group the tensor comes back as it is.

    >>> sum_over_processes(torch.tensor([2.0, 3.0]))  # of one process alone
    tensor([2., 3.])
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return counts
    from torch.distributed.nn.functional import all_reduce

    total: Tensor = all_reduce(counts)  # type: ignore[no-untyped-call]
    return total


def joint_from_counts(counts: Tensor) -> Tensor:
    """Symmetrise and normalise counts of pairs: a distribution over pairs of clusters.

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

    Where a process group is at work the pairs of all processes count.

    Args:
        p: ``(..., N, k)`` of the plain views.
        q: ``(..., N, k)``, or ``(..., R, N, k)``, of the transformed views.

    Returns:
        ``(..., k, k)``, symmetric, summing to 1; float32 or better.

    Raises:
        ValueError: shapes that do not belong together.

    >>> p = torch.eye(2).repeat(3, 1)
    >>> joint_distribution(p, p)
    tensor([[0.5000, 0.0000],
            [0.0000, 0.5000]])
    """
    if p.shape[-1] != q.shape[-1]:
        raise ValueError(f"{p.shape[-1]} and {q.shape[-1]} clusters cannot be paired")
    return joint_from_counts(sum_over_processes(pair_counts(p, q)))


def entropy(distribution: Tensor, dims: int = 1) -> Tensor:
    """``-sum p ln p`` over the last dimensions, exact where p is 0, in value and gradient.

    Args:
        distribution: at least 0.
        dims: over how many of the last dimensions to sum.

    Returns:
        Entropy in nats, one for each of the other places. What is 0 gets the gradient 0: an
        assignment that softmax has rounded to 0 cannot be moved, and the others are left unharmed.

    >>> entropy(torch.tensor([0.5, 0.5, 0.0]))
    tensor(0.6931)
    """
    positive = distribution > 0
    logarithm = torch.where(positive, distribution, 1).log()
    return -(distribution * logarithm).sum(tuple(range(-dims, 0)))


def mutual_information(joint: Tensor, entropy_weight: float = 1.0) -> Tensor:
    """Mutual information of the two clusterings of a joint distribution.

    ``sum P_ab (ln P_ab - w ln P_a - w ln P_b) = I + (w - 1) (H_a + H_b)``: a weight above 1 asks
    more strongly for clusters of equal size (the code of Ji et al. 2019).

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

    Nothing is read back from the device. Over several processes each holds the loss of all their
    images together, and its share of the gradient (:func:`sum_over_processes`).

    Args:
        p: ``(..., N, k)`` of the plain views: softmax outputs.
        q: ``(..., N, k)``, or ``(..., R, N, k)`` with R copies, of the transformed views.
        entropy_weight: see :func:`mutual_information`.

    Returns:
        ``(...)``: one loss for each sub-head, in nats; at weight 1 between ``-ln k`` and 0. Train
        on the mean.

    Raises:
        ValueError: shapes that do not belong together.

    >>> p = torch.eye(2).repeat(3, 1)
    >>> iic_loss(p, p)
    tensor(-0.6931)
    >>> iic_loss(p.expand(5, 6, 2), p.expand(5, 4, 6, 2)).shape
    torch.Size([5])
    """
    return -mutual_information(joint_distribution(p, q), entropy_weight)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
