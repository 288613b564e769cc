"""The exact minimiser of the boundary energy against SciPy's sparse direct solver.

SciPy's time does not include building its matrices, only factorisation and solution. It is used in
three ways: the plainest call, image by image; one factorisation for all images of a batch, in
SuperLU's mode for symmetric matrices; and the solution alone, as if the factorisation for this grid
and smoothness were known.
"""

import importlib.metadata
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.linalg import splu, spsolve
from torch import Tensor

from benchmarks.timing import compare
from frugalseg.sampling import minimise_boundary_energy

GRIDS = (32, 128, 256)
SMOOTHNESS = 10.0
SPSOLVE = "spsolve, image by image"
SPLU = "splu symmetric, all images at once"
SOLVE = "the same, factorised before"


def matrix(n: int) -> sp.csc_matrix:
    """Identity and smoothness over an n x n grid whose first and last rows are held."""
    held = sp.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n - 2, n - 2))
    free = sp.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n, n)).tolil()
    free[0, 0] = free[-1, -1] = 1.0
    smooth = sp.kron(held, sp.eye(n)) + sp.kron(sp.eye(n - 2), free)
    return sp.csc_matrix(sp.eye((n - 2) * n) + SMOOTHNESS * smooth)


def right_sides(nearest: Tensor) -> np.ndarray:
    """Columns: of each image the rows, then the columns (with the axes exchanged)."""
    batch, n = nearest.shape[:2]
    rows, columns = nearest.double().unbind(-1)
    both = torch.stack([rows, columns.mT], 1)[:, :, 1:-1].clone()
    both[:, :, -1] += SMOOTHNESS  # the last free row neighbours the row held at 1
    return np.asfortranarray(both.reshape(2 * batch, (n - 2) * n).T.numpy())


def sampling(solution: np.ndarray, batch: int, n: int) -> Tensor:
    """(batch, n, n, 2) from the columns of a solution."""
    inner = torch.from_numpy(np.ascontiguousarray(solution.T)).reshape(batch, 2, n - 2, n)
    full = torch.zeros(batch, 2, n, n, dtype=torch.float64)
    full[:, :, 1:-1], full[:, :, -1] = inner, 1
    return torch.stack([full[:, 0], full[:, 1].mT], -1)


def factorise(system: sp.csc_matrix) -> Any:
    """As SuperLU's guide advises for symmetric, diagonally dominant matrices."""
    options = {"SymmetricMode": True, "DiagPivotThresh": 0.0}
    return splu(system, permc_spec="MMD_AT_PLUS_A", options=options)


def question(n: int, batch: int, dtype: torch.dtype) -> dict[str, Any]:
    nearest = torch.rand((batch, n, n, 2), generator=torch.Generator().manual_seed(n)).to(dtype)
    system, sides = matrix(n), right_sides(nearest)
    factors = factorise(system)
    theirs: dict[str, Callable[[], Any]] = {
        SPSOLVE: lambda: [spsolve(system, sides[:, k : k + 2]) for k in range(0, 2 * batch, 2)],
        SPLU: lambda: factorise(system).solve(sides),
        SOLVE: lambda: factors.solve(sides),
    }
    row = compare(
        f"{n}x{n}, {batch} image{'s' if batch > 1 else ''}, {str(dtype).removeprefix('torch.')}",
        partial(minimise_boundary_energy, nearest, SMOOTHNESS),
        theirs,
        rounds=9 if n < 256 else 5,
        warm_up=1,
        target={SPSOLVE: 100} if n == 128 else None,
    )
    phi = minimise_boundary_energy(nearest, SMOOTHNESS).double()
    expected = sampling(factors.solve(sides), batch, n)
    return {**row, "largest_difference": (phi - expected).abs().max().item()}


def run() -> dict[str, Any]:
    comparisons = [
        question(n, batch, dtype)
        for n in GRIDS
        for batch in (1, 8)
        for dtype in (torch.float64, torch.float32)
    ]
    return {
        "question": f"phi from the nearest boundaries, smoothness {SMOOTHNESS:g}; SciPy in float64",
        "versions": {"scipy": importlib.metadata.version("scipy")},
        "comparisons": comparisons,
    }
