"""A map of images by their answers: thumbnails where they lie, in the colours of their clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from frugalseg.reports.pictures import Picture

WIDTH, HEIGHT = 1120, 760
_MARGIN = 26


def place_thumbnails(
    places: NDArray[np.floating], cell: int, width: int = WIDTH, height: int = HEIGHT
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose images for a map so that no two thumbnails overlap.

    Args:
        places: (N, 2) of each image.
        cell: side of a thumbnail with its border, in pixels.
        width, height: of the map.

    Returns:
        The chosen indices (the first that falls into each cell of a grid), and the places of all
        images in pixels (N, 2), x then y.
    """
    points = np.asarray(places, np.float64)
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    span = np.maximum(high - low, 1e-9)
    room = np.array([width, height]) - 2 * _MARGIN
    pixels = _MARGIN + ((points - low) / span).clip(0, 1) * room
    cells = (pixels // cell).astype(np.int64)
    keys = cells[:, 1] * (width // cell + 2) + cells[:, 0]
    return np.sort(np.unique(keys, return_index=True)[1]), pixels


def draw_map(
    pixels: NDArray[np.float64],
    chosen: NDArray[np.int64],
    thumbnails: NDArray[np.uint8],
    clusters: NDArray[np.int64],
    colours: NDArray[np.uint8],
    cell: int,
) -> Picture:
    """Draw the map.

    Args:
        pixels: (N, 2) places of all images, x then y.
        chosen: (M,) which of them are drawn as thumbnails; all are dots.
        thumbnails: (M, s, s, 1 or 3).
        clusters: (N,) of all images.
        colours: (k, 3) of the clusters.
        cell: side of a thumbnail with its border.

    Returns:
        (HEIGHT, WIDTH, 3).
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (250, 249, 247))
    draw = ImageDraw.Draw(canvas)
    for (x, y), cluster in zip(pixels.tolist(), clusters.tolist(), strict=True):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=tuple(colours[cluster].tolist()))
    inner = cell - 6
    for i, thumbnail in zip(chosen.tolist(), thumbnails, strict=True):
        left, top = (int(v) // cell * cell for v in pixels[i])
        left, top = min(left, WIDTH - cell), min(top, HEIGHT - cell)
        colour = tuple(colours[clusters[i]].tolist())
        draw.rectangle((left + 1, top + 1, left + cell - 2, top + cell - 2), fill=colour)
        flat = thumbnail[..., 0] if thumbnail.shape[-1] == 1 else thumbnail
        picture = Image.fromarray(flat).convert("RGB").resize((inner, inner))
        canvas.paste(picture, (left + 3, top + 3))
    return np.asarray(canvas)
