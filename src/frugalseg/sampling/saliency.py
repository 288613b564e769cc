"""The kernel sampler: samples are drawn towards salient places (Recasens et al. 2018)."""

from functools import lru_cache

import torch
from torch import Tensor

from frugalseg.sampling.grids import cover


def saliency_sampling(saliency: Tensor, size: tuple[int, int], sigma: float = 0.18) -> Tensor:
    """Sampling as the kernel-weighted mean of salient places around each node.

    ``phi(x) = sum S(x') k(x, x') x' / sum S(x') k(x, x')`` with a Gaussian kernel k, over saliency
    mirrored at the border, so that the border stays in place (Recasens et al. 2018, eq. 2 and 3;
    Jin et al. 2022, eq. 3). The kernel is separable: small matrix products, no loop.

    Args:
        saliency: ``(N, h', w')`` on a grid of its own with aligned corners, at least 0; its scale
            does not matter. Sums over a kernel flatten it: raise it to a power for a stronger warp.
        size: number of samples ``(h, w)``, at least 2 each.
        sigma: standard deviation of the kernel relative to each side, above 0; the default is that
            of Recasens' code (13 of 30 cells wide at half height). Smaller follows finer detail.

    Returns:
        ``(N, h, w, 2)``, covering, differentiable in ``saliency``; uniform for constant saliency.

    Raises:
        ValueError: ``saliency`` has another shape or ``sigma`` is not above 0.

    >>> saliency = torch.ones(1, 9, 9)
    >>> saliency[:, :, 5:] = 9
    >>> phi = saliency_sampling(saliency, (5, 5))
    >>> bool(phi[0, 2, 2, 1] > 0.55)
    True
    """
    if saliency.ndim != 3 or min(saliency.shape[1:]) < 2:
        raise ValueError(
            f"saliency is (N, h, w) with h and w at least 2, not {tuple(saliency.shape)}"
        )
    if sigma <= 0:
        raise ValueError(f"sigma must be above 0, not {sigma}")
    height, width = saliency.shape[1:]
    # a little everywhere, so that a map without any saliency gives uniform sampling, not 0 / 0
    floor = 1e-6 * saliency.mean((1, 2), keepdim=True) + torch.finfo(saliency.dtype).tiny ** 0.5
    saliency = saliency + floor
    rows, row_moments = _kernel(size[0], height, sigma, saliency.dtype, saliency.device)
    cols, col_moments = _kernel(size[1], width, sigma, saliency.dtype, saliency.device)
    across = saliency @ cols.T
    mass = rows @ across
    # moments are offsets from the node itself: small numbers, so little is lost to rounding
    row = torch.linspace(0, 1, size[0], dtype=mass.dtype, device=mass.device)[:, None]
    col = torch.linspace(0, 1, size[1], dtype=mass.dtype, device=mass.device)
    row = row + row_moments @ across / mass
    col = col + rows @ (saliency @ col_moments.T) / mass
    return cover(torch.stack([row, col], -1))


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _kernel(
    nodes: int, places: int, sigma: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Weights, and weights times offset, of each place and its two mirror images at each node.

    Returns:
        Two ``(nodes, places)`` matrices. The kernel ends at a distance of 1, so that both sides of
        a border node weigh the same.
    """
    node = torch.linspace(0, 1, nodes, dtype=torch.float64)[:, None]
    place = torch.linspace(0, 1, places, dtype=torch.float64)
    weights = torch.zeros(nodes, places, dtype=torch.float64)
    moments = torch.zeros_like(weights)
    for image, first, last in ((place, 0, places), (-place, 1, places), (2 - place, 0, places - 1)):
        offset = image[first:last] - node
        kernel = torch.exp(-0.5 * (offset / sigma) ** 2) * (offset.abs() <= 1 + 1e-9)
        weights[:, first:last] += kernel
        moments[:, first:last] += kernel * offset
    return weights.to(device, dtype), moments.to(device, dtype)
