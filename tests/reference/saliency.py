"""The kernel sampler as a sum over every place and its mirror images."""

import numpy as np
from numpy.typing import NDArray


def slow_saliency_sampling(
    saliency: NDArray[np.float64], size: tuple[int, int], sigma: float
) -> NDArray[np.float64]:
    height, width = saliency.shape
    rows, cols = np.linspace(0, 1, height), np.linspace(0, 1, width)
    places = []
    for r, c in np.ndindex(height, width):
        mirrored_rows = {rows[r], -rows[r], 2 - rows[r]}
        mirrored_cols = {cols[c], -cols[c], 2 - cols[c]}
        places += [(y, x, saliency[r, c]) for y in mirrored_rows for x in mirrored_cols]
    places = np.array(places)
    result = np.zeros((*size, 2))
    for i, j in np.ndindex(size):
        offset = places[:, :2] - (i / (size[0] - 1), j / (size[1] - 1))
        seen = (np.abs(offset) <= 1 + 1e-9).all(1)
        weight = seen * places[:, 2] * np.exp(-(offset**2).sum(1) / (2 * sigma**2))
        result[i, j] = weight @ places[:, :2] / weight.sum()
    return result
