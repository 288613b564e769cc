"""Which images to label so that the regions of a discovery get their names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENOUGH = 0.05  # of an image: a region that covers so much of it is named by its mask


def suggest_regions(
    shares: NDArray[np.floating], doubt: NDArray[np.floating], number: int
) -> list[tuple[int, str]]:
    """Choose images to label.

    By turns the image that shows most of what no chosen one shows yet (regions of the
    overclustering count by their share of all pixels), and the most undecided image. When all
    regions are shown, showing them begins anew.

    Args:
        shares: (N, K) of each region of the overclustering in each image, summing to 1.
        doubt: (N,) mean entropy of the answers in each image.
        number: how many images to choose.

    Returns:
        Numbers of images, all different, each with the reason; as many as asked, or all.
    """
    shows = np.minimum(shares / ENOUGH, 1.0)
    mass = shares.mean(0)
    covered = np.zeros(shares.shape[1])
    chosen: dict[int, str] = {}
    unsure = list(np.argsort(-doubt, kind="stable"))
    while len(chosen) < min(number, len(shares)):
        if len(chosen) % 3 == 2:  # two that show regions, then an undecided one
            place = next(int(i) for i in unsure if int(i) not in chosen)
            chosen[place] = "its regions are undecided"
            covered = np.maximum(covered, shows[place])
            continue
        gains = (np.maximum(shows - covered, 0) * mass).sum(1)
        gains[list(chosen)] = -1
        place = int(gains.argmax())
        if gains[place] <= 1e-9 and covered.any():  # all are shown: once more
            covered[:] = 0
            continue
        news = np.maximum(shows[place] - covered, 0) * mass
        groups = [int(k) for k in np.argsort(-news, kind="stable")[:3] if news[k] > 0]
        what = ", ".join(map(str, groups))
        chosen[place] = f"shows groups {what} ({mass[groups].sum():.0%} of all pixels)"
        covered = np.maximum(covered, shows[place])
    return list(chosen.items())
