"""Equal density in plain tensor operations, on any device: what the kernels are compared with."""

import torch
from torch import Tensor

from frugalseg.sampling import resize_sampling, uniform_sampling
from frugalseg.sampling._multigrid_numba import COARSEST
from frugalseg.sampling.density import (
    DAMPING,
    LEVELS,
    MAX_CYCLES,
    _accuracy,
    _read,
    _smoothed,
)
from frugalseg.sampling.energy import cosine_basis, sine_basis


def place_with_tensors(rho: Tensor, size: tuple[int, int], steps: int) -> Tensor:
    """The placement.

    Args:
        rho: ``(N, a, b)`` from :func:`relative_density`.
        size: number of samples ``(h, w)``.
        steps: as in :func:`equal_density_sampling`.

    Returns:
        ``(N, h, w, 2)``.
    """
    sizes = [size]
    while len(sizes) < LEVELS and min(sizes[-1]) > COARSEST:
        sizes.append((sizes[-1][0] // 2 + 1, sizes[-1][1] // 2 + 1))
    phi = uniform_sampling(sizes[-1], len(rho), rho.dtype, rho.device)
    for grid, smooth in zip(sizes[::-1], _smoothed(rho, sizes)[::-1], strict=True):
        phi = resize_sampling(phi, grid)
        for _ in range(steps):
            phi = phi + DAMPING * (_step(phi, smooth) - phi)
    return phi


def _step(phi: Tensor, rho: Tensor) -> Tensor:
    """The rest positions of springs whose stiffness is read between the nodes of ``phi``."""
    vertical = _read(rho, (phi[:, 1:] + phi[:, :-1]) / 2)
    horizontal = _read(rho, (phi[:, :, 1:] + phi[:, :, :-1]) / 2)
    return TensorRest.apply(vertical, horizontal, phi.permute(0, 3, 1, 2).detach()).permute(
        0, 2, 3, 1
    )


def gradient_with_tensors(rho: Tensor, phi: Tensor, gradient: Tensor) -> Tensor:
    """Gradient through the fixed point ``phi = step(phi, rho)``.

    With ``J`` the Jacobian of the step by phi, ``u = gradient + J^T u`` is found by the same damped
    iteration as phi was; then rho's gradient is that of the step, weighted by u.

    Args:
        rho: ``(N, a, b)`` from :func:`relative_density`.
        phi: ``(N, h, w, 2)``, the placement for it.
        gradient: ``(N, h, w, 2)``, of what is differentiated by phi.

    Returns:
        ``(N, a, b)``, by rho.
    """
    with torch.enable_grad():
        rho = rho.detach().requires_grad_()
        phi = phi.detach().requires_grad_()
        moved = _step(phi, rho)
    limit, tolerance = _accuracy(rho)
    u = gradient
    for _ in range(limit):
        (back,) = torch.autograd.grad(moved, phi, u, retain_graph=True)
        change = gradient + back - u
        if not bool(change.norm() < 1e3 * gradient.norm()):  # not a fixed point: take one step's
            u = gradient
            break
        u = u + DAMPING * change
        if bool(change.norm() <= tolerance * gradient.norm()):
            break
    (result,) = torch.autograd.grad(moved, rho, u)
    return result


class TensorRest(torch.autograd.Function):
    """Springs at rest; backward is one more solve."""

    @staticmethod
    def forward(ctx, vertical, horizontal, start):  # type: ignore[no-untyped-def]
        x = _solve(vertical, horizontal, torch.zeros_like(start), start)
        ctx.save_for_backward(vertical, horizontal, x)
        return x

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        vertical, horizontal, x = ctx.saved_tensors
        y = _solve(vertical, horizontal, gradients[0] * _free(x), torch.zeros_like(x))
        rows, columns = y.diff(dim=2) * x.diff(dim=2), y.diff(dim=3) * x.diff(dim=3)
        return -rows.sum(1), -columns.sum(1), None


def _solve(vertical: Tensor, horizontal: Tensor, right: Tensor, start: Tensor) -> Tensor:
    tolerance = 1e-6 if start.dtype == torch.float32 else 1e-13
    return conjugate_gradients(vertical, horizontal, right, start, tolerance)


def conjugate_gradients(
    vertical: Tensor, horizontal: Tensor, right: Tensor, start: Tensor, tolerance: float
) -> Tensor:
    """Springs at rest.

    Preconditioned by the exact inverse for equal stiffnesses, scaled by the local ones. Whether the
    accuracy is reached is read back from the device only now and then.

    Args:
        vertical, horizontal: stiffnesses, as in :func:`rest_positions`.
        right: ``(N, 2, h, w)`` right side.
        start: ``(N, 2, h, w)`` first guess, whose fixed sides are kept.
        tolerance: relative accuracy wanted.

    Returns:
        ``(N, 2, h, w)``.
    """
    free = _free(start)
    scale = _diagonal(vertical, horizontal)[:, None].rsqrt() * 2
    x = start.clone()
    residual = (right - _apply(vertical, horizontal, x)) * free
    z = scale * _inverse_laplacian(scale * residual) * free
    direction = z
    power = (residual * z).sum((2, 3), keepdim=True)
    tiny = torch.finfo(x.dtype).tiny
    enough = power * tolerance**2
    for turn in range(MAX_CYCLES):
        if turn % 16 == 15 and bool((power <= enough).all()):
            break
        moved = _apply(vertical, horizontal, direction) * free
        step = power / (direction * moved).sum((2, 3), keepdim=True).clamp_min(tiny)
        x = x + step * direction
        residual = residual - step * moved
        z = scale * _inverse_laplacian(scale * residual) * free
        new_power = (residual * z).sum((2, 3), keepdim=True)
        direction = z + new_power / power.clamp_min(tiny) * direction
        power = new_power
    return x


def _free(x: Tensor) -> Tensor:
    """1 at nodes that may move, 0 on the two fixed sides of each coordinate."""
    free = torch.ones_like(x[:1])
    free[:, 0, 0] = free[:, 0, -1] = 0
    free[:, 1, :, 0] = free[:, 1, :, -1] = 0
    return free


def _apply(vertical: Tensor, horizontal: Tensor, x: Tensor) -> Tensor:
    pull = vertical[:, None] * x.diff(dim=2)
    pull_across = horizontal[:, None] * x.diff(dim=3)
    out = torch.zeros_like(x)
    out[:, :, 1:] += pull
    out[:, :, :-1] -= pull
    out[..., 1:] += pull_across
    out[..., :-1] -= pull_across
    return out


def _diagonal(vertical: Tensor, horizontal: Tensor) -> Tensor:
    out = vertical.new_zeros(len(vertical), horizontal.shape[1], vertical.shape[2])
    out[:, 1:] += vertical
    out[:, :-1] += vertical
    out[..., 1:] += horizontal
    out[..., :-1] += horizontal
    return out


def _inverse_laplacian(right: Tensor) -> Tensor:
    """Exact solve for stiffness 1 everywhere: sines along the fixed axis, cosines across."""
    row, col = right.unbind(1)
    return torch.stack([_inverse_along(row), _inverse_along(col.mT).mT], 1)


def _inverse_along(right: Tensor) -> Tensor:
    _, h, w = right.shape
    sines, sine_values = sine_basis(h, right.dtype, right.device)
    cosines, cosine_values = cosine_basis(w, right.dtype, right.device)
    modes = sines.mT @ right @ cosines / (sine_values[:, None] + cosine_values)
    solved: Tensor = sines @ modes @ cosines.mT
    return solved
