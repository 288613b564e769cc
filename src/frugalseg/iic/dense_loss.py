"""Mutual information of two views at and around every pixel (Ji, Henriques, Vedaldi 2019, 3.4).

Soft assignments are maps ``(n, k, H, W)``: n images, k clusters, pixels that sum to 1 over the
clusters; a dimension of sub-heads comes first. A pixel of one view is paired with the pixels of the
other up to d rows and columns away. The published code forms all pairs with a convolution whose
kernel is as large as the image; here the same counts come from the frequency domain. Information is
in nats.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from frugalseg.iic import _displaced
from frugalseg.iic.loss import joint_from_counts, mutual_information, sum_over_processes


def displaced_joint(
    p: Tensor,
    q: Tensor,
    max_displacement: int,
    valid: Tensor | None = None,
    *,
    method: str | None = None,
) -> Tensor:
    """How often cluster a meets cluster b at each displacement t: ``sum p_a(u) q_b(u + t)``.

    The sum runs over images and over pixels u for which u and u + t lie in the image. It is
    additive over images, so that the parts of a batch can be counted separately. Three methods give
    the same counts and gradients, and the fastest is chosen: a matrix product for each displacement
    if there are few of them or the maps are small, else products in the frequency domain. The
    latter set counts below two roundings of a k-th of all pairs to 0: they are rounding errors.

    Args:
        p: ``(n, k, H, W)``, or ``(S, n, k, H, W)`` with sub-heads, at least 0; any floating type.
        q: the same of the other view.
        max_displacement: d, at least 0, in pixels.
        valid: ``(n, H, W)``, a weight for each pixel, or whether it counts, by which both maps are
            multiplied. It gets no gradient.
        method: "shifts", "tiles" (CPU, float32, d up to 20) or "fft"; None for the fastest.

    Returns:
        ``(2d+1, 2d+1, k, k)``, or with S in front: by vertical, then horizontal displacement, each
        from -d to d. Float32, or float64 if both were.

    Raises:
        ValueError: the shapes do not fit together, or there is no such method.

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
        joints = [displaced_joint(*pair, max_displacement, weight, method=method) for pair in pairs]
        return torch.stack(joints)
    method = _displaced.usable(_displaced.Problem(p, q, weight, max_displacement), method)
    counts: Tensor = _Count.apply(  # type: ignore[no-untyped-call]
        p, q, weight, max_displacement, method
    )
    return counts


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
    displacements, each with the joint of its own pairs (published runs), or the information of one
    joint of all pairs (the published code's default), which takes a single matrix product.

    Nothing is read back from the device. With several processes, each returns the loss of the
    images of all of them, and has its share of the gradient (:func:`sum_over_processes`).

    Args:
        p: ``(n, k, H, W)``, or ``(S, n, k, H, W)`` with sub-heads: softmax outputs.
        q: the same of the other view, warped back onto the first.
        valid: ``(n, H, W)``, a weight for each pixel, or whether it counts, in both views.
        max_displacement: d, at least 0, in pixels; at 0 the loss is that of paired pixels.
        entropy_weight: see :func:`mutual_information`.
        per_displacement: one joint for each displacement, or one for all.
        local: the loss of this process's images alone; other processes need not call it.

    Returns:
        A scalar, or ``(S)``, in nats; at weight 1 between ``-ln k`` and 0. Displacements without
        any pair are left out; 0 if there are no pairs at all.

    Raises:
        ValueError: the shapes do not fit together.

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
    paired = counts.sum((-2, -1)) > 0
    # a uniform joint replaces a missing one: finite, and without gradient to the counts
    joint = joint_from_counts(torch.where(paired[..., None, None], counts, 1))
    information = torch.where(paired, mutual_information(joint, entropy_weight), 0)
    return -information.sum((-2, -1)) / paired.sum((-2, -1)).clamp(min=1)


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
    expected = p.shape[-4], *p.shape[-2:]
    if valid is not None and valid.shape != expected:
        raise ValueError(f"valid {tuple(valid.shape)} is not (n, H, W) = {expected}")
    dtype = torch.float64 if p.dtype == q.dtype == torch.float64 else torch.float32
    weight = None if valid is None else valid.detach().to(p.device, dtype).contiguous()
    return p.to(dtype), q.to(dtype), weight


class _Count(torch.autograd.Function):
    """Counts of displaced pairs. Only the maps are kept; the backward pass computes spectra again.

    That takes a fifth of the time, and saves more memory than the maps take.
    """

    @staticmethod
    def forward(
        ctx: Any, p: Tensor, q: Tensor, weight: Tensor | None, displacement: int, method: str
    ) -> Tensor:
        ctx.save_for_backward(p, q, weight)
        ctx.settings = displacement, method
        problem = _displaced.Problem(p.contiguous(), q.contiguous(), weight, displacement)
        with torch.autocast(p.device.type, enabled=False):
            return _displaced.count(problem, method)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, change: Tensor) -> tuple[Tensor | None, ...]:
        p, q, weight = ctx.saved_tensors
        displacement, method = ctx.settings
        problem = _displaced.Problem(p.contiguous(), q.contiguous(), weight, displacement)
        with torch.autocast(p.device.type, enabled=False):
            return (*_displaced.gradient(problem, method, change), None, None, None)


def _count_all(p: Tensor, q: Tensor, displacement: int, valid: Tensor | None) -> Tensor:
    """Counts ``(..., k, k)`` of all displacements together.

    A pixel is paired with the sum over the box around it. As all terms are at least 0, sums by
    matrix products with ones and zeros lose no precision.
    """
    p, q, weight = _checked(p, q, displacement, valid)
    if weight is not None:
        p, q = p * weight[:, None], q * weight[:, None]
    with torch.autocast(p.device.type, enabled=False):
        down, across = (_box(length, displacement, p) for length in p.shape[-2:])
        around = down @ (q @ across)
        return (p.flatten(-2) @ around.flatten(-2).mT).sum(-3)


def _box(length: int, displacement: int, like: Tensor) -> Tensor:
    """``(length, length)``: 1 if two places are at most ``displacement`` apart, else 0."""
    places = torch.arange(length, device=like.device)
    return ((places[:, None] - places).abs() <= displacement).to(like.dtype)
