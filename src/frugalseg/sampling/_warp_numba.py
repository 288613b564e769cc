"""CPU kernel of antialiased sampling: exact means over boxes of pixels."""

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, np.dtype[Any]]


@njit(cache=True, inline="always")
def _extent(low: float, high: float, length: int) -> Any:
    """Clip ``[low, high]`` to the image; also the pixels it touches (p covers [p - .5, p + .5])."""
    low = max(low, -0.5)
    high = min(high, length - 0.5)
    first = min(max(int(np.floor(low + 0.5)), 0), length - 1)
    last = min(max(int(np.ceil(high + 0.5)) - 1, first), length - 1)
    return low, high, first, last


@njit(cache=True, inline="always")
def _weight(p: int, low: float, high: float) -> float:
    """Share of pixel ``p`` inside ``[low, high]``."""
    return max(min(p + 0.5, high) - max(p - 0.5, low), 0.0)


@njit(cache=True, fastmath=True)
def _add_row(sums: Array, pixels: Array, weight: float) -> None:
    dtype = sums.dtype.type
    w = dtype(weight)
    for k in range(sums.size):
        sums[k] += w * dtype(pixels[k])


@njit(cache=True, fastmath=True)
def _add_whole_row(sums: Array, pixels: Array) -> None:
    dtype = sums.dtype.type
    for k in range(sums.size):
        sums[k] += dtype(pixels[k])


@njit(cache=True, fastmath=True, nogil=True)
def box_means(
    flat: Array, stride: int, shape: Any, centre: Array, extent: Array, out: Array, scale: float,
    row: Array, start: int, stop: int,
) -> None:  # fmt: skip
    """Mean of an image over the box around each sample, times ``scale``.

    The rows of the box are added up first, whole rows without a weight, then the columns of that
    sum: so nearly all of the work is on pixels side by side in memory.

    ``flat`` holds the image's rows of ``shape = (H, W, C)`` values, ``stride`` values apart;
    ``centre`` and ``extent (h, w, 2)`` in pixels (rows, columns); ``out (C, h, w)``, of which rows
    ``start`` to ``stop - 1`` are filled. Boxes are clipped to the image. ``row`` is scratch for
    ``W * C + 32`` values; its type is that of the sums.
    """
    height, width, channels = shape
    for i in range(start, stop):
        for j in range(centre.shape[1]):
            half = 0.5 * extent[i, j, 0]
            top, bottom, y0, y1 = _extent(centre[i, j, 0] - half, centre[i, j, 0] + half, height)
            half = 0.5 * extent[i, j, 1]
            left, right, x0, x1 = _extent(centre[i, j, 1] - half, centre[i, j, 1] + half, width)
            n = (x1 - x0 + 1) * channels
            # round up to whole vectors if the image goes on; sums beyond the box are not read
            m = min((n + 31) // 32 * 32, flat.size - y1 * stride - x0 * channels)
            sums = row[:m]
            sums[:] = 0
            rows = 0.0
            for y in range(y0, y1 + 1):
                begin = y * stride + x0 * channels
                weight = _weight(y, top, bottom)
                rows += weight
                if weight == 1.0:
                    _add_whole_row(sums, flat[begin : begin + m])
                else:
                    _add_row(sums, flat[begin : begin + m], weight)
            first, last = _weight(x0, left, right), _weight(x1, left, right)
            columns = first + (last + (x1 - x0 - 1) if x1 > x0 else 0.0)
            for c in range(channels):
                total = first * sums[c]
                for k in range(channels + c, n - channels, channels):
                    total += sums[k]
                if x1 > x0:
                    total += last * sums[n - channels + c]
                out[c, i, j] = scale * total / (rows * columns)
