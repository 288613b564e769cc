"""Suggest images to label so that the regions of a discovery get their names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENOUGH = 0.05  # share of an image: the mask names a region that covers so much of it


def suggest_regions(
    shares: NDArray[np.floating], entropy: NDArray[np.floating], number: int
) -> list[tuple[int, str]]:
    """Choose images to label.

    Two images that show the most of the regions that no chosen image shows yet alternate with the
    most undecided image. Regions are those of the overclustering and count by their share of all
    pixels. Once all regions are shown, they count anew.

    Args:
        shares: (N, K) of each region of the overclustering in each image, summing to 1.
        entropy: (N,) mean entropy of the probabilities in each image.
        number: how many images to choose.

    Returns:
        Indices of images, all different, each with the reason; `number` of them, or all images.
    """
    shows = np.minimum(shares / ENOUGH, 1.0)
    mass = shares.mean(0)
    covered = np.zeros(shares.shape[1])
    chosen: dict[int, str] = {}
    unsure = list(np.argsort(-entropy, kind="stable"))
    while len(chosen) < min(number, len(shares)):
        if len(chosen) % 3 == 2:  # two that show regions, then an undecided one
            place = next(int(i) for i in unsure if int(i) not in chosen)
            chosen[place] = "its regions are undecided"
            covered = np.maximum(covered, shows[place])
            continue
        gains = (np.maximum(shows - covered, 0) * mass).sum(1)
        gains[list(chosen)] = -1
        place = int(gains.argmax())
        if gains[place] <= 1e-9 and covered.any():  # all regions are shown
            covered[:] = 0
            continue
        news = np.maximum(shows[place] - covered, 0) * mass
        groups = [int(k) for k in np.argsort(-news, kind="stable")[:3] if news[k] > 0]
        what = ", ".join(map(str, groups))
        chosen[place] = f"shows groups {what} ({mass[groups].sum():.0%} of all pixels)"
        covered = np.maximum(covered, shows[place])
    return list(chosen.items())
