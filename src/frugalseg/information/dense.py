"""What two views agree on at every pixel and around it (Ji, Henriques, Vedaldi 2019, section 3.4).

Soft assignments are maps ``(n, k, H, W)``: n images, k clusters, pixels that sum to one over the
clusters; sub-heads lead. A pixel of one view is paired with the pixels of the other up to d rows
and columns away. The published code makes all pairs with a convolution whose kernel is as large as
the image; here the same counts come from the frequency domain. Information is in nats.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from frugalseg.information import _displaced
from frugalseg.information.joint import joint_from_counts, mutual_information, sum_over_processes


def displaced_joint(
    p: Tensor,
    q: Tensor,
    max_displacement: int,
    valid: Tensor | None = None,
    *,
    method: str | None = None,
) -> Tensor:
    """How often cluster a meets cluster b at each displacement t: ``sum p_a(u) q_b(u + t)``.

    The sum runs over images and pixels u where u and u + t lie in the image. It is additive over
    images, so that batches may be counted in parts. Three ways give the same counts, gradients
    included; the one with the fewest multiply-adds is taken: a matrix product for each displacement
    where there are few of them or the maps are small, else products in the frequency domain. There
    counts below two roundings of a k-th of all pairs come out as 0: they are what is left of zeros.

    Args:
        p: ``(n, k, H, W)``, or ``(S, n, k, H, W)`` with sub-heads, at least 0; any floating type.
        q: the same of the other view.
        max_displacement: d, at least 0, in pixels.
        valid: ``(n, H, W)``, true or a weight where a pixel counts; both maps are multiplied by it.
            It gets no gradient.
        method: "shifts", "tiles" (CPU, float32, d up to 20) or "fft"; None: the rule above.

    Returns:
        ``(2d+1, 2d+1, k, k)``, or with S in front: by vertical, then horizontal displacement, each
        from -d to d. Float32, or float64 where both were.

    Raises:
        ValueError: shapes that do not belong together, or no such method.

    >>> p = torch.eye(2).reshape(1, 2, 1, 2)  # the left pixel in cluster 0, the right one in 1
    >>> displaced_joint(p, p, 1)[1]
    tensor([[[0., 0.],
             [1., 0.]],
    <BLANKLINE>
            [[1., 0.],
             [0., 1.]],
    <BLANKLINE>
            [[0., 1.],
             [0., 0.]]])
    """
    p, q, weight = _checked(p, q, max_displacement, valid)
    if p.ndim == 5:
        pairs = zip(p.unbind(), q.unbind(), strict=True)
        return torch.stack([_count(x, y, weight, max_displacement, method) for x, y in pairs])
    return _count(p, q, weight, max_displacement, method)


def iic_segmentation_loss(
    p: Tensor,
    q: Tensor,
    valid: Tensor | None = None,
    max_displacement: int = 10,
    entropy_weight: float = 1.0,
    per_displacement: bool = True,
    *,
    local: bool = False,
) -> Tensor:
    """Loss of invariant information clustering for segmentation (Ji et al. 2019, eq. 5).

    Minus the information that a pixel shares with those around it in the other view: the mean over
    displacements, each with the joint of its own pairs (published runs), or that of one joint of
    all pairs together (the published code's default), which takes a single matrix product.

    Nothing is read back from the device. Over several processes each holds the loss of all their
    images together, and its share of the gradient (:func:`sum_over_processes`).

    Args:
        p: ``(n, k, H, W)``, or ``(S, n, k, H, W)`` with sub-heads: softmax outputs.
        q: the same of the other view, warped back onto the first.
        valid: ``(n, H, W)``, true or a weight where a pixel counts, in both views.
        max_displacement: d, at least 0, in pixels; at 0 the loss is that of paired pixels.
        entropy_weight: see :func:`mutual_information`.
        per_displacement: one joint for each displacement, or one for all.
        local: the loss of this process's images alone: the others need not ask for theirs.

    Returns:
        A scalar, or ``(S)``, in nats; at weight 1 between ``-ln k`` and 0. Displacements without
        any pair are left out; 0 if there is none at all.

    Raises:
        ValueError: shapes that do not belong together.

    >>> p = torch.eye(2).reshape(1, 2, 1, 2).repeat(1, 1, 3, 1)
    >>> iic_segmentation_loss(p, p, max_displacement=0)
    tensor(-0.6931)
    >>> stripes = p.repeat(1, 1, 1, 40)  # each pixel tells its neighbours
    >>> iic_segmentation_loss(stripes, stripes, max_displacement=1) < -0.69
    tensor(True)
    """
    if per_displacement:
        counts = displaced_joint(p, q, max_displacement, valid)
    else:
        counts = _count_all(p, q, max_displacement, valid)[..., None, None, :, :]
    if not local:
        counts = sum_over_processes(counts)
    some = counts.sum((-2, -1)) > 0
    # an even joint in place of none: finite, with no information, and cut off from the counts
    joint = joint_from_counts(torch.where(some[..., None, None], counts, 1))
    information = torch.where(some, mutual_information(joint, entropy_weight), 0)
    return -information.sum((-2, -1)) / some.sum((-2, -1)).clamp(min=1)


def _checked(
    p: Tensor, q: Tensor, displacement: int, valid: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Maps and weights in float32 or better."""
    if p.ndim not in (4, 5) or p.shape != q.shape or not p.numel():
        raise ValueError(
            f"assignments {tuple(p.shape)} and {tuple(q.shape)} are not both (n, k, H, W) or "
            "(S, n, k, H, W)"
        )
    if displacement < 0:
        raise ValueError(f"the largest displacement is {displacement}, not at least 0")
    one = p.shape[-4], *p.shape[-2:]
    if valid is not None and valid.shape != one:
        raise ValueError(f"valid {tuple(valid.shape)} is not (n, H, W) = {one}")
    both = p.dtype == q.dtype == torch.float64
    dtype = torch.float64 if both else torch.float32
    weight = None if valid is None else valid.detach().to(p.device, dtype).contiguous()
    return p.to(dtype), q.to(dtype), weight


def _count(
    p: Tensor, q: Tensor, weight: Tensor | None, displacement: int, method: str | None
) -> Tensor:
    problem = _displaced.Problem(p, q, weight, displacement)
    method = method or _displaced.choose(problem)
    _displaced.check(problem, method)
    counts: Tensor = _Count.apply(  # type: ignore[no-untyped-call]
        p, q, weight, displacement, method
    )
    return counts


class _Count(torch.autograd.Function):
    """Counts of displaced pairs. Only the maps are kept: spectra are made again for the gradient.

    That takes a fifth of the time, and spares memory of more than the maps' size.
    """

    @staticmethod
    def forward(
        ctx: Any, p: Tensor, q: Tensor, weight: Tensor | None, displacement: int, method: str
    ) -> Tensor:
        ctx.save_for_backward(p, q, weight)
        ctx.way = displacement, method
        problem = _displaced.Problem(p.contiguous(), q.contiguous(), weight, displacement)
        with torch.autocast(p.device.type, enabled=False):
            return _displaced.count(problem, method)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, change: Tensor) -> tuple[Tensor | None, ...]:
        p, q, weight = ctx.saved_tensors
        displacement, method = ctx.way
        problem = _displaced.Problem(p.contiguous(), q.contiguous(), weight, displacement)
        with torch.autocast(p.device.type, enabled=False):
            return (*_displaced.gradient(problem, method, change), None, None, None)


def _count_all(p: Tensor, q: Tensor, displacement: int, valid: Tensor | None) -> Tensor:
    """Counts ``(..., k, k)`` of all displacements together.

    A pixel meets the sum over the box around it: as all terms are at least 0, sums made by matrix
    products with ones and zeros lose nothing.
    """
    p, q, weight = _checked(p, q, displacement, valid)
    if weight is not None:
        p, q = p * weight[:, None], q * weight[:, None]
    with torch.autocast(p.device.type, enabled=False):
        down, across = (_box(length, displacement, p) for length in p.shape[-2:])
        around = down @ (q @ across)
        return (p.flatten(-2) @ around.flatten(-2).mT).sum(-3)


def _box(length: int, displacement: int, like: Tensor) -> Tensor:
    """``(length, length)``: 1 where two places are at most ``displacement`` apart."""
    places = torch.arange(length, device=like.device)
    return ((places[:, None] - places).abs() <= displacement).to(like.dtype)
