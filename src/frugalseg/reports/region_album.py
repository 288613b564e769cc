"""Pictures of a discovery: typical patches of each region, images that show variety or doubt.

Images come one after the other; kept are some numbers of each, and small pictures of a few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalseg.reports.pictures import Picture, colour_labels, overlay, shrink
from frugalseg.reports.region_files import Seen

PATCHES = 8  # of each region, at most...
ALL_PATCHES = 160  # ...and of all regions together
PATCH = 88  # pixels of a patch's side on the page
SCORED = 8  # a patch is judged by its middle: an image's shorter side over this many pixels...
SHOWN = 4  # ...and shows so much around it: the shorter side over this many
SIDE = 300  # pixels of the longer side of images on the page
PRESENT = 0.01  # share of an image from which a region counts as being in it

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Patch:
    """A place that stands for a region.

    Attributes:
        name: of the image.
        sure: mean probability of the region in its middle.
        picture: (PATCH, PATCH, 3); pixels outside the region are faded.
    """

    name: str
    sure: float
    picture: Picture


@dataclass(frozen=True)
class Shown:
    """An image on the page.

    Attributes:
        name: its name.
        shares: (k,) of the regions in it.
        doubt: mean entropy of its answers as a share of the greatest, 0 to 1.
        image: (H, W, 3), its longer side at most SIDE; the others are of the same size.
        regions: the same with the regions laid over.
        unsure: entropy in warm colours over the image in grey.
        truth: classes in the colours of the regions that stand for them; None without a mask.
    """

    name: str
    shares: Floats
    doubt: float
    image: Picture
    regions: Picture
    unsure: Picture
    truth: Picture | None = None


class RegionAlbum:
    """Takes images one by one and keeps what is needed to choose among them.

    Args:
        classes: kinds of region, k.
        count: images that are to come.
    """

    def __init__(self, classes: int, count: int) -> None:
        self.classes = classes
        most = max(2, min(PATCHES, ALL_PATCHES // classes))
        self._slots, self._count = min(most, count), count
        self._best: list[dict[int, Patch]] = [{} for _ in range(classes)]
        self._shares: list[NDArray[np.float64]] = []
        self._doubts: list[float] = []
        self._sure = np.zeros((classes, 2))  # sums of probabilities, and places

    def add(self, seen: Seen) -> None:
        """Take the next image."""
        number = len(self._doubts)
        counts = np.bincount(seen.labels.ravel(), minlength=self.classes)
        self._shares.append(counts / counts.sum())
        self._doubts.append(float(entropy_map(seen.soft).mean()))
        answers = seen.soft.argmax(0)
        for region in np.unique(answers):
            inside = seen.soft[region][answers == region]
            self._sure[region] += inside.sum(), inside.size
            self._try_patch(seen, int(region), number * self._slots // self._count)

    def _try_patch(self, seen: Seen, region: int, slot: int) -> None:
        """Keep the surest patch of a region among the images of each slot."""
        row, column, sure = surest_place(seen.soft, region)
        best = self._best[region].get(slot)
        if best is None or sure > best.sure:
            patch = cut_patch(seen.pixels[..., :3], seen.labels == region, row, column)
            self._best[region][slot] = Patch(seen.name, sure, patch)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(N, k) share of each region in each image."""
        return np.array(self._shares)

    @property
    def doubts(self) -> NDArray[np.float64]:
        """(N,) doubt of each image, 0 to 1."""
        return np.array(self._doubts)

    @property
    def confidence(self) -> list[float | None]:
        """Of each region, the mean probability where it is the answer; None where it never is."""
        return [float(total / n) if n else None for total, n in self._sure]

    def patches(self) -> list[list[Patch]]:
        """Of each region its patches, the surest first; those far below the surest left out."""
        found = []
        for slots in self._best:
            ordered = sorted(slots.values(), key=lambda patch: -patch.sure)
            found.append([patch for patch in ordered if patch.sure >= 0.6 * ordered[0].sure])
        return found


def entropy_map(soft: Floats) -> NDArray[np.float64]:
    """(h, w) entropy of (k, h, w) answers as a share of ln k."""
    p = soft.astype(np.float64)
    surprise = np.where(p > 0, -p * np.log(np.maximum(p, 1e-300)), 0)
    share: NDArray[np.float64] = (surprise.sum(0) / math.log(len(soft))).clip(0, 1)
    return share


def surest_place(soft: Floats, region: int) -> tuple[float, float, float]:
    """Where an image answers most surely and purely for a region.

    Args:
        soft: (k, h, w) answers.
        region: which.

    Returns:
        Row and column as shares of the height and width, of the middle of the square (of the
        shorter side over SCORED) in which the mean probability of the region is greatest, and this
        mean; the middle itself is of the region where there is such a square.
    """
    from scipy.ndimage import uniform_filter

    height, width = soft.shape[1:]
    side = max(1, min(height, width) // SCORED)
    mean = uniform_filter(soft[region].astype(np.float64), side, mode="nearest")
    score = np.where(soft.argmax(0) == region, mean, mean - 1)
    row, column = np.unravel_index(int(score.argmax()), score.shape)
    sure = float(mean[row, column])
    return (float(row) + 0.5) / height, (float(column) + 0.5) / width, min(max(sure, 0.0), 1.0)


def cut_patch(image: Picture, inside: NDArray[np.bool_], row: float, column: float) -> Picture:
    """The square around a place, what is outside the region faded.

    Args:
        image: (H, W, 3).
        inside: (H, W) pixels of the region.
        row, column: of the middle, as shares of height and width; moved where the square would
            leave the image.

    Returns:
        (PATCH, PATCH, 3).
    """
    from PIL import Image

    height, width = image.shape[:2]
    side = max(1, min(height, width) // SHOWN)
    top = min(max(round(row * height - side / 2), 0), height - side)
    left = min(max(round(column * width - side / 2), 0), width - side)
    box = slice(top, top + side), slice(left, left + side)
    part = image[box].astype(np.float64)
    grey = part.mean(-1, keepdims=True)
    faded = np.where(inside[box][..., None], part, 0.3 * grey + 0.7 * 250)
    cut = Image.fromarray(faded.round().astype(np.uint8))
    return np.asarray(cut.resize((PATCH, PATCH), Image.Resampling.LANCZOS))


def choose_varied(shares: Floats, count: int) -> NDArray[np.int64]:
    """Images that stand for the variety of all: those nearest to the middles of groups.

    Args:
        shares: (N, k) of regions in images.
        count: how many to choose.

    Returns:
        At most `count` numbers, all different; the image of the largest group first.
    """
    from sklearn.cluster import KMeans

    distinct, first = np.unique(shares.round(4), axis=0, return_index=True)
    if len(distinct) <= count:
        return np.sort(first)
    grouped = KMeans(count, n_init=1, random_state=0).fit(shares)
    middles = grouped.transform(shares)
    sizes = np.bincount(grouped.labels_, minlength=count)
    order = np.argsort(-sizes, kind="stable")
    nearest = [int(middles[:, group].argmin()) for group in order]
    return np.array(list(dict.fromkeys(nearest)), np.int64)


def choose_unsure(
    doubts: Floats, count: int, without: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.int64]:
    """The images of greatest doubt that are not shown already, the most doubtful first."""
    order = np.argsort(-doubts, kind="stable")
    return order[~np.isin(order, without)][:count]


def show(
    seen: Seen, colours: Picture, truth: NDArray[np.uint8] | None, class_colours: Picture
) -> Shown:
    """Small pictures of an image and of what a run answers for it.

    Args:
        seen: the image.
        colours: (k, 3) of the regions.
        truth: (H, W) class indices, 255 where unknown; None where there is no mask.
        class_colours: (C, 3).
    """
    image = shrink(np.ascontiguousarray(seen.pixels[..., :3]), SIDE)
    labels = shrink(seen.labels, SIDE, nearest=True)
    counts = np.bincount(seen.labels.ravel(), minlength=len(colours))
    entropy = entropy_map(seen.soft)
    painted = None
    if truth is not None:
        painted = overlay(image, shrink(truth, SIDE, nearest=True), class_colours)
    return Shown(
        seen.name,
        counts / counts.sum(),
        float(entropy.mean()),
        image,
        overlay(image, labels, colours),
        heat(image, entropy),
        painted,
    )


def heat(image: Picture, values: Floats) -> Picture:
    """Lay values in [0, 1] over a dimmed grey image: dark where 0, by red to yellow at 1.

    Args:
        image: (H, W, 3).
        values: (h, w), enlarged to the image.
    """
    import matplotlib as mpl
    from PIL import Image

    size = (image.shape[1], image.shape[0])
    large = np.asarray(
        Image.fromarray(values.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
    ).clip(0, 1)
    warm = mpl.colormaps["inferno"](0.25 + 0.7 * large)[..., :3] * 255
    grey = image.mean(-1, keepdims=True) * 0.45
    share = np.sqrt(large)[..., None]
    mixed = (grey * (1 - share) + warm * share).round()
    return np.asarray(mixed, dtype=np.uint8)


def class_paint(mapping: Sequence[int], colours: Picture, kinds: int) -> Picture:
    """(kinds, 3) colours of classes: those of the regions that stand for them, else grey.

    Args:
        mapping: of each region its class, -1 for none.
        colours: (k, 3) of the regions.
        kinds: number of classes.
    """
    region_of = np.full(max(kinds, 1), 255)
    for region, kind in enumerate(mapping):
        if kind >= 0:
            region_of[kind] = region
    painted: Picture = colour_labels(region_of[None], colours)[0]
    return painted
