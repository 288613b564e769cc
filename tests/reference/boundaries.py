"""Boundaries as slow loops from their definitions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def slow_boundaries(
    labels: NDArray[np.int64], targets: Sequence[int] | None, ignore_index: int
) -> NDArray[np.bool_]:
    marked = np.zeros(labels.shape, bool)
    _, height, width = labels.shape
    for n, r, c in np.ndindex(labels.shape):
        own = labels[n, r, c]
        if own == ignore_index or (targets is not None and own not in targets):
            continue
        for r2, c2 in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
            if 0 <= r2 < height and 0 <= c2 < width and labels[n, r2, c2] != own:
                marked[n, r, c] = True
    return marked


def slow_node_pixel(index: int, nodes: int, pixels: int) -> int:
    """The pixel of a node of the uniform grid, halves upwards."""
    return int(np.floor(index / (nodes - 1) * (pixels - 1) + 0.5 + 1e-9))


def slow_nearest_distances(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.int64]:
    """Squared distance in pixels from each node to the nearest marked pixel of one mask."""
    places = np.argwhere(mask)
    result = np.zeros(size, np.int64)
    for i, j in np.ndindex(size):
        node = (
            slow_node_pixel(i, size[0], mask.shape[0]),
            slow_node_pixel(j, size[1], mask.shape[1]),
        )
        result[i, j] = ((places - node) ** 2).sum(1).min()
    return result


def slow_area_average(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float64]:
    """Share of marked pixels in each cell of a grid; cells reach outwards to whole pixels."""
    height, width = mask.shape
    result = np.zeros(size)
    for i, j in np.ndindex(size):
        rows = slice(i * height // size[0], -(-(i + 1) * height // size[0]))
        cols = slice(j * width // size[1], -(-(j + 1) * width // size[1]))
        result[i, j] = mask[rows, cols].mean()
    return result
