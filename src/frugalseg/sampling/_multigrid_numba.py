"""CPU kernels for weighted grids of springs: a multigrid solver.

The unknowns are the two coordinates of the nodes of an ``h x w`` grid. A coordinate is fixed on the
two sides across it and slides along the other two, so each coordinate is one linear system with the
same springs: ``A x = b`` at the free nodes, ``(A x)_k = sum of stiffness * (x_k - x_neighbour)``.

Every node array is flat, ``(h + 2) * (w + 2)`` long with a ring of zeros around the grid: node
``(i, j)`` is at ``(i + 1) * stride + j + 1``, ``stride = w + 2``. So a neighbour is a shift, the
border is no special case (springs to the ring have stiffness 0), and each pass is one long loop
over shifted slices that compilers turn into vector instructions. Fixed nodes are masked.
``vertical[k]`` joins k and ``k + stride``, ``horizontal[k]`` joins k and ``k + 1``.

Level 0 is the grid itself; each next level keeps every second node and the last, with stiffnesses
in series along a line and spread over the lines dropped beside it. Planes of all levels lie one
after the other in one array.

If stiffnesses differ by orders of magnitude from node to node, such coarse grids can push too far.
So a V-cycle serves only as the (symmetric, positive) preconditioner of conjugate gradients, which
converge whatever the stiffnesses.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numba import njit

Array = np.ndarray[Any, np.dtype[Any]]

COARSEST = 6
# planes of one workspace
VERTICAL, HORIZONTAL, INVERSE, SCRATCH, RIGHT, SOLUTION = 0, 1, 2, 3, 4, 5
PLANES = 6


@lru_cache(maxsize=16)
def grid_levels(h: int, w: int, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """The part of a problem that depends on the grid alone, not on its springs.

    Returns:
        ``(levels + 1, 3)``: h, w and offset of each level; the last row holds the total length;
        ``(2 coordinates, 2 colours, total)``: 1 at free nodes of a chessboard's colour;
        ``(2, total)``: coordinates of the uniform grids.
    """
    sizes: list[tuple[int, int, int]] = []
    begin = 0
    while not sizes or min(sizes[-1][:2]) > COARSEST:
        if sizes:
            h, w = h // 2 + 1, w // 2 + 1
        sizes.append((h, w, begin))
        begin += (h + 2) * (w + 2)
    masks, uniform = np.zeros((2, 2, begin), dtype), np.zeros((2, begin), dtype)
    for h, w, first in sizes:
        part = slice(first, first + (h + 2) * (w + 2))
        i, j = np.meshgrid(np.arange(-1, h + 1), np.arange(-1, w + 1), indexing="ij")
        inside = (i >= 0) & (i < h) & (j >= 0) & (j < w)
        free = inside & (i > 0) & (i < h - 1), inside & (j > 0) & (j < w - 1)
        for axis, (index, n) in enumerate(((i, h), (j, w))):
            # not index / (n - 1): rounded as uniform_sampling is
            along = torch.linspace(0, 1, n, dtype=torch.from_numpy(masks[:0]).dtype).numpy()
            uniform[axis, part] = (along[index.clip(0, n - 1)] * inside).ravel()
            for colour in range(2):
                masks[axis, colour, part] = (free[axis] & ((i + j) % 2 == colour)).ravel()
    return np.array([*sizes, (0, 0, begin)], np.int64), masks, uniform


@njit(cache=True)
def copy(source: Array, goal: Array) -> None:
    """``goal[:] = source``; that would take seconds more to compile, for its error message."""
    for k in range(goal.size):
        goal[k] = source[k]


@njit(cache=True, fastmath=True, error_model="numpy")
def _relax(
    x: Array, out: Array, b: Array, v: Array, h: Array, inverse: Array, mask: Array, s: int
) -> None:
    """Half a red-black sweep: ``out`` is ``x`` with the nodes of one colour at rest."""
    n = x.size - 2 * s
    up, left, mid, right, down = x[:n], x[s - 1 :], x[s:], x[s + 1 :], x[2 * s :]
    v_up, v_down, h_left, h_right = v[:n], v[s:], h[s - 1 :], h[s:]
    out, b, inverse, mask = out[s:], b[s:], inverse[s:], mask[s:]
    for k in range(n):
        c = mid[k]
        pull = v_up[k] * (up[k] - c) + v_down[k] * (down[k] - c)
        pull += h_left[k] * (left[k] - c) + h_right[k] * (right[k] - c)
        out[k] = c + mask[k] * inverse[k] * (b[k] + pull)


@njit(cache=True, fastmath=True, error_model="numpy")
def _residual(x: Array, out: Array, b: Array, v: Array, h: Array, mask: Array, s: int) -> None:
    """``out = mask * (b - A x)``."""
    n = x.size - 2 * s
    up, left, mid, right, down = x[:n], x[s - 1 :], x[s:], x[s + 1 :], x[2 * s :]
    v_up, v_down, h_left, h_right = v[:n], v[s:], h[s - 1 :], h[s:]
    out, b, mask = out[s:], b[s:], mask[s:]
    for k in range(n):
        c = mid[k]
        pull = v_up[k] * (up[k] - c) + v_down[k] * (down[k] - c)
        pull += h_left[k] * (left[k] - c) + h_right[k] * (right[k] - c)
        out[k] = mask[k] * (b[k] + pull)


@njit(cache=True, fastmath=True)
def _add_columns(fine: Array, w: int, coarse: Array, cw: int) -> None:
    """Reduce a row to every second node: each dropped node gives half to either side."""
    half = fine.dtype.type(0.5)
    before, after = fine[1:], fine[3:]
    mid = fine[2:]
    inner = coarse[1:]
    for c in range(cw - 3):
        inner[c] = mid[2 * c] + half * (before[2 * c] + after[2 * c])
    coarse[0] = fine[0] + (half * fine[1] if w > 2 else 0)
    if w % 2:
        coarse[cw - 1] = fine[w - 1] + half * fine[w - 2]
        if cw > 2:
            coarse[cw - 2] = fine[w - 3] + half * (fine[w - 4] + fine[w - 2])
    else:
        coarse[cw - 1] = fine[w - 1]
        if cw > 2:
            coarse[cw - 2] = fine[w - 2] + half * fine[w - 3]


@njit(cache=True, fastmath=True)
def _row_weights(ci: int, h: int) -> Any:
    """The fine row of a coarse row, and the weights of the rows before and after it."""
    f = min(2 * ci, h - 1)
    return f, 0.5 * (f % 2 == 0 and f > 0), 0.5 * (f + 1 < h - 1)


@njit(cache=True, fastmath=True)
def _add_rows(fine: Array, s: int, f: int, before: float, after: float, out: Array, n: int) -> None:
    """Weighted sum of three neighbouring rows, their first ``n`` nodes."""
    a, b = fine.dtype.type(before), fine.dtype.type(after)
    k = (f + 1) * s + 1
    mid, up, down = fine[k : k + n], fine[k - s : k - s + n], fine[k + s : k + s + n]
    for j in range(n):
        out[j] = mid[j] + a * up[j] + b * down[j]


@njit(cache=True)
def _restrict(fine: Array, h: int, w: int, coarse: Array, ch: int, cw: int, row: Array) -> None:
    """Fill ``coarse``, the adjoint of :func:`_prolong`; ``row`` is scratch."""
    for ci in range(ch):
        f, before, after = _row_weights(ci, h)
        _add_rows(fine, w + 2, f, before, after, row, w)
        k = (ci + 1) * (cw + 2) + 1
        _add_columns(row, w, coarse[k : k + cw], cw)


@njit(cache=True, fastmath=True)
def _prolong(coarse: Array, ch: int, cw: int, fine: Array, h: int, w: int, wide: Array) -> None:
    """Add the bilinearly enlarged ``coarse`` to ``fine``; ``wide`` is scratch of fine's size."""
    half = fine.dtype.type(0.5)
    s = w + 2
    for ci in range(ch):
        k = (ci + 1) * (cw + 2) + 1
        low, high = coarse[k : k + cw], coarse[k + 1 : k + 1 + cw]
        row = wide[ci * s : ci * s + w]
        odd = row[1:]
        for c in range((w - 1) // 2):
            row[2 * c] = low[c]
            odd[2 * c] = half * (low[c] + high[c])
        row[w - 1] = low[cw - 1]
        if w % 2 == 0:
            row[w - 2] = low[cw - 2]
    for i in range(h):
        k = (i + 1) * s + 1
        last = i == h - 1
        p = ch - 1 if last else i // 2
        q = p if last or i % 2 == 0 else p + 1
        out, low, high = fine[k : k + w], wide[p * s : p * s + w], wide[q * s : q * s + w]
        for j in range(w):
            out[j] += half * (low[j] + high[j])


@njit(cache=True, fastmath=True, error_model="numpy")
def _series(first: Array, second: Array, step: int, out: Array, n: int) -> None:
    """Stiffness of ``n`` pairs of springs in series."""
    for c in range(n):
        a, b = first[step * c], second[step * c]
        out[c] = a * b / (a + b)


@njit(cache=True, fastmath=True)
def _coarsen_vertical(
    v: Array, h: int, w: int, coarse: Array, ch: int, cw: int, row: Array
) -> None:
    s = w + 2
    for ci in range(ch - 1):
        k = (2 * ci + 1) * s + 1
        if 2 * ci + 2 <= h - 1:
            _series(v[k:], v[k + s :], 1, row, w)
        else:
            copy(v[k : k + w], row[:w])
        k = (ci + 1) * (cw + 2) + 1
        _add_columns(row, w, coarse[k : k + cw], cw)


@njit(cache=True, fastmath=True)
def _coarsen_horizontal(
    v: Array, h: int, w: int, coarse: Array, ch: int, cw: int, scratch: Array
) -> None:
    s = w + 2
    pairs = (w - 1) // 2
    for i in range(h):
        k = (i + 1) * s + 1
        row = scratch[k : k + s]
        _series(v[k:], v[k + 1 :], 2, row, pairs)
        if w % 2 == 0:
            row[cw - 2] = v[k + w - 2]
    for ci in range(ch):
        f, before, after = _row_weights(ci, h)
        k = (ci + 1) * (cw + 2) + 1
        _add_rows(scratch, s, f, before, after, coarse[k : k + cw], cw - 1)


@njit(cache=True, fastmath=True, error_model="numpy")
def _invert_diagonal(v: Array, h: Array, inverse: Array, s: int) -> None:
    n = v.size - 2 * s
    tiny = v.dtype.type(1e-30)  # nodes of the ring have no spring; masks keep them in place
    v_up, v_down, h_left, h_right = v[:n], v[s:], h[s - 1 :], h[s:]
    out = inverse[s:]
    for k in range(n):
        out[k] = 1 / (tiny + v_up[k] + v_down[k] + h_left[k] + h_right[k])


@njit(cache=True)
def prepare(planes: Array, sizes: Array, first: int, row: Array) -> None:
    """Compute coarser springs and all inverse diagonals from the springs of level ``first``."""
    for level in range(first, len(sizes) - 1):
        h, w, begin = sizes[level]
        end = sizes[level + 1, 2]
        v, across = planes[VERTICAL, begin:end], planes[HORIZONTAL, begin:end]
        _invert_diagonal(v, across, planes[INVERSE, begin:end], w + 2)
        if level < len(sizes) - 2:
            ch, cw = sizes[level + 1, 0], sizes[level + 1, 1]
            stop = sizes[level + 2, 2]
            _coarsen_vertical(v, h, w, planes[VERTICAL, end:stop], ch, cw, row)
            scratch = planes[SCRATCH, begin:end]
            _coarsen_horizontal(across, h, w, planes[HORIZONTAL, end:stop], ch, cw, scratch)
            scratch[:] = 0


@njit(cache=True, fastmath=True)
def _relax_from_zero(out: Array, b: Array, inverse: Array, mask: Array) -> None:
    for k in range(out.size):
        out[k] = mask[k] * inverse[k] * b[k]


@njit(cache=True)
def v_cycle(planes: Array, masks: Array, sizes: Array, first: int, axis: int, row: Array) -> None:
    """Fill SOLUTION of level ``first`` by one symmetric V(1, 1) cycle from zero for its RIGHT.

    RIGHT has to be zero at nodes of this coordinate that are fixed.
    """
    last = len(sizes) - 2
    # one loop goes down and up again, so that each kernel is compiled into one place only
    for visit in range(2 * (last - first) + 1):
        level = min(first + visit, 2 * last - first - visit)
        h, w, begin = sizes[level]
        end = sizes[level + 1, 2]
        v, across = planes[VERTICAL, begin:end], planes[HORIZONTAL, begin:end]
        inverse, b = planes[INVERSE, begin:end], planes[RIGHT, begin:end]
        x, other = planes[SOLUTION, begin:end], planes[SCRATCH, begin:end]
        upwards = visit > last - first
        if upwards:
            ch, cw = sizes[level + 1, 0], sizes[level + 1, 1]
            coarse = planes[SOLUTION, end : sizes[level + 2, 2]]
            _prolong(coarse, ch, cw, x, h, w, other)
            other[:] = 0
            sweeps = 2
        else:
            _relax_from_zero(other, b, inverse, masks[axis, 0, begin:end])
            # the black half-sweep follows; on the coarsest level many, in an order that mirrors
            # itself, to keep the cycle symmetric
            sweeps = 1 if level < last else 2 * (max(h, w) // 2 * 2 + 4) - 1
        for t in range(sweeps):
            black = t == 0 if upwards else (t % 2 == 0) == (t < sweeps // 2 + 1)
            mask = masks[axis, 1 if black else 0, begin:end]
            source, goal = (x, other) if (t % 2 == 0) == upwards else (other, x)
            _relax(source, goal, b, v, across, inverse, mask, w + 2)
        if not upwards and level < last:
            # black nodes are at rest: only red ones have a residual
            _residual(x, other, b, v, across, masks[axis, 0, begin:end], w + 2)
            ch, cw = sizes[level + 1, 0], sizes[level + 1, 1]
            _restrict(other, h, w, planes[RIGHT, end : sizes[level + 2, 2]], ch, cw, row)


@njit(cache=True, fastmath=True)
def dot(a: Array, b: Array) -> float:
    total = 0.0
    for k in range(a.size):
        total += a[k] * b[k]
    return total


@njit(cache=True, fastmath=True)
def conjugate_gradients(
    x: Array, residual: Array, planes: Array, masks: Array, sizes: Array, first: int, axis: int,
    row: Array, cycles: int, tolerance: float,
) -> None:  # fmt: skip
    """Improve ``x`` by at most ``cycles`` preconditioned steps; ``residual`` follows.

    ``first`` is 0, the finest level. Stops as soon as a step moves no node by more than
    ``tolerance`` of the largest coordinate.
    """
    end = sizes[1, 2]
    s = sizes[0, 1] + 2
    v, across = planes[VERTICAL, :end], planes[HORIZONTAL, :end]
    b, z, moved = planes[RIGHT, :end], planes[SOLUTION, :end], planes[SCRATCH, :end]
    direction, zero = np.zeros_like(x), np.zeros_like(x)
    free = masks[axis, 0, :end] + masks[axis, 1, :end]
    power = 0.0
    for _ in range(cycles):
        copy(residual, b)
        v_cycle(planes, masks, sizes, first, axis, row)
        new_power = dot(residual, z)
        if not new_power > 0.0:
            break
        share = x.dtype.type(new_power / power if power > 0.0 else 0.0)
        power = new_power
        for k in range(end):
            direction[k] = z[k] + share * direction[k]
        _residual(direction, moved, zero, v, across, free, s)
        curvature = -dot(direction, moved)
        if not curvature > 0.0:
            break
        step = x.dtype.type(power / curvature)
        largest = x.dtype.type(0)
        change = x.dtype.type(0)
        for k in range(end):
            x[k] += step * direction[k]
            residual[k] += step * moved[k]
            largest = max(largest, abs(x[k]))
            change = max(change, abs(step * direction[k]))
        moved[:] = 0
        if change <= tolerance * largest:
            break


@njit(cache=True)
def workspace(sizes: Array, like: Array) -> Any:
    """Planes of all levels, all zero, and scratch for one row."""
    total = sizes[-1, 2]
    return np.zeros((PLANES, total), like.dtype), np.empty(sizes[0, 1] + 2, like.dtype)


@njit(cache=True, nogil=True)
def solve_springs(
    vertical: Array, horizontal: Array, x: Array, masks: Array, sizes: Array, cycles: int,
    tolerance: float,
) -> None:  # fmt: skip
    """Bring springs to rest: improve both coordinates ``x (2, h, w)`` in place.

    ``vertical (h - 1, w)`` and ``horizontal (h, w - 1)`` are the stiffnesses; the fixed sides of
    ``x`` are kept. Stops after ``cycles`` steps, or as soon as a step moves no node by more than
    ``tolerance`` of the largest coordinate.
    """
    h, w = x.shape[1], x.shape[2]
    s, first = w + 2, sizes[0, 2]  # a constant 0 would be compiled as a case of its own
    planes, row = workspace(sizes, x)
    end = sizes[1, 2]
    for i in range(h):
        for j in range(w):
            k = (i + 1) * s + j + 1
            if i < h - 1:
                planes[VERTICAL, k] = vertical[i, j]
            if j < w - 1:
                planes[HORIZONTAL, k] = horizontal[i, j]
    prepare(planes, sizes, first, row)
    for axis in range(2):
        y, zero, residual = np.zeros(end, x.dtype), np.zeros(end, x.dtype), np.zeros(end, x.dtype)
        free = masks[axis, 0, :end] + masks[axis, 1, :end]
        for i in range(h):
            for j in range(w):
                y[(i + 1) * s + j + 1] = x[axis, i, j]
        _residual(y, residual, zero, planes[VERTICAL, :end], planes[HORIZONTAL, :end], free, s)
        conjugate_gradients(y, residual, planes, masks, sizes, first, axis, row, cycles, tolerance)
        for i in range(h):
            for j in range(w):
                x[axis, i, j] = y[(i + 1) * s + j + 1]
