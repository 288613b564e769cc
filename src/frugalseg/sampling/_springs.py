"""Grids of springs at rest: one linear solve on the CPU, differentiable in the stiffnesses.

With any positive stiffnesses the nodes at rest form a grid of strictly convex cells: mirrored at
its four sides the problem becomes one on a torus, where Tutte's embedding theorem holds (Tutte
1963; Gortler, Gotsman and Thurston 2006), and the mirrored solution is the only one.
"""

import torch
from torch import Tensor

from frugalseg._threads import in_parts
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
    from frugalseg.sampling._multigrid_numba import grid_levels, solve_springs

    tolerance = 1e-6 if start.dtype == torch.float32 else 1e-13
    x = start.cpu().contiguous().clone()
    given = [t.detach().cpu().contiguous() for t in (vertical, horizontal, right)]
    arrays = [t.numpy() for t in (*given, x)]
    sizes, masks, _ = grid_levels(*x.shape[2:], arrays[3].dtype)

    def work(first: int, last: int) -> None:
        for n in range(first, last):
            solve_springs(*(t[n] for t in arrays), masks, sizes, MAX_STEPS, tolerance)

    in_parts(work, len(x))
    return x.to(start.device)


def _free(x: Tensor) -> Tensor:
    """1 at nodes that may move, 0 on the two fixed sides of each coordinate."""
    free = torch.ones_like(x[:1])
    free[:, 0, 0] = free[:, 0, -1] = 0
    free[:, 1, :, 0] = free[:, 1, :, -1] = 0
    return free
