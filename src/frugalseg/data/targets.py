"""Which classes are small or thin: what one would mainly look for and few pixels miss."""

import numpy as np
from numpy.typing import NDArray

# The limits were set on street scenes, leaves, facades and car parts whose targets are known.
LARGEST_SHARE = 0.06  # of all pixels
LARGEST_WIDTH = 0.085  # of the image's side (the square root of its area)


def area_and_edge(
    ids: NDArray[np.integer], num_ids: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels of each id, and those of them that touch another id.

    Args:
        ids: (H, W) whole numbers from 0 to `num_ids` - 1.
        num_ids: length of the answers.

    Returns:
        area: (num_ids,) pixels of each id.
        edge: (num_ids,) pixels of each id with another id to the left, right, above or below.
    """
    edge = np.zeros(ids.shape, bool)
    beside = ids[:, 1:] != ids[:, :-1]
    above = ids[1:] != ids[:-1]
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    edge[1:] |= above
    edge[:-1] |= above
    area = np.bincount(ids.ravel(), minlength=num_ids)
    return area, np.bincount(ids[edge], minlength=num_ids)


def only_at_edges(area: NDArray[np.int64], edge: NDArray[np.int64]) -> int:
    """How many ids look like values between two others, as smoothing makes them.

    Each is rare (under 1 % of the pixels), and 9 of 10 of its pixels touch another id.

    Args:
        area: (n,) pixels of each id.
        edge: (n,) those of them that touch another id.

    Returns:
        Their number, where they are at least 8 and more than half of the ids that occur; else 0:
        a few such ids may be classes of thin or tiny things.
    """
    between = (area > 0) & (area < 0.01 * area.sum()) & (edge >= 0.9 * area)
    count = int(between.sum())
    return count if count >= 8 and 2 * count > (area > 0).sum() else 0


def small_or_thin(area: float, edge: float, pixels: float, side: float) -> str | None:
    """Say why a class looks like a target, or None where it does not.

    A strip `w` pixels wide has two edge pixels for every `w` of its area, so that twice the area
    over the edge is its width; for a disc it is half the diameter.

    Args:
        area: pixels of the class in all images.
        edge: those of them that touch another class.
        pixels: all pixels of all images.
        side: mean of the images' sides in pixels (square root of height times width).

    Returns:
        A few words with both numbers, or None: the class is large, wide, or absent.
    """
    if area == 0 or edge == 0 or pixels == 0:
        return None
    share, width = area / pixels, 2 * area / edge
    if share > LARGEST_SHARE or width > LARGEST_WIDTH * side:
        return None
    return f"{100 * share:.2f} % of the pixels, about {width:.0f} pixels wide"
