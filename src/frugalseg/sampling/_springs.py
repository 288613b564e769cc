"""Grids of springs at rest: one linear solve, on any device, differentiable in the stiffnesses.

With any positive stiffnesses the nodes at rest form a grid of strictly convex cells: mirrored at
its four sides the problem becomes one on a torus, where Tutte's embedding theorem holds (Tutte
1963; Gortler, Gotsman and Thurston 2006), and the mirrored solution is the only one.
"""

import torch
from torch import Tensor

from frugalseg._threads import in_parts
from frugalseg.sampling.energy import cosine_basis, sine_basis
from frugalseg.sampling.grids import uniform_sampling

MAX_STEPS = 400


def rest_positions(vertical: Tensor, horizontal: Tensor, start: Tensor | None = None) -> Tensor:
    """Minimise ``sum over neighbour pairs of stiffness * |phi - phi'|^2``, phi covering.

    Args:
        vertical: ``(N, h - 1, w)`` stiffnesses above 0 of pairs one above the other.
        horizontal: ``(N, h, w - 1)`` stiffnesses above 0 of pairs side by side.
        start: ``(N, h, w, 2)``, a first guess that covers; None for the uniform grid.

    Returns:
        ``(N, h, w, 2)``, differentiable in the stiffnesses.
    """
    if start is None:
        size = (horizontal.shape[1], vertical.shape[2])
        start = uniform_sampling(size, len(vertical), vertical.dtype, vertical.device)
    start = start.permute(0, 3, 1, 2).detach()
    rest: Tensor = _Rest.apply(vertical, horizontal, start)  # type: ignore[no-untyped-call]
    return rest.permute(0, 2, 3, 1)


class _Rest(torch.autograd.Function):
    """``A(stiffness) x = 0``; backward is one more solve, as A is symmetric."""

    @staticmethod
    def forward(ctx, vertical, horizontal, start):  # type: ignore[no-untyped-def]
        x = _solve(vertical, horizontal, torch.zeros_like(start), start)
        ctx.save_for_backward(vertical, horizontal, x)
        return x

    @staticmethod
    def backward(ctx, *gradients):  # type: ignore[no-untyped-def]
        vertical, horizontal, x = ctx.saved_tensors
        free = _free(x)
        y = _solve(vertical, horizontal, gradients[0] * free, torch.zeros_like(x))
        return (
            -(y.diff(dim=2) * x.diff(dim=2)).sum(1),
            -(y.diff(dim=3) * x.diff(dim=3)).sum(1),
            None,
        )


def _solve(vertical: Tensor, horizontal: Tensor, right: Tensor, start: Tensor) -> Tensor:
    """Solve ``A x = right`` at the free nodes; the others keep ``start``. All ``(N, 2, h, w)``."""
    tolerance = 1e-6 if start.dtype == torch.float32 else 1e-13
    if start.device.type == "cpu":
        from frugalseg.sampling._multigrid_numba import grid_levels, solve_springs

        x = start.contiguous().clone()
        arrays = [t.detach().contiguous().numpy() for t in (vertical, horizontal, right, x)]

        sizes, masks, _ = grid_levels(*x.shape[2:], arrays[3].dtype)

        def work(first: int, last: int) -> None:
            for n in range(first, last):
                solve_springs(*(t[n] for t in arrays), masks, sizes, MAX_STEPS, tolerance)

        in_parts(work, len(x))
        return x
    return conjugate_gradients(vertical, horizontal, right, start, tolerance)


def conjugate_gradients(
    vertical: Tensor, horizontal: Tensor, right: Tensor, start: Tensor, tolerance: float
) -> Tensor:
    """The same solve in plain tensor operations, for devices without a kernel of ours.

    Preconditioned by the exact inverse for equal stiffnesses, scaled by the local ones. The device
    is asked only now and then whether it is enough.

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
    for turn in range(MAX_STEPS):
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
