"""Grids of sampling points: the uniform one, and operations on any of them.

A sampling ``phi`` is ``(N, h, w, 2)``: sample ``(i, j)`` reads the image at ``phi[n, i, j]``, a
``(row, col)`` in ``[0, 1]``, where 0 is the centre of the first pixel and 1 that of the last
(``pixel = phi * (size - 1)``). A *covering* sampling has its first and last rows at row 0 and 1 and
its first and last columns at column 0 and 1, so that no part of the image is left out; along the
border the other coordinate slides freely.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Networks get the logarithm of a spacing; it is cut off for cells a thousand times too narrow.
MIN_SPACING = 1e-3


def check_sampling(phi: Tensor) -> None:
    """Raise ``ValueError`` unless ``phi`` is ``(N, h, w, 2)`` with h and w at least 2.

    Args:
        phi: the tensor to check.

    Raises:
        ValueError: it has another shape.
    """
    if phi.ndim != 4 or phi.shape[-1] != 2 or min(phi.shape[1:3]) < 2:
        raise ValueError(
            f"a sampling is (N, h, w, 2) with h and w at least 2, not {tuple(phi.shape)}"
        )


def uniform_sampling(
    size: tuple[int, int],
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Evenly spaced samples over the whole image.

    Args:
        size: number of samples ``(h, w)``, at least 2 each.
        batch: number of copies N.
        dtype: floating type of the result.
        device: device of the result.

    Returns:
        ``(N, h, w, 2)``, ``(row, col)`` in ``[0, 1]``.

    Raises:
        ValueError: a side has fewer than 2 samples.

    >>> uniform_sampling((2, 3))[0, 1].tolist()
    [[1.0, 0.0], [1.0, 0.5], [1.0, 1.0]]
    """
    height, width = size
    if height < 2 or width < 2:
        raise ValueError(f"a sampling needs at least 2x2 points, not {height}x{width}")
    rows = torch.linspace(0, 1, height, dtype=dtype, device=device)
    cols = torch.linspace(0, 1, width, dtype=dtype, device=device)
    grid = torch.stack(torch.meshgrid(rows, cols, indexing="ij"), -1)
    return grid.expand(batch, -1, -1, -1).contiguous()


def cover(phi: Tensor) -> Tensor:
    """Force the covering constraints on a sampling.

    The fixed coordinate of each border is overwritten by 0 or 1 and everything else is clamped to
    ``[0, 1]``. Covering is not learned (Marin et al. 2019, authors' code).

    Args:
        phi: ``(N, h, w, 2)``, ``(row, col)``, any values.

    Returns:
        ``(N, h, w, 2)`` in ``[0, 1]``, a new tensor; overwritten and clamped values pass no
        gradient.

    >>> cover(torch.full((1, 3, 2, 2), 0.5))[0, :, 0].tolist()
    [[0.0, 0.0], [0.5, 0.0], [1.0, 0.0]]
    """
    check_sampling(phi)
    row, col = phi.clamp(0, 1).unbind(-1)
    row = torch.cat([torch.zeros_like(row[:, :1]), row[:, 1:-1], torch.ones_like(row[:, :1])], 1)
    col = torch.cat(
        [torch.zeros_like(col[..., :1]), col[..., 1:-1], torch.ones_like(col[..., :1])], 2
    )
    return torch.stack([row, col], -1)


def resize_sampling(phi: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a sampling to another number of samples, bilinearly with aligned corners.

    Args:
        phi: ``(N, h, w, 2)`` in ``[0, 1]``.
        size: new number of samples ``(h', w')``, at least 2 each.

    Returns:
        ``(N, h', w', 2)``; covers exactly if ``phi`` covers exactly.

    >>> resize_sampling(uniform_sampling((8, 8)), (3, 2))[0, :, 0, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    check_sampling(phi)
    # interpolating the offset from uniform, not phi, keeps the border exact under rounding
    offset = (phi - uniform_like(phi)).permute(0, 3, 1, 2)
    offset = F.interpolate(offset, size=size, mode="bilinear", align_corners=True)
    offset = offset.permute(0, 2, 3, 1)
    return uniform_like(offset) + offset


def reduced_sampling(phi: Tensor, size: tuple[int, int], reduce: int) -> Tensor:
    """Where the samples of an image lie in a copy of it that was decoded smaller.

    Pixel ``i`` of the copy is the mean of the image's pixels ``reduce * i`` to
    ``reduce * i + reduce - 1``, so the centres of the corner pixels of the two do not coincide.

    Args:
        phi: ``(N, h, w, 2)`` or ``(h, w, 2)`` in ``[0, 1]``, of the image.
        size: the image's ``(H, W)``.
        reduce: how many times smaller the copy is; it has ``ceil(H / reduce)`` rows.

    Returns:
        The same shape, of the copy: up to half a pixel of it outside ``[0, 1]`` at the border.

    >>> reduced_sampling(torch.tensor([[[0.0, 0.5]]]), (8, 8), 4).tolist()
    [[[-0.375, 0.5]]]
    """
    if reduce == 1:
        return phi
    last = phi.new_tensor([max(-(-side // reduce) - 1, 1) for side in size])
    pixel = phi * (phi.new_tensor(size) - 1)
    return ((pixel + 0.5) / reduce - 0.5) / last


def blend_with_uniform(phi: Tensor, amount: float | Tensor) -> Tensor:
    """Trust a sampling only so far: ``(1 - amount) * uniform + amount * phi``.

    Args:
        phi: ``(N, h, w, 2)`` in ``[0, 1]``.
        amount: 0 gives uniform sampling, 1 gives ``phi``; a number or an ``(N,)`` tensor.

    Returns:
        ``(N, h, w, 2)``; covers if ``phi`` covers.

    >>> blend_with_uniform(torch.zeros(1, 2, 2, 2), 0.25)[0].tolist()
    [[[0.0, 0.0], [0.0, 0.75]], [[0.75, 0.0], [0.75, 0.75]]]
    """
    check_sampling(phi)
    uniform = uniform_like(phi)
    return uniform + per_image(amount, phi) * (phi - uniform)


def folded_cells(phi: Tensor) -> Tensor:
    """Share of the cells of a sampling that are folded.

    A cell is the quadrilateral between four neighbouring samples. It is sound if it is strictly
    convex: if the triangles at its four corners all have the orientation of the uniform grid and an
    area above zero. Then either diagonal splits it into two sound triangles.

    Args:
        phi: ``(N, h, w, 2)``, ``(row, col)``.

    Returns:
        ``(N,)`` in ``[0, 1]``, of the dtype of ``phi``.

    >>> folded_cells(uniform_sampling((4, 4))).item()
    0.0
    """
    check_sampling(phi)
    right = phi[:, :, 1:] - phi[:, :, :-1]
    down = phi[:, 1:] - phi[:, :-1]
    sound = torch.ones_like(right[:, :-1, :, 0], dtype=torch.bool)
    for across in (right[:, :-1], right[:, 1:]):
        for along in (down[:, :, :-1], down[:, :, 1:]):
            cross = across[..., 1] * along[..., 0] - across[..., 0] * along[..., 1]
            sound = sound & (cross > 0)
    return (~sound).to(phi.dtype).mean((1, 2))


def cell_spacing(phi: Tensor) -> Tensor:
    """Distance between neighbouring samples, relative to that of uniform sampling.

    The absolute differences of the row coordinate from row to row and of the column coordinate from
    column to column: central inside, one-sided at the border.

    Args:
        phi: ``(N, h, w, 2)`` in ``[0, 1]``.

    Returns:
        ``(N, h, w, 2)``, (vertical, horizontal), 1 for uniform sampling and never below
        ``MIN_SPACING``, so that its logarithm can be taken.

    >>> cell_spacing(uniform_sampling((3, 3)))[0, 1, 1].tolist()
    [1.0, 1.0]
    """
    check_sampling(phi)
    vertical = _slope(phi[..., 0], 1) * (phi.shape[1] - 1)
    horizontal = _slope(phi[..., 1], 2) * (phi.shape[2] - 1)
    return torch.stack([vertical, horizontal], -1).abs().clamp_min(MIN_SPACING)


def per_image(value: float | Tensor, like: Tensor) -> Tensor:
    """Shape a number, or one number for each image, to broadcast over a batch.

    Args:
        value: a number or an ``(N,)`` tensor.
        like: the ``(N, ...)`` tensor to broadcast over; gives dtype and device.

    Returns:
        ``(1, 1, ...)`` or ``(N, 1, ...)``, with as many dimensions as ``like``.

    Raises:
        ValueError: ``value`` has neither one element nor N.
    """
    value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if value.ndim > 1 or value.numel() not in (1, like.shape[0]):
        raise ValueError(
            f"expected a number or one for each of {like.shape[0]} images, "
            f"not the shape {tuple(value.shape)}"
        )
    return value.reshape(-1, *([1] * (like.ndim - 1)))


def uniform_like(phi: Tensor) -> Tensor:
    """``(1, h, w, 2)``: the uniform sampling of the size, dtype and device of ``phi``."""
    return uniform_sampling((phi.shape[1], phi.shape[2]), 1, phi.dtype, phi.device)


def _slope(values: Tensor, axis: int) -> Tensor:
    """Differences to the neighbours along ``axis``: central inside, one-sided at the ends."""
    step = values.diff(dim=axis)
    size = step.shape[axis]
    central = (step.narrow(axis, 0, size - 1) + step.narrow(axis, 1, size - 1)) / 2
    return torch.cat([step.narrow(axis, 0, 1), central, step.narrow(axis, size - 1, 1)], axis)
