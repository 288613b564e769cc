"""The images of a page about a clustering: examples of each cluster, and a map of all images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from frugalseg.reports.images import Picture
from frugalseg.tasks.cluster.evaluate import agreement_with_overcluster

WIDTH, HEIGHT = 1120, 760  # pixels of the map
MARGIN = 26
CELL = 44  # pixels of a thumbnail on the map, with its border
THUMBNAIL = CELL - 6

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Chosen:
    """Images of one cluster, by index.

    Attributes:
        cluster: its number.
        members: all its images, the surest first.
        typical: images that stand for the cluster.
        unsure: images whose answer is shared with another cluster.
        odd: sure images that the overclustering head would rather put elsewhere.
    """

    cluster: int
    members: NDArray[np.int64]
    typical: NDArray[np.int64]
    unsure: NDArray[np.int64]
    odd: NDArray[np.int64]


@dataclass(frozen=True)
class Confused:
    """Two clusters that share answers.

    Attributes:
        first, second: numbers of the clusters.
        share: of the answers for their images, the part that goes to the other cluster, 0 to 0.5.
        between: images between both, the most undecided first.
    """

    first: int
    second: int
    share: float
    between: NDArray[np.int64]


def choose_images(
    probabilities: Floats, overcluster: Floats, typical: int = 12, unsure: int = 6
) -> list[Chosen]:
    """Choose the images that a gallery shows of each cluster; no image twice.

    An image is typical if its probability, times its agreement with the overclustering (see
    :func:`agreement_with_overcluster`), is large. It is odd if this agreement is small.

    Args:
        probabilities: (N, k) answers.
        overcluster: (N, K) answers of the overclustering head.
        typical, unsure: how many to choose at most; as many odd images as unsure ones.

    Returns:
        One entry for each cluster, also for empty ones.
    """
    answers = probabilities.argmax(1)
    sure = probabilities.max(1)
    agreed = agreement_with_overcluster(probabilities, overcluster)

    def first_by(value: Floats, images: NDArray[np.int64]) -> NDArray[np.int64]:
        return images[np.argsort(value[images], kind="stable")]

    chosen = []
    for cluster in range(probabilities.shape[1]):
        members = first_by(-sure, np.flatnonzero(answers == cluster))
        left = first_by(-sure * agreed, members)
        shown, left = left[:typical], first_by(sure, left[typical:])
        between = left[sure[left] < 0.9][:unsure]
        left = first_by(agreed, np.setdiff1d(left, between))
        odd = left[agreed[left] < 0.5][:unsure]
        chosen.append(Chosen(cluster, members, shown, between, odd))
    return chosen


def confused_clusters(probabilities: Floats) -> list[Confused]:
    """Pairs of clusters that share at least 2 % of their answers, the most confused first.

    Args:
        probabilities: (N, k).
    """
    answers, count = probabilities.argmax(1), probabilities.shape[1]
    mass = np.zeros((count, count))
    np.add.at(mass, answers, probabilities)  # answers for images of cluster i that went to j
    sizes = np.bincount(answers, minlength=count)
    second = np.argsort(-probabilities, 1, kind="stable")[:, min(1, count - 1)]
    pairs = []
    for i, j in combinations(np.flatnonzero(sizes).tolist(), 2):
        share = (mass[i, j] + mass[j, i]) / (sizes[i] + sizes[j])
        if share < 0.02:
            continue
        either = ((answers == i) & (second == j)) | ((answers == j) & (second == i))
        between = np.flatnonzero(either)
        order = np.argsort(probabilities[between].max(1), kind="stable")
        pairs.append(Confused(i, j, float(share), between[order][:6]))
    return sorted(pairs, key=lambda pair: -pair.share)


def place_thumbnails(places: Floats) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose images for a map so that no two thumbnails overlap.

    Args:
        places: (N, 2) of each image.

    Returns:
        The chosen indices (the first that falls into each cell of a grid), and the places of all
        images on the map in pixels (N, 2), x then y.
    """
    points = np.asarray(places, np.float64)
    low, high = np.percentile(points, [0.5, 99.5], axis=0)
    span = np.maximum(high - low, 1e-9)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    pixels = MARGIN + ((points - low) / span).clip(0, 1) * room
    cells = (pixels // CELL).astype(np.int64)
    keys = cells[:, 1] * (WIDTH // CELL + 2) + cells[:, 0]
    return np.sort(np.unique(keys, return_index=True)[1]), pixels


def draw_map(
    pixels: NDArray[np.float64],
    chosen: NDArray[np.int64],
    thumbnails: NDArray[np.uint8],
    clusters: NDArray[np.int64],
    colours: NDArray[np.uint8],
) -> Picture:
    """Draw a map of images by their answers, in the colours of their clusters.

    Args:
        pixels: (N, 2) places of all images, x then y; each is a dot.
        chosen: (M,) indices of the images that are drawn as thumbnails.
        thumbnails: (M, THUMBNAIL, THUMBNAIL, 1 or 3).
        clusters: (N,) of all images.
        colours: (k, 3) of the clusters.

    Returns:
        (HEIGHT, WIDTH, 3).
    """
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (250, 249, 247))
    draw = ImageDraw.Draw(canvas)
    paint = [tuple(colour) for colour in colours[clusters].tolist()]
    for (x, y), colour in zip(pixels.tolist(), paint, strict=True):
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=colour)
    corners = np.minimum(pixels // CELL * CELL, [WIDTH - CELL, HEIGHT - CELL]).astype(int)
    for i, thumbnail in zip(chosen.tolist(), thumbnails, strict=True):
        left, top = corners[i].tolist()
        draw.rectangle((left + 1, top + 1, left + CELL - 2, top + CELL - 2), fill=paint[i])
        flat = thumbnail[..., 0] if thumbnail.shape[-1] == 1 else thumbnail
        canvas.paste(Image.fromarray(flat).convert("RGB"), (left + 3, top + 3))
    return np.asarray(canvas)
