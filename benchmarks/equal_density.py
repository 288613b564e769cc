"""Equal-density sampling: multigrid against 100 damped Jacobi steps, on generated street scenes.

The Jacobi solver starts from the uniform grid and reads the density again at every step; it is
written in numba and in torch. It gets the blurred density, while our time includes the blurring,
also in the backward pass. The distance of each from the fixed point is reported too: root mean
square and maximum, in spacings of the uniform grid, and the share of images with a folded cell.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from benchmarks.timing import compare
from frugalseg.demo.scenes import SCENE_CLASSES, generate_scene
from frugalseg.models.samplers import default_thumbnail
from frugalseg.sampling import (
    boundary_density,
    equal_density_sampling,
    folded_cells,
    relative_density,
    uniform_sampling,
)
from frugalseg.sampling.density import rest_positions

GRIDS = (32, 64, 128)
JACOBI_STEPS, WEIGHT = 100, 0.7
SHARE, BLUR = 0.5, 0.75
HARD = (0.65, 0.5)
IMAGES = 8


def stiffness(rho: Tensor, phi: Tensor) -> tuple[Tensor, Tensor]:
    """rho at the middle of each pair: vertical (N, h - 1, w) and horizontal (N, h, w - 1)."""

    def read(middle: Tensor) -> Tensor:
        grid = middle.flip(-1) * 2 - 1
        return F.grid_sample(rho[:, None], grid, padding_mode="border", align_corners=False)[:, 0]

    return read((phi[:, 1:] + phi[:, :-1]) / 2), read((phi[:, :, 1:] + phi[:, :, :-1]) / 2)


def jacobi_torch(rho: Tensor, size: tuple[int, int], steps: int = JACOBI_STEPS) -> Tensor:
    """Damped Jacobi steps in tensor operations, (N, h, w, 2)."""
    phi = uniform_sampling(size, len(rho), rho.dtype)
    free = torch.ones_like(phi[:1])
    free[:, [0, -1], :, 0] = 0
    free[:, :, [0, -1], 1] = 0
    for _ in range(steps):
        vertical, horizontal = (k[..., None] for k in stiffness(rho, phi))
        pull, total = torch.zeros_like(phi), torch.zeros_like(phi[..., :1])
        pull[:, 1:] += vertical * phi[:, :-1]
        pull[:, :-1] += vertical * phi[:, 1:]
        pull[:, :, 1:] += horizontal * phi[:, :, :-1]
        pull[:, :, :-1] += horizontal * phi[:, :, 1:]
        total[:, 1:] += vertical
        total[:, :-1] += vertical
        total[:, :, 1:] += horizontal
        total[:, :, :-1] += horizontal
        phi = phi + WEIGHT * free * (pull / total - phi)
    return phi


@njit(cache=True, fastmath=True, inline="always")
def _read(rho: Any, y: Any, x: Any) -> Any:
    rows, cols = rho.shape
    y = min(max(y * rows - rho.dtype.type(0.5), 0), rho.dtype.type(rows - 1))
    x = min(max(x * cols - rho.dtype.type(0.5), 0), rho.dtype.type(cols - 1))
    i, j = min(int(y), rows - 2), min(int(x), cols - 2)
    a, b = y - i, x - j
    top = rho[i, j] + b * (rho[i, j + 1] - rho[i, j])
    bottom = rho[i + 1, j] + b * (rho[i + 1, j + 1] - rho[i + 1, j])
    return top + a * (bottom - top)


@njit(cache=True, fastmath=True)
def _jacobi(rho: Any, phi: Any, steps: int, weight: float) -> None:
    half, theta = phi.dtype.type(0.5), phi.dtype.type(weight)
    h, w = phi.shape[1:3]
    for n in range(phi.shape[0]):
        x, field = phi[n], rho[n]
        vertical, horizontal = np.zeros((h + 1, w), x.dtype), np.zeros((h, w + 1), x.dtype)
        new = x.copy()
        for _ in range(steps):
            for i in range(h - 1):
                for j in range(w):
                    vertical[i + 1, j] = _read(
                        field,
                        half * (x[i, j, 0] + x[i + 1, j, 0]),
                        half * (x[i, j, 1] + x[i + 1, j, 1]),
                    )
            for i in range(h):
                for j in range(w - 1):
                    horizontal[i, j + 1] = _read(
                        field,
                        half * (x[i, j, 0] + x[i, j + 1, 0]),
                        half * (x[i, j, 1] + x[i, j + 1, 1]),
                    )
            for i in range(h):
                up, down = max(i - 1, 0), min(i + 1, h - 1)
                for j in range(w):
                    left, right = max(j - 1, 0), min(j + 1, w - 1)
                    a, b = vertical[i, j], vertical[i + 1, j]
                    c, d = horizontal[i, j], horizontal[i, j + 1]
                    scale = theta / (a + b + c + d)
                    for k in range(2):
                        if (k == 0 and (i == 0 or i == h - 1)) or (k == 1 and (j in (0, w - 1))):
                            continue
                        pull = a * (x[up, j, k] - x[i, j, k]) + b * (x[down, j, k] - x[i, j, k])
                        pull += c * (x[i, left, k] - x[i, j, k])
                        pull += d * (x[i, right, k] - x[i, j, k])
                        new[i, j, k] = x[i, j, k] + scale * pull
            x[:] = new


def jacobi_numba(rho: Tensor, size: tuple[int, int], steps: int = JACOBI_STEPS) -> Tensor:
    """The same compiled, image by image."""
    phi = uniform_sampling(size, len(rho), rho.dtype)
    _jacobi(rho.contiguous().numpy(), phi.numpy(), steps, WEIGHT)
    return phi


def fixed_point(rho: Tensor, start: Tensor, steps: int = 250, damping: float = 0.25) -> Tensor:
    """Many small steps with exact solves, in double precision."""
    rho, phi = rho.double(), start.double()
    for _ in range(steps):
        phi = phi + damping * (rest_positions(*stiffness(rho, phi)) - phi)
    return phi


def densities(size: tuple[int, int]) -> Tensor:
    """Boundary densities (8, a, b) of scenes of 512x1024 pixels, of the grid's thumbnail size."""
    masks = np.stack([generate_scene(seed)[1] for seed in range(IMAGES)]).astype(np.int64)
    labels = torch.from_numpy(masks)
    return boundary_density(labels, default_thumbnail(size, 2.0), SCENE_CLASSES.targets)


def distances(phi: Tensor, goal: Tensor) -> dict[str, float]:
    spacing = torch.tensor([phi.shape[1] - 1, phi.shape[2] - 1])
    error = ((phi - goal) * spacing).norm(dim=-1)
    return {
        "rms": error.square().mean().sqrt().item(),
        "largest": error.max().item(),
        "folded": (folded_cells(phi) > 0).double().mean().item(),
    }


def accuracy(density: Tensor, size: tuple[int, int], share: float, blur: float) -> dict[str, Any]:
    rho = relative_density(density, size, share, blur)
    ours = equal_density_sampling(density, size, share, blur)
    goal = fixed_point(rho, ours)
    jacobi = jacobi_numba(rho, size)
    differ = (jacobi - jacobi_torch(rho, size)).abs().max().item() * (max(size) - 1)
    return {
        "share": share,
        "blur": blur,
        "uniform": distances(uniform_sampling(size), goal),
        "ours": distances(ours, goal),
        "jacobi": distances(jacobi, goal),
        "jacobi_numba_to_torch": differ,
    }


def question(n: int, batch: int, backward: bool) -> dict[str, Any]:
    size = (n, n)
    density = densities(size)[:batch]
    rho = relative_density(density, size, SHARE, BLUR)
    leaf = density.clone().requires_grad_()
    leaf_rho = rho.clone().requires_grad_()

    def ours() -> None:
        if not backward:
            with torch.no_grad():
                equal_density_sampling(density, size, SHARE, BLUR)
        else:
            phi = equal_density_sampling(leaf, size, SHARE, BLUR)
            torch.autograd.grad(phi.square().sum(), leaf)

    def unrolled() -> None:
        torch.autograd.grad(jacobi_torch(leaf_rho, size).square().sum(), leaf_rho)

    others = {"100 Jacobi steps, torch": unrolled if backward else partial(jacobi_torch, rho, size)}
    if not backward:
        others["100 Jacobi steps, numba"] = partial(jacobi_numba, rho, size)
    name = f"{n}x{n}, {batch} image{'s' if batch > 1 else ''}, forward"
    rounds = 15 if n * n * batch <= 64 * 64 * 8 and not backward else 5
    return compare(name + (" and backward" if backward else ""), ours, others, rounds, warm_up=1)


def run() -> dict[str, Any]:
    comparisons = [
        question(n, batch, backward)
        for n in GRIDS
        for batch in (1, IMAGES)
        for backward in (False, True)
    ]
    converged = {
        f"{n}x{n}": [
            accuracy(densities((n, n))[:4], (n, n), share, blur)
            for share, blur in ((SHARE, BLUR), HARD)
        ]
        for n in GRIDS[:2]
    }
    return {
        "question": f"phi from boundary densities, share {SHARE}, blur {BLUR} spacings",
        "comparisons": comparisons,
        "distance_to_the_fixed_point": converged,
    }
