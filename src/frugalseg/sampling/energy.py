"""The boundary energy of Marin et al. 2019 and its exact minimiser.

For nodes ``u`` of a uniform grid with nearest boundaries ``b(u)``,

    E(phi) = sum |phi - b|^2 + smoothness * sum over 4-neighbours |phi - phi'|^2,

each pair counted once, phi covering. E is quadratic, and rows and columns separate. Measured from
the uniform grid, at which the forces between neighbours balance, each coordinate is zero at both
ends of its own axis and free across it: sines along its axis and cosines across it diagonalise E.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from frugalseg.sampling.boundaries import nearest_boundary, semantic_boundaries
from frugalseg.sampling.grids import check_sampling, per_image, resize_sampling, uniform_sampling

Smoothness = float | Tensor | tuple[float | Tensor, float | Tensor]


def boundary_energy(phi: Tensor, nearest: Tensor, smoothness: Smoothness) -> Tensor:
    """The energy of a sampling (Marin et al. 2019, eq. 2; each neighbour pair counted once).

    Args:
        phi: ``(N, h, w, 2)``.
        nearest: ``(N, h, w, 2)``, the nearest boundary of each node.
        smoothness: weight of the neighbour pairs, at least 0: a number, an ``(N,)`` tensor, or two
            of them, for pairs one above the other and for pairs side by side.

    Returns:
        ``(N,)``.

    Raises:
        ValueError: a smoothness below 0, infinite or NaN.

    >>> uniform = uniform_sampling((3, 3))
    >>> boundary_energy(uniform, uniform, 1.0).tolist()
    [3.0]
    """
    check_sampling(phi)
    vertical, horizontal = (per_image(s, phi) for s in _both(smoothness))
    data = (phi - nearest).square().sum((1, 2, 3))
    down = phi.diff(dim=1).square().sum((1, 2, 3))
    right = phi.diff(dim=2).square().sum((1, 2, 3))
    return data + vertical.flatten() * down + horizontal.flatten() * right


def minimise_boundary_energy(nearest: Tensor, smoothness: Smoothness) -> Tensor:
    """The exact covering sampling of least boundary energy, without iteration.

    Args:
        nearest: ``(N, h, w, 2)``, the nearest boundary of each node, h and w at least 2.
        smoothness: as in :func:`boundary_energy`. 0 puts inner nodes on boundaries; large values
            bring the sampling near to uniform. The effect of a boundary reaches
            ``sqrt(smoothness)`` cells, see :func:`scaled_smoothness`.

    Returns:
        ``(N, h, w, 2)``, differentiable in ``nearest`` (and in ``smoothness``).

    Raises:
        ValueError: as of :func:`boundary_energy`.

    >>> nearest = torch.full((1, 4, 4, 2), 0.5)
    >>> phi = minimise_boundary_energy(nearest, 1.0)
    >>> [round(x, 3) for x in phi[0, :, 0, 0].tolist()]
    [0.0, 0.375, 0.625, 1.0]
    """
    check_sampling(nearest)
    vertical, horizontal = _both(smoothness)
    size, dtype, device = (nearest.shape[1], nearest.shape[2]), nearest.dtype, nearest.device
    if isinstance(vertical, Tensor) or isinstance(horizontal, Tensor):
        weights = per_image(vertical, nearest)[..., 0], per_image(horizontal, nearest)[..., 0]
        systems = _systems(size, weights, dtype, device)
    else:
        systems = _known_systems(size, (vertical, horizontal), dtype, device)
    solved = [_solve(goal, *parts) for goal, parts in zip(nearest.unbind(-1), systems, strict=True)]
    return torch.stack(solved, -1)


def scaled_smoothness(smoothness: float, size: tuple[int, int]) -> tuple[float, float]:
    """Smoothness with which a grid warps as the paper's 8x8 grid does with ``smoothness``.

    Smoothing reaches ``sqrt(smoothness)`` cells, and finer grids have smaller cells: for the same
    warp it grows with the square of the number of cells, separately along each side.

    Args:
        smoothness: as on a grid of 8x8 nodes.
        size: the grid ``(h, w)``.

    Returns:
        Weights of vertical and of horizontal pairs, for :func:`minimise_boundary_energy`.

    Raises:
        ValueError: as of :func:`boundary_energy`.

    >>> scaled_smoothness(1.0, (15, 8))
    (4.0, 1.0)
    """
    height, width = size
    _check(smoothness)
    return smoothness * ((height - 1) / 7) ** 2, smoothness * ((width - 1) / 7) ** 2


def boundary_sampling(
    labels: Tensor,
    size: tuple[int, int],
    smoothness: float = 0.12,
    control: tuple[int, int] | None = None,
    targets: Sequence[int] | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Sampling drawn to the semantic boundaries of label maps (Marin et al. 2019, section 3).

    ``smoothness`` is that on an 8x8 grid and is scaled to the control grid
    (:func:`scaled_smoothness`), so that a value means the same warp on every grid: the default is
    about 10 on 64x64 nodes and 0.55 on 16x16. Below it targets still gain, but the rest of the
    image gets too few samples and cells begin to fold (on street scenes and on leaves: at most 1 in
    10,000 cells at 0.12, up to 1 in 100 at 0.03). The paper's own sampling is ``smoothness=1,
    control=(8, 8)``.

    Args:
        labels: ``(N, H, W)`` class ids.
        size: number of samples ``(h, w)``, at least 2 each.
        smoothness: above 0; small draws samples to boundaries, large leaves them uniform.
        control: grid on which the energy is minimised, enlarged bilinearly; None for ``size``.
        targets: class ids whose boundaries count; None for all.
        ignore_index: the id of pixels without a label.

    Returns:
        ``(N, h, w, 2)`` float32; uniform for an image without a boundary.

    >>> labels = torch.zeros(1, 64, 64, dtype=torch.long)
    >>> labels[:, :, 32:] = 1
    >>> phi = boundary_sampling(labels, (16, 16))
    >>> bool(phi[0, 8, 4, 1] > 4 / 15)  # drawn from the left towards the middle
    True
    """
    control = size if control is None else control
    nearest = nearest_boundary(semantic_boundaries(labels, targets, ignore_index), control)
    phi = minimise_boundary_energy(nearest, scaled_smoothness(smoothness, control))
    return phi if control == size else resize_sampling(phi, size)


def _both(smoothness: Smoothness) -> tuple[float | Tensor, float | Tensor]:
    """Checked weights of vertical and of horizontal pairs."""
    both = smoothness if isinstance(smoothness, tuple) else (smoothness, smoothness)
    for weight in both:
        _check(weight)
    return both


def _check(smoothness: float | Tensor) -> None:
    """Raise ``ValueError`` unless the smoothness is at least 0 and finite."""
    values = torch.as_tensor(smoothness).detach()
    if not ((values >= 0) & values.isfinite()).all():
        raise ValueError(f"smoothness is at least 0 and finite, not {smoothness}")


def _solve(goal: Tensor, left: Tensor, right: Tensor, gain: Tensor, start: Tensor) -> Tensor:
    """One coordinate of the minimiser, ``(N, h, w)``: weigh its modes and transform back."""
    modes = left.mT @ ((goal - start) @ right) * gain
    solved: Tensor = start + left @ (modes @ right.mT)
    return solved


def _systems(
    size: tuple[int, int],
    weights: tuple[Tensor, Tensor],
    dtype: torch.dtype,
    device: torch.device,
) -> list[tuple[Tensor, ...]]:
    """Arguments of `_solve` for rows and for columns: bases, gains of the modes, uniform places.

    Each coordinate is held at both ends of its own axis (sines) and free across it (cosines).
    """
    vertical, horizontal = weights  # (1 or N, 1, 1)
    height, width = size
    uniform = uniform_sampling(size, 1, dtype, device)[0]
    systems: list[tuple[Tensor, ...]] = []
    for axis, (basis, other) in enumerate([(sine_basis, cosine_basis), (cosine_basis, sine_basis)]):
        left, down = basis(height, dtype, device)
        right, across = other(width, dtype, device)
        gain = 1 / (1 + vertical * down[:, None] + horizontal * across)
        systems.append((left, right, gain, uniform[..., axis]))
    return systems


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _known_systems(
    size: tuple[int, int], weights: tuple[float, float], dtype: torch.dtype, device: torch.device
) -> list[tuple[Tensor, ...]]:
    """`_systems` for weights that are numbers."""
    vertical, horizontal = (
        torch.full((1, 1, 1), float(weight), dtype=dtype, device=device) for weight in weights
    )
    return _systems(size, (vertical, horizontal), dtype, device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def sine_basis(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """DST-I as columns ``(n, n - 2)``, zero at both ends, orthonormal; and its eigenvalues."""
    index = torch.arange(1, n - 1, dtype=torch.float64)
    angle = math.pi * index / (n - 1)
    basis = torch.zeros(n, max(n - 2, 0), dtype=torch.float64)
    basis[1:-1] = math.sqrt(2 / (n - 1)) * torch.sin(angle[:, None] * index)
    return basis.to(device, dtype), (4 * torch.sin(angle / 2) ** 2).to(device, dtype)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def cosine_basis(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """DCT-II as columns ``(n, n)``, orthonormal; and the eigenvalues of the path with free ends."""
    index = torch.arange(n, dtype=torch.float64)
    angle = math.pi * index / n
    basis = math.sqrt(2 / n) * torch.cos((index[:, None] + 0.5) * angle)
    basis[:, 0] /= math.sqrt(2)
    return basis.to(device, dtype), (4 * torch.sin(angle / 2) ** 2).to(device, dtype)
