"""Equal-density sampling: the more density between two neighbouring samples, the closer they lie.

The equidistribution principle of moving meshes (de Boor 1973; Winslow 1966; Huang and Russell
2011): find the covering phi that minimises

    sum over neighbour pairs of rho(middle of the pair) * |phi - phi'|^2,

with rho read between the final positions of each pair. In one dimension this makes every gap
inversely proportional to the density in it. With rho frozen this is a grid of springs. At rest all
cells of such a grid are strictly convex, whatever rho: mirrored at its four sides the problem
becomes one on a torus, where Tutte's embedding theorem holds (Tutte 1963; Gortler, Gotsman and
Thurston 2006), and the mirrored solution is the only one. So one such solve repairs a placement
that came out folded.

If rho changes within a cell, reading rho again after a full solve does not converge: the samples
jump over a peak and back. Three things make it converge: rho is smoothed to the spacing of the
samples (``blur``), each step goes 0.7 of the way, and the iteration starts on coarser grids, with
rho smoothed to theirs.
"""

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from frugalseg._threads import parallel_for
from frugalseg.sampling.grids import blend_with_uniform, folded_cells, uniform_sampling

DAMPING = 0.7
LEVELS = 4
COARSE_BLUR = 0.35
MAX_CYCLES = 400  # of the exact solve


def equal_density_sampling(
    density: Tensor,
    size: tuple[int, int],
    share: float | Tensor = 0.5,
    blur: float = 1.0,
    steps: int = 12,
) -> Tensor:
    """Place samples by equal density.

    The samples follow ``rho = (1 - share) + share * r / mean(r)``, where ``r`` is the blurred
    density. Only the shape of ``density`` matters, not its scale. A flat density (an unsure
    network) gives uniform sampling, and so does one that is 0 everywhere.

    Args:
        density: ``(N, a, b)``, finite: how many samples each place deserves, on cells that tile the
            image (cell ``(i, j)`` covers rows ``i / a`` to ``(i + 1) / a``). a and b at least 2.
            Values below 0 count as 0.
        size: number of samples ``(h, w)``, at least 2 each.
        share: part of rho's mass that follows the density, in ``[0, 1)``; the rest is spread
            evenly: a number or an ``(N,)`` tensor.
        blur: standard deviation, in spacings of the uniform samples, of the Gaussian that smooths
            the density. Below about 0.5 the placement may be uneven.
        steps: damped steps on each of up to four grids from coarse to fine; above 0.

    Returns:
        ``(N, h, w, 2)`` of the dtype of ``density``: covering, without folded cells,
        differentiable in ``density`` and ``share`` (by the implicit function theorem, so that the
        cost and memory of the backward pass do not grow with ``steps``).

    Raises:
        ValueError: a shape, size or share is out of range, or the density is not finite.

    >>> density = torch.zeros(1, 16, 16)
    >>> density[:, :, 8:] = 1.0
    >>> phi = equal_density_sampling(density, (9, 9))
    >>> bool(phi[0, 4, 4, 1] > 0.55)  # the middle sample moved towards the dense half
    True
    """
    rho = _checked_density(density, size, share, blur)
    phi: Tensor = _EqualDensity.apply(rho, size, steps)  # type: ignore[no-untyped-call]
    return phi


def relative_density(
    density: Tensor, size: tuple[int, int], share: float | Tensor = 0.5, blur: float = 1.0
) -> Tensor:
    """The density that samples follow: with mean 1, smooth on their scale, nowhere near 0.

    Args:
        density, size, share, blur: as in :func:`equal_density_sampling`.

    Returns:
        ``(N, a, b)``, at least ``1 - share``.

    Raises:
        ValueError: ``share`` lies outside ``[0, 1)`` or the density is not finite.

    >>> density = torch.zeros(1, 4, 4)
    >>> density[0, 0, 0] = 1
    >>> rho = relative_density(density, (4, 4), share=0.25)
    >>> round(rho.mean().item(), 4), bool(rho.min() >= 0.75), bool(rho[0, 0, 0] == rho.max())
    (1.0, True, True)
    """
    if isinstance(share, Tensor):
        share = share.to(density).reshape(-1, 1, 1)
        sound = bool(((share >= 0) & (share < 1)).all())
    else:
        sound = 0 <= share < 1
    if not sound:
        raise ValueError(f"share must lie in [0, 1), not {share}")
    # scaled by its peak first, so that sums of huge or tiny densities stay in range
    peak = density.detach().amax((1, 2), keepdim=True)
    tiny = torch.finfo(density.dtype).tiny
    smooth = (density / peak.clamp_min(tiny)).clamp_min(0)
    if blur > 0:
        smooth = _blur(smooth, blur, size)
    mean = smooth.mean((1, 2), keepdim=True)
    if not bool((peak.isfinite() & mean.isfinite()).all()):
        raise ValueError("the density holds values that are not finite")
    relative = torch.where(peak <= tiny, 1.0, smooth / mean.clamp_min(tiny))
    return (1 - share) + share * relative


def separable_sampling(
    density: Tensor, size: tuple[int, int], share: float | Tensor = 0.5, blur: float = 1.0
) -> Tensor:
    """Place whole rows and columns by equal density of the density's means along them.

    Exact, without iteration, and never folded; but samples gather along whole rows and columns, not
    around single objects (separable zooms: Thavamani et al. 2021 and 2023).

    Args:
        density, size, share, blur: as in :func:`equal_density_sampling`.

    Returns:
        ``(N, h, w, 2)``, covering, differentiable in ``density`` and ``share``.

    Raises:
        ValueError: as of :func:`equal_density_sampling`.

    >>> density = torch.zeros(1, 8, 8)
    >>> density[:, :, 4:] = 1.0
    >>> separable_sampling(density, (2, 5), share=0.5, blur=0)[0, 0, :, 1].tolist()  # 1 to 3
    [0.0, 0.5, 0.6666666865348816, 0.8333333134651184, 1.0]
    """
    rho = _checked_density(density, size, share, blur)
    row, col = _equal_mass(rho.mean(2), size[0]), _equal_mass(rho.mean(1), size[1])
    rows, cols = row[:, :, None].expand(-1, -1, size[1]), col[:, None].expand(-1, size[0], -1)
    return torch.stack([rows, cols], -1)


def _checked_density(
    density: Tensor, size: tuple[int, int], share: float | Tensor, blur: float
) -> Tensor:
    """The relative density, after a check of the shapes."""
    if density.ndim != 3 or min(density.shape[1:]) < 2:
        raise ValueError(
            f"density is (N, a, b) with a and b at least 2, not {tuple(density.shape)}"
        )
    if min(size) < 2:
        raise ValueError(f"a sampling needs at least 2x2 points, not {size[0]}x{size[1]}")
    if density.dtype not in (torch.float32, torch.float64):
        density = density.float()
    return relative_density(density, size, share, blur)


def _equal_mass(rho: Tensor, count: int) -> Tensor:
    """Places ``(N, count)`` from 0 to 1 between which a line of cells ``(N, a)`` has equal mass."""
    mass = F.pad(rho.cumsum(1), (1, 0))
    goal = torch.linspace(0, 1, count, dtype=rho.dtype, device=rho.device) * mass[:, -1:]
    cell = torch.searchsorted(mass, goal.detach(), right=True).sub(1).clamp(0, rho.shape[1] - 1)
    places = (cell + (goal - mass.gather(1, cell)) / rho.gather(1, cell)) / rho.shape[1]
    ends = torch.zeros_like(goal[:, :1]), torch.ones_like(goal[:, :1])
    return torch.cat([ends[0], places[:, 1:-1], ends[1]], 1)


class _EqualDensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rho, size, steps):  # type: ignore[no-untyped-def]
        phi = _place(rho.detach(), size, steps)
        ctx.save_for_backward(rho, phi)
        return phi

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        rho, phi = ctx.saved_tensors
        return _implicit_gradient(rho, phi, gradients[0]), None, None


def _place(rho: Tensor, size: tuple[int, int], steps: int) -> Tensor:
    if rho.device.type != "cpu":  # faster on the CPU, copies included, than in many small kernels
        return _place(rho.cpu(), size, steps).to(rho.device)
    from frugalseg.sampling._density_numba import equal_density
    from frugalseg.sampling._multigrid_numba import grid_levels

    phi, folded = rho.new_empty(len(rho), *size, 2), np.zeros(len(rho), np.bool_)
    out = phi.numpy()
    sizes, masks, uniform = grid_levels(*size, out.dtype)
    source = torch.stack(_smoothed(rho, [(h, w) for h, w, _ in sizes[:-1].tolist()]), 1).numpy()

    def work(first: int, last: int) -> None:
        for n in range(first, last):
            folded[n] = equal_density(source[n], out[n], sizes, masks, uniform, steps, DAMPING)

    parallel_for(work, len(rho))
    return _unfolded(phi, rho) if folded.any() else phi


def _smoothed(rho: Tensor, sizes: list[tuple[int, int]]) -> list[Tensor]:
    """rho for each grid, the finest first: on coarser ones it must not change within a cell."""
    return [rho, *(_blur(rho, COARSE_BLUR, size) for size in sizes[1:LEVELS])]


def _read(rho: Tensor, phi: Tensor) -> Tensor:
    """rho ``(N, a, b)`` at the places ``phi (N, h, w, 2)``, bilinearly."""
    # cells tile the image, so 0 and 1 are their outer edges: align_corners=False
    grid = phi.flip(-1) * 2 - 1
    return F.grid_sample(rho[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


def _unfolded(phi: Tensor, rho: Tensor) -> Tensor:
    """Repair images with a cell folded by rounding: solve exactly, then blend with uniform."""
    folded = folded_cells(phi) > 0
    if not bool(folded.any()):
        return phi
    vertical = _read(rho, (phi[:, 1:] + phi[:, :-1]) / 2)
    horizontal = _read(rho, (phi[:, :, 1:] + phi[:, :, :-1]) / 2)
    exact = rest_positions(vertical.double(), horizontal.double()).to(phi.dtype)
    phi = torch.where(folded[:, None, None, None], exact, phi)
    blend = 1.0
    while blend > 0.01 and bool((folded_cells(phi) > 0).any()):
        blend *= 0.8
        folded = folded_cells(phi) > 0
        phi = torch.where(folded[:, None, None, None], blend_with_uniform(phi, 0.8), phi)
    return phi


def rest_positions(vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Minimise ``sum over neighbour pairs of stiffness * |phi - phi'|^2`` over covering phi.

    Args:
        vertical: ``(N, h - 1, w)`` stiffnesses above 0 of pairs one above the other, on the CPU.
        horizontal: ``(N, h, w - 1)`` stiffnesses above 0 of pairs side by side.

    Returns:
        ``(N, h, w, 2)``, without gradient.
    """
    from frugalseg.sampling._multigrid_numba import grid_levels, solve_springs

    size = (horizontal.shape[1], vertical.shape[2])
    start = uniform_sampling(size, len(vertical), vertical.dtype).permute(0, 3, 1, 2).contiguous()
    arrays = [t.detach().contiguous().numpy() for t in (vertical, horizontal, start)]
    sizes, masks, _ = grid_levels(*size, arrays[2].dtype)
    tolerance = 1e-6 if start.dtype == torch.float32 else 1e-13

    def work(first: int, last: int) -> None:
        for n in range(first, last):
            solve_springs(*(x[n] for x in arrays), masks, sizes, MAX_CYCLES, tolerance)

    parallel_for(work, len(start))
    return start.permute(0, 2, 3, 1)


def _implicit_gradient(rho: Tensor, phi: Tensor, gradient: Tensor) -> Tensor:
    if rho.device.type != "cpu":
        return _implicit_gradient(rho.cpu(), phi.cpu(), gradient.cpu()).to(rho.device)
    from frugalseg.sampling._density_numba import equal_density_gradient
    from frugalseg.sampling._multigrid_numba import grid_levels

    limit, tolerance = _accuracy(rho)
    out = torch.zeros_like(rho, memory_format=torch.contiguous_format)
    arrays = [x.detach().contiguous().numpy() for x in (rho, phi, gradient, out)]
    sizes, masks, _ = grid_levels(*phi.shape[1:3], arrays[0].dtype)

    def work(first: int, last: int) -> None:
        for n in range(first, last):
            one = (x[n] for x in arrays)
            equal_density_gradient(*one, sizes, masks, DAMPING, limit, tolerance)

    parallel_for(work, len(rho))
    return out


def _accuracy(rho: Tensor) -> tuple[int, float]:
    """Most iterations of the gradient's solve, and the relative change at which it stops."""
    return (60, 1e-3) if rho.dtype == torch.float32 else (400, 1e-11)


def _blur(x: Tensor, sigma: float, size: tuple[int, int]) -> Tensor:
    """Gaussian of ``sigma`` spacings of a uniform grid of ``size`` samples."""
    _, a, b = x.shape
    rows = _blur_matrix(a, sigma * a / (size[0] - 1), x.dtype, x.device)
    cols = _blur_matrix(b, sigma * b / (size[1] - 1), x.dtype, x.device)
    return rows @ x @ cols.T


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _blur_matrix(n: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``(n, n)``: Gaussian of ``sigma`` cells along an axis that repeats its border outside."""
    radius = max(1, math.ceil(3 * sigma))
    offset = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offset / max(sigma, 0.01)) ** 2)
    matrix = np.zeros((n, n))
    row = np.arange(n)[:, None]
    np.add.at(matrix, (row, (row + offset).clip(0, n - 1)), kernel / kernel.sum())
    return torch.from_numpy(matrix).to(device, dtype)
