"""Slow versions of reading an image at its samples, written from the definitions."""

import numpy as np


def slow_footprint(phi, size):
    """Distance in pixels between neighbours along each side, at least a pixel."""
    h, w, _ = phi.shape
    out = np.empty((h, w, 2))
    for i in range(h):
        for j in range(w):
            above, below = max(i - 1, 0), min(i + 1, h - 1)
            left, right = max(j - 1, 0), min(j + 1, w - 1)
            rise = (phi[below, j, 0] - phi[above, j, 0]) / (below - above) * (size[0] - 1)
            run = (phi[i, right, 1] - phi[i, left, 1]) / (right - left) * (size[1] - 1)
            out[i, j] = max(abs(rise), 1), max(abs(run), 1)
    return out


def overlap(p, low, high):
    """Length of pixel p, that is [p - 1/2, p + 1/2], within [low, high]."""
    return max(min(p + 0.5, high) - max(p - 0.5, low), 0.0)


def slow_antialias(image, phi):
    """Mean of image (C, H, W) over each sample's footprint (h, w, 2): every pixel, by overlap."""
    channels, height, width = image.shape
    extent = slow_footprint(phi, (height, width))
    out = np.empty((channels, *phi.shape[:2]))
    for i in range(phi.shape[0]):
        for j in range(phi.shape[1]):
            y, x = phi[i, j] * (height - 1, width - 1)
            half_height, half_width = extent[i, j] / 2
            rows = np.array([overlap(p, y - half_height, y + half_height) for p in range(height)])
            cols = np.array([overlap(p, x - half_width, x + half_width) for p in range(width)])
            weight = rows[:, None] * cols
            out[:, i, j] = (image * weight).sum((1, 2)) / weight.sum()
    return out
