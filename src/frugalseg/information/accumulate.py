"""Exact gradients of a batch that does not fit into memory at once.

Mutual information is no mean over images, so gradients of parts do not add up to that of the batch;
but its joint distribution is additive. One pass without gradient counts it, the loss says how it
should change, and a second pass hands that to each part.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from frugalseg.information.joint import joint_from_counts, mutual_information, pair_counts

Part = TypeVar("Part")


def accumulate_iic(
    views: Callable[[Part], tuple[Tensor, Tensor]],
    parts: Sequence[Part],
    entropy_weight: float = 1.0,
) -> Tensor:
    """Loss of a whole batch given in parts; the gradient of its mean is added to the parameters.

    As much memory is used as one part needs. Each part is computed twice, so what it draws at
    random must come out alike both times. Networks that normalise by the batch normalise by the
    part. Over several processes the gradients are as with :func:`iic_loss`: average them.

    Args:
        views: assignments ``(S, N, k)`` and ``(S, N, k)`` or ``(S, R, N, k)`` of a part.
        parts: what ``views`` is called with.
        entropy_weight: see :func:`mutual_information`.

    Returns:
        ``(S)``, one loss for each sub-head, without gradient.

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
        world = _sum_in_place(counts)
    counts.requires_grad_()
    losses = -mutual_information(joint_from_counts(counts), entropy_weight)
    (change,) = torch.autograd.grad(losses.mean(), counts)
    for part in parts:
        # over several processes gradients are averaged afterwards, but the pairs were summed
        pair_counts(*views(part)).backward(world * change)  # type: ignore[no-untyped-call]
    return losses.detach()


def _sum_in_place(counts: Tensor) -> int:
    """Sum over all processes; returns their number."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    torch.distributed.all_reduce(counts)
    return torch.distributed.get_world_size()
