"""Pictures of a discovery: typical patches of each region, varied images and uncertain images.

Images are taken one by one; of each a few numbers are kept, and of some a small picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalseg.reports.images import Picture, colour_labels, overlay, shrink
from frugalseg.tasks.discover.predict import RegionPrediction

PATCHES = 8  # of each region, at most...
ALL_PATCHES = 160  # ...and of all regions together
PATCH = 88  # pixels of a patch's side on the page
SCORED = 8  # the middle by which a patch is chosen is this fraction of an image's shorter side...
SHOWN = 4  # ...and the patch shown is this fraction of it
SIDE = 300  # pixels of the longer side of images on the page
PRESENT = 0.01  # least share of an image for a region to count as being in it

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Patch:
    """A place that stands for a region.

    Attributes:
        name: of the image.
        sure: mean probability of the region in the patch's middle.
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
        entropy: mean of its answers as a share of the greatest, 0 to 1.
        pictures: (H, W, 3) each, the longer side at most SIDE: "image"; "regions", laid over it;
            "entropy" in warm colours, for uncertain images; otherwise "masks", classes in the
            colours of the regions that stand for them, if there is a mask.
    """

    name: str
    shares: Floats
    entropy: float
    pictures: Mapping[str, Picture]


class ExampleCollector:
    """Collects the patches and numbers by which the examples of a page are chosen.

    Args:
        classes: k, number of regions.
        count: number of images that will be added.
    """

    def __init__(self, classes: int, count: int) -> None:
        self.classes = classes
        patches = max(2, min(PATCHES, ALL_PATCHES // classes))
        self._slots, self._count = min(patches, count), count
        self._best: list[dict[int, Patch]] = [{} for _ in range(classes)]
        self._shares: list[NDArray[np.float64]] = []
        self._entropies: list[float] = []
        self._sure = np.zeros((classes, 2))  # sums of probabilities, and places

    def add(self, prediction: RegionPrediction) -> None:
        """Take the next image."""
        number = len(self._entropies)
        counts = np.bincount(prediction.labels.ravel(), minlength=self.classes)
        self._shares.append(counts / counts.sum())
        self._entropies.append(float(entropy_map(prediction.soft).mean()))
        answers = prediction.soft.argmax(0)
        for region in np.unique(answers):
            inside = prediction.soft[region][answers == region]
            self._sure[region] += inside.sum(), inside.size
            row, column, sure = surest_place(prediction.soft, int(region))
            slot = number * self._slots // self._count  # the surest patch of each slot is kept
            best = self._best[region].get(slot)
            if best is None or sure > best.sure:
                own = prediction.labels == region
                patch = cut_patch(prediction.pixels[..., :3], own, row, column)
                self._best[region][slot] = Patch(prediction.name, sure, patch)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(N, k) share of each region in each image."""
        return np.array(self._shares)

    @property
    def entropies(self) -> NDArray[np.float64]:
        """(N,) mean entropy of the answers of each image, 0 to 1."""
        return np.array(self._entropies)

    @property
    def confidence(self) -> list[float | None]:
        """The mean probability of the places given to each region; None if there are none."""
        return [float(total / n) if n else None for total, n in self._sure]

    def patches(self) -> list[list[Patch]]:
        """The patches of each region, the surest first, without those far below the surest."""
        ranked = [sorted(slots.values(), key=lambda patch: -patch.sure) for slots in self._best]
        return [[p for p in patches if p.sure >= 0.6 * patches[0].sure] for patches in ranked]


def entropy_map(soft: Floats) -> NDArray[np.float64]:
    """(h, w) entropy of (k, h, w) answers as a share of ln k."""
    from scipy.special import entr

    entropies = entr(soft.astype(np.float64)).sum(0)
    share: NDArray[np.float64] = (entropies / math.log(len(soft))).clip(0, 1)
    return share


def surest_place(soft: Floats, region: int) -> tuple[float, float, float]:
    """The place where a region is the most probable, on average over a square around it.

    Args:
        soft: (k, h, w) probabilities.
        region: the region.

    Returns:
        Row and column of the square's middle as shares of height and width, and the mean
        probability of the region in the square. The side of the square is the shorter side over
        SCORED; its middle is of the region if there is such a place.
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
    """Cut out the square around a place, and fade what is outside the region.

    Args:
        image: (H, W, 3).
        inside: (H, W) pixels of the region.
        row, column: of the middle, as shares of height and width; moved if the square would
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
    """Images that stand for the variety of all: those nearest to the centres of groups.

    Args:
        shares: (N, k) of regions in images.
        count: how many to choose.

    Returns:
        At most `count` indices, all different; the image of the largest group first.
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


def choose_uncertain(
    entropies: Floats, count: int, without: Sequence[int] | NDArray[np.int64]
) -> NDArray[np.int64]:
    """Indices of the images of greatest entropy, in this order, without those shown already."""
    order = np.argsort(-entropies, kind="stable")
    return order[~np.isin(order, without)][:count]


def show(
    prediction: RegionPrediction,
    colours: Picture,
    truth: NDArray[np.uint8] | None,
    class_colours: Picture,
    uncertain: bool = False,
) -> Shown:
    """Small pictures of an image and of its regions.

    Args:
        prediction: of the image.
        colours: (k, 3) of the regions.
        truth: (H, W) class indices, 255 if unknown; None without a mask.
        class_colours: (C, 3).
        uncertain: show the entropy in place of the mask.
    """
    image = shrink(np.ascontiguousarray(prediction.pixels[..., :3]), SIDE)
    labels = shrink(prediction.labels, SIDE, nearest=True)
    counts = np.bincount(prediction.labels.ravel(), minlength=len(colours))
    entropy = entropy_map(prediction.soft)
    pictures = {"image": image, "regions": overlay(image, labels, colours)}
    if uncertain:
        pictures["entropy"] = heat(image, entropy)
    elif truth is not None:
        pictures["masks"] = overlay(image, shrink(truth, SIDE, nearest=True), class_colours)
    return Shown(prediction.name, counts / counts.sum(), float(entropy.mean()), pictures)


def heat(image: Picture, values: Floats) -> Picture:
    """Lay values in [0, 1] over a dimmed grey image, from dark at 0 through red to yellow at 1.

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


def class_paint(mapping: Sequence[int], colours: Picture, num_classes: int) -> Picture:
    """(num_classes, 3) colours of classes: those of the regions that stand for them, or grey.

    Args:
        mapping: the class of each region, -1 for none.
        colours: (k, 3) of the regions.
        num_classes: C.
    """
    region_of = np.full(max(num_classes, 1), 255)
    for region, index in enumerate(mapping):
        if index >= 0:
            region_of[index] = region
    painted: Picture = colour_labels(region_of[None], colours)[0]
    return painted
