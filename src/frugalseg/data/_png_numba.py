"""CPU kernel that undoes the filters of PNG rows."""

from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, np.dtype[Any]]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def unfilter(rows: Array, above: Array, step: int) -> None:
    """Undo the filters of rows in place (PNG specification, third edition, 9.2).

    Args:
        rows: (n, 1 + length) uint8: the filter of each row, which becomes 0, and its bytes.
        above: (length,) uint8, the plain row above the first; zeros if there is none.
        step: bytes from a pixel to the next.
    """
    for r in range(rows.shape[0]):
        kind, row = rows[r, 0], rows[r, 1:]
        rows[r, 0] = 0
        if kind == 1:
            for i in range(step, row.size):
                row[i] += row[i - step]
        elif kind == 2:
            for i in range(row.size):
                row[i] += above[i]
        elif kind == 3:
            for i in range(row.size):
                left = np.int64(row[i - step]) if i >= step else 0
                row[i] += np.uint8((left + above[i]) >> 1)
        elif kind == 4:
            for i in range(min(step, row.size)):
                row[i] += above[i]
            for i in range(step, row.size):
                a, b, c = np.int64(row[i - step]), np.int64(above[i]), np.int64(above[i - step])
                to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                nearest = a if to_a <= to_b and to_a <= to_c else (b if to_b <= to_c else c)
                row[i] += np.uint8(nearest)
        elif kind > 4:
            raise ValueError("a row has an unknown filter")
        above = row
