"""The boundary energy as a sum over pairs, and its minimiser as one dense linear system."""

import numpy as np
from numpy.typing import NDArray


def slow_energy(
    phi: NDArray[np.float64], nearest: NDArray[np.float64], smoothness: tuple[float, float]
) -> float:
    height, width, _ = phi.shape
    energy = 0.0
    for i, j in np.ndindex(height, width):
        energy += ((phi[i, j] - nearest[i, j]) ** 2).sum()
        if i + 1 < height:
            energy += smoothness[0] * ((phi[i, j] - phi[i + 1, j]) ** 2).sum()
        if j + 1 < width:
            energy += smoothness[1] * ((phi[i, j] - phi[i, j + 1]) ** 2).sum()
    return float(energy)


def dense_minimiser(
    nearest: NDArray[np.float64], smoothness: tuple[float, float]
) -> NDArray[np.float64]:
    """Solve the normal equations of every coordinate, fixed ones given by rows of the identity."""
    height, width, _ = nearest.shape
    number = np.arange(height * width).reshape(height, width)
    result = np.zeros_like(nearest)
    for axis in (0, 1):
        matrix = np.eye(height * width)
        right = nearest[..., axis].ravel().copy()
        for i, j in np.ndindex(height, width):
            for i2, j2 in ((i + 1, j), (i, j + 1)):
                if i2 < height and j2 < width:
                    a, b = number[i, j], number[i2, j2]
                    weight = smoothness[0] if i2 > i else smoothness[1]
                    matrix[a, a] += weight
                    matrix[b, b] += weight
                    matrix[a, b] -= weight
                    matrix[b, a] -= weight
        lines = number if axis == 0 else number.T
        for line, value in ((lines[0], 0.0), (lines[-1], 1.0)):
            matrix[line] = 0
            matrix[line, line] = 1
            right[line] = value
        result[..., axis] = np.linalg.solve(matrix, right).reshape(height, width)
    return result
