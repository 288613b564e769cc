"""Slow versions of equal-density sampling, written from the definitions."""

import numpy as np


def uniform(h, w):
    return np.stack(np.meshgrid(np.linspace(0, 1, h), np.linspace(0, 1, w), indexing="ij"), -1)


def dense_rest(vertical, horizontal):
    """Minimise the sum over pairs of stiffness * |phi - phi'|^2 by a dense solve, phi covering.

    vertical (h - 1, w), horizontal (h, w - 1); returns (h, w, 2).
    """
    h, w = horizontal.shape[0], vertical.shape[1]
    index = np.arange(h * w).reshape(h, w)
    pairs = [(index[i, j], index[i + 1, j], vertical[i, j]) for i in range(h - 1) for j in range(w)]
    pairs += [
        (index[i, j], index[i, j + 1], horizontal[i, j]) for i in range(h) for j in range(w - 1)
    ]
    matrix = np.zeros((h * w, h * w))
    for a, b, k in pairs:
        matrix[a, a] += k
        matrix[b, b] += k
        matrix[a, b] -= k
        matrix[b, a] -= k
    phi = uniform(h, w)
    for axis in range(2):
        held = np.zeros((h, w), bool)
        np.moveaxis(held, axis, 0)[[0, -1]] = True
        held = held.ravel()
        x = phi[..., axis].ravel()
        free = ~held
        x[free] = np.linalg.solve(matrix[np.ix_(free, free)], -matrix[np.ix_(free, held)] @ x[held])
        phi[..., axis] = x.reshape(h, w)
    return phi


def read(field, y, x):
    """Bilinear reading of cells that tile the unit square, constant beyond the outer centres."""
    rows, cols = field.shape
    y = min(max(y * rows - 0.5, 0), rows - 1)
    x = min(max(x * cols - 0.5, 0), cols - 1)
    i, j = min(int(y), rows - 2), min(int(x), cols - 2)
    a, b = y - i, x - j
    top = (1 - b) * field[i, j] + b * field[i, j + 1]
    return (1 - a) * top + a * ((1 - b) * field[i + 1, j] + b * field[i + 1, j + 1])


def springs(rho, phi):
    """Stiffness of each pair: rho at its middle."""

    def along(a, b):
        middle = (a + b) / 2
        flat = [read(rho, y, x) for y, x in middle.reshape(-1, 2)]
        return np.array(flat).reshape(middle.shape[:-1])

    return along(phi[1:], phi[:-1]), along(phi[:, 1:], phi[:, :-1])


def slow_placement(rho, size, steps=400, damping=0.3):
    """Many small steps from the uniform grid, each an exact solve."""
    phi = uniform(*size)
    for _ in range(steps):
        phi = phi + damping * (dense_rest(*springs(rho, phi)) - phi)
    return phi


def slow_relative_density(density, size, share, blur):
    """Blur with a Gaussian, the border repeated; mean one; share of it on an even ground."""
    smooth = np.maximum(density, 0)
    for axis in (0, 1):
        sigma = blur * density.shape[axis] / (size[axis] - 1)
        radius = max(1, int(np.ceil(3 * sigma)))
        offset = np.arange(-radius, radius + 1)
        kernel = np.exp(-0.5 * (offset / sigma) ** 2)
        kernel /= kernel.sum()
        pad = [(radius, radius) if k == axis else (0, 0) for k in (0, 1)]
        padded = np.pad(smooth, pad, mode="edge")
        smooth = np.apply_along_axis(np.convolve, axis, padded, kernel, "valid")
    return 1 - share + share * smooth / smooth.mean()
