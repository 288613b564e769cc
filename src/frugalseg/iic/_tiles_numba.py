"""CPU kernels of the displaced joint: transforms of small tiles, and products of their spectra.

Everything is laid out so that the innermost loop runs over ``SIDE`` neighbours in memory without
shuffling: real and imaginary parts are separate, transforms work on whole rows, and four tiles lie
side by side so that a product of spectra reads and writes its sum once for all four.

Spectra are flat: ``[column frequency][group of 4 tiles][cluster][tile of the group][part][row
frequency]``, column frequencies 0 to ``SIDE / 2`` only, as the maps are real. Sums of products are
``[column frequency][cluster][cluster][part][row frequency]``.
"""

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 64  # of a tile with its margin: a power of 4
HALF = SIDE // 2 + 1
GROUP = 4  # tiles side by side
PAIR = 2 * SIDE  # real and imaginary parts of a row
CELL = GROUP * PAIR
PITCH = SIDE + 16  # from row to row; without the gap, rows would share a few lines of the cache
PLANE = SIDE * PITCH
LANES = 16  # columns transformed together: all stages then stay in the first cache


@njit(inline="always", fastmath=True)
def _stage(x: Array, y: Array, turns: Array, lane: int, n: int, s: int) -> None:
    """One step of Stockham's transform with radix 4 of ``LANES`` columns."""
    for j in range(n // 4):
        c1, s1 = turns[0, SIDE // n * j], turns[1, SIDE // n * j]
        c2, s2 = turns[0, 2 * (SIDE // n) * j], turns[1, 2 * (SIDE // n) * j]
        c3, s3 = turns[0, 3 * (SIDE // n) * j], turns[1, 3 * (SIDE // n) * j]
        for q in range(s):
            i = (q + s * j) * PITCH + lane
            o = (q + s * 4 * j) * PITCH + lane
            for k in range(LANES):
                ar, br = x[i + k], x[i + k + SIDE // 4 * PITCH]
                cr, dr = x[i + k + SIDE // 2 * PITCH], x[i + k + 3 * SIDE // 4 * PITCH]
                ai, bi = x[i + k + PLANE], x[i + k + SIDE // 4 * PITCH + PLANE]
                ci = x[i + k + SIDE // 2 * PITCH + PLANE]
                di = x[i + k + 3 * SIDE // 4 * PITCH + PLANE]
                er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
                gr, gi, hr, hi = br + dr, bi + di, br - dr, bi - di
                y[o + k], y[o + k + PLANE] = er + gr, ei + gi
                ur, ui, vr, vi, wr, wi = fr + hi, fi - hr, er - gr, ei - gi, fr - hi, fi + hr
                y[o + k + s * PITCH] = ur * c1 - ui * s1
                y[o + k + s * PITCH + PLANE] = ur * s1 + ui * c1
                y[o + k + 2 * s * PITCH] = vr * c2 - vi * s2
                y[o + k + 2 * s * PITCH + PLANE] = vr * s2 + vi * c2
                y[o + k + 3 * s * PITCH] = wr * c3 - wi * s3
                y[o + k + 3 * s * PITCH + PLANE] = wr * s3 + wi * c3


@njit(cache=True, fastmath=True)
def _transform_columns(a: Array, b: Array, turns: Array) -> None:
    """Transform each column of ``a`` into ``b``; ``a`` is overwritten."""
    for lane in range(0, SIDE, LANES):
        _stage(a, b, turns, lane, 64, 1)
        _stage(b, a, turns, lane, 16, 4)
        _stage(a, b, turns, lane, 4, 16)


@njit(cache=True, fastmath=True)
def _transform(a: Array, b: Array, turns: Array) -> None:
    """Transform ``a`` in both directions, transposed, into ``b``; ``a`` is overwritten."""
    _transform_columns(a, b, turns)
    for plane in range(2):
        for j in range(0, SIDE, 8):
            for k in range(SIDE):
                for m in range(8):
                    a[plane * PLANE + k * PITCH + j + m] = b[plane * PLANE + (j + m) * PITCH + k]
    _transform_columns(a, b, turns)


@njit(cache=True, fastmath=True)
def _load(out: Array, image: Array, weight: Array, box: Any, used: Any) -> None:
    """Copy a window of ``image`` times ``weight`` into a plane; zeros outside of both.

    ``box = (y, x)`` is the window's first pixel, perhaps outside; ``used`` its rows and columns.
    """
    height, width = image.shape
    y0, x0 = box
    left, right = max(0, -x0), min(used[1], width - x0)
    for y in range(SIDE):
        row = out[y * PITCH : y * PITCH + SIDE]
        row[:] = 0
        if y < used[0] and 0 <= y0 + y < height and right > left:
            target, source = row[left:right], image[y0 + y, x0 + left : x0 + right]
            if weight.shape[0]:
                by = weight[y0 + y, x0 + left : x0 + right]
                for x in range(target.size):
                    target[x] = source[x] * by[x]
            else:
                for x in range(target.size):
                    target[x] = source[x]


@njit(cache=True, fastmath=True)
def _add(out: Array, plane: Array, weight: Array, box: Any, used: Any) -> None:
    """The adjoint of :func:`_load`: add a plane times ``weight`` to a window of ``out``."""
    height, width = out.shape
    y0, x0 = box
    left, right = max(0, -x0), min(used[1], width - x0)
    for y in range(max(0, -y0), min(used[0], height - y0)):
        if right > left:
            row = plane[y * PITCH : y * PITCH + SIDE][left:right]
            target = out[y0 + y, x0 + left : x0 + right]
            if weight.shape[0]:
                by = weight[y0 + y, x0 + left : x0 + right]
                for x in range(row.size):
                    target[x] += row[x] * by[x]
            else:
                for x in range(row.size):
                    target[x] += row[x]


@njit(cache=True, fastmath=True)
def _part(re: Array, im: Array, re_o: Array, im_o: Array, x: Array, y: Array) -> None:
    """Twice the spectra ``x`` and ``y`` of two real tiles from that of ``x + iy``.

    ``re, im``: parts at a column frequency, ``re_o, im_o`` at the opposite one.
    """
    x[0], x[SIDE] = re[0] + re_o[0], im[0] - im_o[0]
    y[0], y[SIDE] = im[0] + im_o[0], re_o[0] - re[0]
    for k in range(1, SIDE):
        r, i = re_o[SIDE - k], im_o[SIDE - k]
        x[k], x[k + SIDE] = re[k] + r, im[k] - i
        y[k], y[k + SIDE] = im[k] + i, r - re[k]


@njit(cache=True, fastmath=True)
def _join(u: Array, v: Array, re: Array, im: Array, re_o: Array, im_o: Array) -> None:
    """Spectrum of ``x + iy`` from those of ``x`` and ``y``: the inverse of :func:`_part`."""
    re_o[0], im_o[0] = u[0] + v[SIDE], v[0] - u[SIDE]
    for j in range(1, SIDE):
        r, i, s, t = u[j], u[j + SIDE], v[j], v[j + SIDE]
        re_o[SIDE - j], im_o[SIDE - j] = r + t, s - i
    for j in range(SIDE):  # last, as it is the right one if a frequency is its own opposite
        re[j], im[j] = u[j] - v[j + SIDE], u[j + SIDE] + v[j]


@njit(cache=True, fastmath=True, nogil=True)
def spectra(
    p: Array, q: Array, weight: Array, tiles: Array, inner: Any, margin: int, turns: Array,
    out_p: Array, out_q: Array, first: int, last: int,
) -> None:  # fmt: skip
    """Twice the spectra of tiles of ``p`` and, with a margin, of ``q``: one transform for both.

    ``p, q (n, k, H, W)``; ``weight (n, H, W)`` or empty; ``tiles (m, 3)``: image (-1 for a tile of
    zeros), row and column; ``inner``: rows and columns of a tile. Computes items ``first`` to
    ``last - 1`` of the ``k * m``.
    """
    count, k = len(tiles), p.shape[1]
    a, b = np.empty(2 * PLANE, p.dtype), np.empty(2 * PLANE, p.dtype)
    for item in range(first, last):
        c, t = item // count, item % count
        i, y, x = tiles[t]
        b[:] = 0
        if i >= 0:
            by = weight[i] if weight.shape[0] else weight[:, :, 0]
            _load(a[:PLANE], p[i, c], by, (y, x), inner)
            extent = (inner[0] + 2 * margin, inner[1] + 2 * margin)
            _load(a[PLANE:], q[i, c], by, (y - margin, x - margin), extent)
            _transform(a, b, turns)
        for f in range(HALF):
            o = (SIDE - f) % SIDE
            at = ((f * (count // GROUP) + t // GROUP) * k + c) * CELL + t % GROUP * PAIR
            re, im = b[f * PITCH : f * PITCH + SIDE], b[PLANE + f * PITCH :][:SIDE]
            re_o, im_o = b[o * PITCH : o * PITCH + SIDE], b[PLANE + o * PITCH :][:SIDE]
            _part(re, im, re_o, im_o, out_p[at : at + PAIR], out_q[at : at + PAIR])


@njit(cache=True, fastmath=True, nogil=True)
def add_tiles(
    in_p: Array, in_q: Array, weight: Array, tiles: Array, inner: Any, margin: int, turns: Array,
    p: Array, q: Array, first: int, last: int,
) -> None:  # fmt: skip
    """The adjoint of :func:`spectra` without its factor: add tiles to the maps ``p`` and ``q``.

    Computes clusters ``first`` to ``last - 1``: the margins of neighbouring tiles overlap, so a map
    must stay in one thread.
    """
    count, k = len(tiles), p.shape[1]
    a, b = np.empty(2 * PLANE, p.dtype), np.empty(2 * PLANE, p.dtype)
    for item in range(first * count, last * count):
        c, t = item // count, item % count
        i, y, x = tiles[t]
        if i < 0:
            continue
        # with real and imaginary parts exchanged, a transform gives its inverse
        for f in range(HALF):
            at = ((f * (count // GROUP) + t // GROUP) * k + c) * CELL + t % GROUP * PAIR
            o = (SIDE - f) % SIDE
            re, im = a[PLANE + f * PITCH :][:SIDE], a[f * PITCH : f * PITCH + SIDE]
            re_o, im_o = a[PLANE + o * PITCH :][:SIDE], a[o * PITCH : o * PITCH + SIDE]
            _join(in_p[at : at + PAIR], in_q[at : at + PAIR], re, im, re_o, im_o)
        _transform(a, b, turns)
        by = weight[i] if weight.shape[0] else weight[:, :, 0]
        extent = (inner[0] + 2 * margin, inner[1] + 2 * margin)
        _add(p[i, c], b[PLANE:], by, (y, x), inner)
        _add(q[i, c], b[:PLANE], by, (y - margin, x - margin), extent)


@njit(cache=True, fastmath=True)
def _meet3(p: Array, q: Array, out: Array) -> None:
    """Add ``conj(p) q`` of four tiles, for one cluster of p and three of q."""
    for k in range(SIDE):
        r0, i0, r1, i1 = out[k], out[k + SIDE], out[k + PAIR], out[k + PAIR + SIDE]
        r2, i2 = out[k + 2 * PAIR], out[k + 2 * PAIR + SIDE]
        for t in range(GROUP):
            u, v = p[t * PAIR + k], p[t * PAIR + k + SIDE]
            x, y = q[t * PAIR + k], q[t * PAIR + k + SIDE]
            r0 += u * x + v * y
            i0 += u * y - v * x
            x, y = q[t * PAIR + k + CELL], q[t * PAIR + k + CELL + SIDE]
            r1 += u * x + v * y
            i1 += u * y - v * x
            x, y = q[t * PAIR + k + 2 * CELL], q[t * PAIR + k + 2 * CELL + SIDE]
            r2 += u * x + v * y
            i2 += u * y - v * x
        out[k], out[k + SIDE], out[k + PAIR], out[k + PAIR + SIDE] = r0, i0, r1, i1
        out[k + 2 * PAIR], out[k + 2 * PAIR + SIDE] = r2, i2


@njit(cache=True, fastmath=True)
def _meet(p: Array, q: Array, out: Array) -> None:
    """Add ``conj(p) q`` of four tiles, for one cluster of each."""
    for k in range(SIDE):
        r, i = out[k], out[k + SIDE]
        for t in range(GROUP):
            u, v = p[t * PAIR + k], p[t * PAIR + k + SIDE]
            x, y = q[t * PAIR + k], q[t * PAIR + k + SIDE]
            r += u * x + v * y
            i += u * y - v * x
        out[k], out[k + SIDE] = r, i


@njit(cache=True, fastmath=True, nogil=True)
def add_products(p: Array, q: Array, sums: Array, k: int, first: int, last: int) -> None:
    """Add ``conj(p) q`` of all pairs of clusters, for column frequencies first to last - 1."""
    groups = p.size // (HALF * k * CELL)
    for f in range(first, last):
        for a in range(k):
            for b in range(k):
                if b % 3 and b < k - k % 3:
                    continue
                to = ((f * k + a) * k + b) * PAIR
                for g in range(groups):
                    x = ((f * groups + g) * k + a) * CELL
                    y = ((f * groups + g) * k + b) * CELL
                    if b < k - k % 3:
                        _meet3(p[x : x + CELL], q[y : y + 3 * CELL], sums[to : to + 3 * PAIR])
                    else:
                        _meet(p[x : x + CELL], q[y : y + CELL], sums[to : to + PAIR])


@njit(cache=True, fastmath=True)
def _back3(g: Array, p: Array, q: Array, to_p: Array, to_q: Array) -> None:
    """Add ``conj(g) q`` to ``to_p`` and ``g p`` to ``to_q``: one cluster of p and three of q."""
    for k in range(SIDE):
        a, b, c, d = g[k], g[k + SIDE], g[k + PAIR], g[k + PAIR + SIDE]
        e, f = g[k + 2 * PAIR], g[k + 2 * PAIR + SIDE]
        for t in range(GROUP):
            m = t * PAIR + k
            r, i, u, v = to_p[m], to_p[m + SIDE], p[m], p[m + SIDE]
            x, y = q[m], q[m + SIDE]
            r += a * x + b * y
            i += a * y - b * x
            to_q[m] += a * u - b * v
            to_q[m + SIDE] += a * v + b * u
            x, y = q[m + CELL], q[m + CELL + SIDE]
            r += c * x + d * y
            i += c * y - d * x
            to_q[m + CELL] += c * u - d * v
            to_q[m + CELL + SIDE] += c * v + d * u
            x, y = q[m + 2 * CELL], q[m + 2 * CELL + SIDE]
            to_p[m] = r + e * x + f * y
            to_p[m + SIDE] = i + e * y - f * x
            to_q[m + 2 * CELL] += e * u - f * v
            to_q[m + 2 * CELL + SIDE] += e * v + f * u


@njit(cache=True, fastmath=True)
def _back(g: Array, p: Array, q: Array, to_p: Array, to_q: Array) -> None:
    """The same for one cluster of each."""
    for k in range(SIDE):
        a, b = g[k], g[k + SIDE]
        for t in range(GROUP):
            m = t * PAIR + k
            u, v, x, y = p[m], p[m + SIDE], q[m], q[m + SIDE]
            to_p[m] += a * x + b * y
            to_p[m + SIDE] += a * y - b * x
            to_q[m] += a * u - b * v
            to_q[m + SIDE] += a * v + b * u


@njit(cache=True, fastmath=True, nogil=True)
def gradients(p: Array, q: Array, factors: Array, k: int, first: int, last: int) -> None:
    """Replace p by ``conj(factors) q`` and q by ``factors^T p``, summed over all pairs."""
    groups = p.size // (HALF * k * CELL)
    to_p, to_q = np.empty(k * CELL, p.dtype), np.empty(k * CELL, p.dtype)
    for part in range(first * groups, last * groups):
        x, y = p[part * k * CELL :][: k * CELL], q[part * k * CELL :][: k * CELL]
        to_p[:], to_q[:] = 0, 0
        for b in range(k):
            if b % 3 and b < k - k % 3:
                continue
            for a in range(k):
                g = factors[((part // groups * k + a) * k + b) * PAIR :]
                x_a, to_a = x[a * CELL : (a + 1) * CELL], to_p[a * CELL : (a + 1) * CELL]
                if b < k - k % 3:
                    y_b, to_b = y[b * CELL :][: 3 * CELL], to_q[b * CELL :][: 3 * CELL]
                    _back3(g[: 3 * PAIR], x_a, y_b, to_a, to_b)
                else:
                    _back(g[:PAIR], x_a, y[b * CELL :][:CELL], to_a, to_q[b * CELL :][:CELL])
        x[:] = to_p
        y[:] = to_q
