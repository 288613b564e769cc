"""CPU kernels of equal-density sampling: the placement of the samples and its gradient.

Positions are stored as offsets from the uniform grid, which keeps them exact if nothing pulls, in
the flat ringed planes of :mod:`._multigrid_numba`. For offsets the right side is the springs' pull
on the uniform grid: for rows ``1 / (h - 1)`` apart, ``(vertical[k] - vertical[k - stride]) /
(h - 1)``.
"""

from typing import Any

import numpy as np
from numba import njit

from frugalseg.sampling._multigrid_numba import (
    HORIZONTAL,
    RIGHT,
    SCRATCH,
    SOLUTION,
    VERTICAL,
    _residual,
    copy,
    dot,
    prepare,
    v_cycle,
    workspace,
)

Array = np.ndarray[Any, np.dtype[Any]]


@njit(cache=True, fastmath=True, error_model="numpy")
def _middles(
    field: Any, r0: Array, r1: Array, c0: Array, c1: Array, cell: Array, a: Array, b: Array
) -> None:
    """The cell that holds the middle of each pair, and its place in it; cells tile the square."""
    rows, columns = field.shape
    f = r0.dtype.type
    half, zero = f(0.5), f(0)
    scale_row, scale_col = half * f(rows), half * f(columns)
    last_row, last_col = f(rows - 1), f(columns - 1)
    top, left, stride = np.int32(rows - 2), np.int32(columns - 2), np.int32(columns)
    for k in range(a.size):
        y = min(max((r0[k] + r1[k]) * scale_row - half, zero), last_row)
        x = min(max((c0[k] + c1[k]) * scale_col - half, zero), last_col)
        i = min(np.int32(y), top)
        j = min(np.int32(x), left)
        a[k] = y - f(i)
        b[k] = x - f(j)
        cell[k] = i * stride + j


@njit(cache=True, fastmath=True)
def _bilinear(field: Array, columns: int, cell: Array, a: Array, b: Array, out: Array) -> None:
    """Read the flat ``field`` bilinearly at the places that :func:`_middles` gave."""
    right, below, across = field[1:], field[columns:], field[columns + 1 :]
    for k in range(a.size):
        q = np.uint32(cell[k])
        high, low = field[q], below[q]
        high += b[k] * (right[q] - high)
        low += b[k] * (across[q] - low)
        out[k] = high + a[k] * (low - high)


@njit(cache=True)
def _clear_columns(plane: Array, h: int, w: int, last: int) -> None:
    """Zero the ring's columns of a plane, from ``last`` on."""
    s = w + 2
    for i in range(h + 2):
        plane[i * s] = 0
        for j in range(last, s):
            plane[i * s + j] = 0


@njit(cache=True)
def _read_springs(
    rho: Array, row: Array, col: Array, h: int, w: int, v: Array, across: Array,
    cell: Array, a: Array, b: Array,
) -> None:  # fmt: skip
    """Stiffness of each pair: rho at the pair's middle."""
    s = w + 2
    flat = rho.ravel()
    for step, count, out, last in ((s, h - 1, v, w + 1), (1, h, across, w)):
        n = count * s
        t = s + step
        cells, below, beside = cell[:n], a[:n], b[:n]
        _middles(rho, row[s : s + n], row[t : t + n], col[s : s + n], col[t : t + n],
                 cells, below, beside)  # fmt: skip
        _bilinear(flat, rho.shape[1], cells, below, beside, out[s : s + n])
        _clear_columns(out, h, w, last)


@njit(cache=True, fastmath=True)
def _pull_of_offsets(
    offset: Array, out: Array, v: Array, across: Array, free: Array, h: int, w: int, axis: int,
    right: Array,
) -> None:  # fmt: skip
    """``out`` is the pull of all springs on the free nodes of ``offset``; ``right`` is scratch."""
    s = w + 2
    n = offset.size - 2 * s
    if axis == 0:
        gap = v.dtype.type(1 / (h - 1))
        before, after = v[:n], v[s:]
    else:
        gap = v.dtype.type(1 / (w - 1))
        before, after = across[s - 1 :], across[s:]
    b = right[s:]
    for k in range(n):
        b[k] = gap * (after[k] - before[k])
    _residual(offset, out, right, v, across, free, s)


@njit(cache=True)
def _enlarge(x: Array, coarse: Any, out: Array, size: Any) -> None:
    """Bilinear from ``coarse`` to ``size`` nodes, both spanning the unit square."""
    s, t = coarse[1] + 2, size[1] + 2
    for i in range(size[0]):
        y = i * (coarse[0] - 1) / (size[0] - 1)
        i0 = min(int(y), coarse[0] - 2)
        a = y - i0
        for j in range(size[1]):
            z = j * (coarse[1] - 1) / (size[1] - 1)
            j0 = min(int(z), coarse[1] - 2)
            b = z - j0
            k = (i0 + 1) * s + j0 + 1
            high = (1 - b) * x[k] + b * x[k + 1]
            low = (1 - b) * x[k + s] + b * x[k + s + 1]
            out[(i + 1) * t + j + 1] = (1 - a) * high + a * low


@njit(cache=True, fastmath=True)
def _add(x: Array, theta: float, y: Array, out: Array) -> None:
    """``out = x + theta * y``."""
    t = x.dtype.type(theta)
    for k in range(x.size):
        out[k] = x[k] + t * y[k]


@njit(cache=True, fastmath=True)
def _folds(r: Array, c: Array, h: int, w: int) -> bool:
    """Whether any cell is not strictly convex."""
    s = w + 2
    for i in range(1, h):
        k = i * s + 1
        r0, r1, c0, c1 = r[k : k + w], r[k + s : k + s + w], c[k : k + w], c[k + s : k + s + w]
        r2, r3, c2, c3 = r0[1:], r1[1:], c0[1:], c1[1:]
        area = r.dtype.type(1)
        for j in range(w - 1):
            # sides of the quadrilateral: top, bottom, left, right
            ty, tx, by, bx = r2[j] - r0[j], c2[j] - c0[j], r3[j] - r1[j], c3[j] - c1[j]
            ly, lx, ry, rx = r1[j] - r0[j], c1[j] - c0[j], r3[j] - r2[j], c3[j] - c2[j]
            area = min(area, min(tx * ly - ty * lx, tx * ry - ty * rx))
            area = min(area, min(bx * ly - by * lx, bx * ry - by * rx))
        if not area > 0:
            return True
    return False


@njit(cache=True, nogil=True)
def equal_density(
    rho: Array, out: Array, sizes: Array, masks: Array, uniform: Array, steps: int, damping: float
) -> bool:  # fmt: skip
    """Fill ``out (h, w, 2)`` with the placement; return whether a cell is folded.

    Nested iteration: damped steps on each grid from a coarse one to the finest, each with its own
    ``rho (levels, a, b)``. A single V-cycle replaces the solve of each step: the springs change
    with every step, and the solution follows gradually. ``sizes, masks, uniform`` are those of
    :func:`grid_levels`.
    """
    planes, scratch = workspace(sizes, rho)
    offsets = np.zeros((2, sizes[-1, 2]), rho.dtype)
    positions = uniform.copy()
    end = sizes[1, 2]
    cell = np.empty(end, np.int32)
    a, b = np.empty(end, rho.dtype), np.empty(end, rho.dtype)
    start = len(rho) - 1
    for level in range(start, -1, -1):
        h, w, begin = sizes[level]
        end = sizes[level + 1, 2]
        if level < start:
            coarse = (sizes[level + 1, 0], sizes[level + 1, 1])
            for axis in range(2):
                _enlarge(offsets[axis, end : sizes[level + 2, 2]], coarse,
                         offsets[axis, begin:end], (h, w))  # fmt: skip
        v, across = planes[VERTICAL, begin:end], planes[HORIZONTAL, begin:end]
        for _ in range(steps):
            for axis in range(2):
                _add(offsets[axis, begin:end], 1.0, uniform[axis, begin:end],
                     positions[axis, begin:end])  # fmt: skip
            _read_springs(rho[level], positions[0, begin:end], positions[1, begin:end], h, w, v,
                          across, cell, a, b)  # fmt: skip
            prepare(planes, sizes, level, scratch)
            for axis in range(2):
                x = offsets[axis, begin:end]
                free = masks[axis, 0, begin:end] + masks[axis, 1, begin:end]
                other = planes[SCRATCH, begin:end]
                _pull_of_offsets(x, planes[RIGHT, begin:end], v, across, free, h, w, axis, other)
                other[:] = 0
                v_cycle(planes, masks, sizes, level, axis, scratch)
                _add(x, damping, planes[SOLUTION, begin:end], x)
    end = sizes[1, 2]
    h, w = out.shape[0], out.shape[1]
    for axis in range(2):
        x = positions[axis, :end]
        _add(offsets[axis, :end], 1.0, uniform[axis, :end], x)
        for i in range(h):
            for j in range(w):
                out[i, j, axis] = x[(i + 1) * (w + 2) + j + 1]
    folded: bool = _folds(positions[0, :end], positions[1, :end], h, w)
    return folded


@njit(cache=True, fastmath=True)
def _slopes(field: Any, cell: Array, a: Array, b: Array, to_row: Array, to_col: Array) -> None:
    """Derivative of half the bilinear reading by row and column, 0 beyond the outermost centres."""
    rows, columns = field.shape
    flat = field.ravel()
    right, below, across = flat[1:], flat[columns:], flat[columns + 1 :]
    f = field.dtype.type
    down, along = f(0.5) * f(rows), f(0.5) * f(columns)
    for k in range(a.size):
        q = np.uint32(cell[k])
        here, beside, under, far = flat[q], right[q], below[q], across[q]
        y = a[k] + f(cell[k] // np.int32(columns))
        x = b[k] + f(cell[k] % np.int32(columns))
        inside_row = f(1) if 0 < y < rows - 1 else f(0)
        inside_col = f(1) if 0 < x < columns - 1 else f(0)
        to_row[k] = inside_row * down * (under - here + b[k] * (far - beside - under + here))
        to_col[k] = inside_col * along * (beside - here + a[k] * (far - under - beside + here))


@njit(cache=True, fastmath=True)
def _energy_slope(x: Array, y: Array, step: int, s: int, out: Array) -> None:
    """``out[k] = -sum over coordinates of (y_k - y_k') (x_k - x_k')`` for pairs ``step`` apart."""
    n = out.size - 2 * s
    x0, x1, x2, x3 = x[0, s:], x[0, s + step :], x[1, s:], x[1, s + step :]
    y0, y1, y2, y3 = y[0, s:], y[0, s + step :], y[1, s:], y[1, s + step :]
    o = out[s:]
    for k in range(n):
        o[k] = -((y1[k] - y0[k]) * (x1[k] - x0[k]) + (y3[k] - y2[k]) * (x3[k] - x2[k]))


@njit(cache=True, fastmath=True)
def _gather_pulls(
    base: Array, weight_v: Array, weight_h: Array, to_v: Array, to_h: Array, s: int, out: Array
) -> None:
    """``base`` plus the pulls of each node's four pairs."""
    n = base.size - 2 * s
    vw, vt, vw_up, vt_up = weight_v[s:], to_v[s:], weight_v[:n], to_v[:n]
    hw, ht, hw_left, ht_left = weight_h[s:], to_h[s:], weight_h[s - 1 :], to_h[s - 1 :]
    o, g = out[s:], base[s:]
    for k in range(n):
        down, up = vw[k] * vt[k], vw_up[k] * vt_up[k]
        right, left = hw[k] * ht[k], hw_left[k] * ht_left[k]
        o[k] = g[k] + (down + up) + (right + left)


@njit(cache=True)
def _scatter(weight: Array, cell: Array, a: Array, b: Array, columns: int, out: Array) -> None:
    """Adjoint of the bilinear reading."""
    for k in range(a.size):
        q, e = cell[k], weight[k]
        if e != 0:
            low = a[k] * e
            high = e - low
            out[q] += (1 - b[k]) * high
            out[q + 1] += b[k] * high
            out[q + columns] += (1 - b[k]) * low
            out[q + columns + 1] += b[k] * low


@njit(cache=True, nogil=True)
def equal_density_gradient(
    rho: Array, phi: Array, gradient: Array, out: Array, sizes: Array, masks: Array,
    damping: float, limit: int, tolerance: float,
) -> None:  # fmt: skip
    """Add to ``out (a, b)`` the gradient by rho of ``sum of gradient * phi`` at a fixed point.

    With ``phi = step(phi, rho)``, J the step's Jacobian by phi, A the springs' matrix and K the
    change of their pull with phi: ``u = gradient + J^T u`` and ``A y = u`` make one linear system,
    ``(A - K) y = gradient``. It is solved by the damped iteration that found phi, with a V-cycle
    for A at each step; then the derivative of the springs' energy, weighted by y, goes to rho.
    """
    h, w = phi.shape[0], phi.shape[1]
    s, end = w + 2, sizes[1, 2]
    level = sizes[0, 2]  # a constant 0 would be compiled as a case of its own
    planes, scratch = workspace(sizes, rho)
    v, across = planes[VERTICAL, :end], planes[HORIZONTAL, :end]
    other, right, z = planes[SCRATCH, :end], planes[RIGHT, :end], planes[SOLUTION, :end]
    x, goal = np.zeros((2, end), rho.dtype), np.zeros((2, end), rho.dtype)
    for i in range(h):
        for j in range(w):
            for axis in range(2):
                x[axis, (i + 1) * s + j + 1] = phi[i, j, axis]
                goal[axis, (i + 1) * s + j + 1] = gradient[i, j, axis]
    cell = np.empty((2, end), np.int32)
    place = np.empty((2, 2, end), rho.dtype)
    slope = np.zeros((2, 2, end), rho.dtype)  # of vertical and horizontal pairs, by row and column
    for kind, step, count, last in ((0, s, h - 1, w + 1), (1, 1, h, w)):
        n = count * s
        cells, a, b = cell[kind, :n], place[kind, 0, :n], place[kind, 1, :n]
        _middles(rho, x[0, s : s + n], x[0, s + step : s + step + n],
                 x[1, s : s + n], x[1, s + step : s + step + n], cells, a, b)  # fmt: skip
        spring = planes[VERTICAL + kind, :end]
        _bilinear(rho.ravel(), rho.shape[1], cells, a, b, spring[s : s + n])
        _slopes(rho, cells, a, b, slope[kind, 0, s : s + n], slope[kind, 1, s : s + n])
        _clear_columns(spring, h, w, last)
        _clear_columns(slope[kind, 0], h, w, last)
        _clear_columns(slope[kind, 1], h, w, last)
    prepare(planes, sizes, level, scratch)
    y, moved = np.zeros((2, end), rho.dtype), np.zeros((2, end), rho.dtype)
    weight, start = np.zeros((2, end), rho.dtype), np.zeros((2, end), rho.dtype)
    first = 0.0
    for turn in range(limit):
        for kind, step in ((0, s), (1, 1)):
            _energy_slope(x, y, step, s, weight[kind])
        size = 0.0
        for axis in range(2):
            free = masks[axis, 0, :end] + masks[axis, 1, :end]
            _gather_pulls(
                goal[axis], weight[0], weight[1], slope[0, axis], slope[1, axis], s, other
            )
            _residual(y[axis], right, other, v, across, free, s)
            other[:] = 0
            v_cycle(planes, masks, sizes, level, axis, scratch)
            copy(z, moved[axis])
            size += dot(z, z)
        if turn == 0:
            first = size
            _add(start.ravel(), 1.0, moved.ravel(), start.ravel())
        if not size <= 1e6 * first:  # not a fixed point: take the gradient of a single step
            copy(start.ravel(), y.ravel())
            break
        _add(y.ravel(), damping, moved.ravel(), y.ravel())
        if size <= tolerance * tolerance * dot(y.ravel(), y.ravel()):
            break
    for kind, step, count, last in ((0, s, h - 1, w + 1), (1, 1, h, w)):
        n = count * s
        _energy_slope(x, y, step, s, weight[kind])
        _clear_columns(weight[kind], h, w, last)
        _scatter(weight[kind, s : s + n], cell[kind, :n], place[kind, 0, :n], place[kind, 1, :n],
                 rho.shape[1], out.ravel())  # fmt: skip
