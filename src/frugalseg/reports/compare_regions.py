"""Discoveries side by side: how far they agree, and the same images divided by each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.colours import region_colours
from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import DiscoverRun
from frugalseg.evaluation.regions import adjusted_rand
from frugalseg.information import one_to_one
from frugalseg.reports.pictures import Picture, overlay, picture, shrink
from frugalseg.reports.region_files import see

COMPARED = 24  # images on which agreement is measured, spread over the set
SIDE = 360  # pixels of the longer side of images on the page

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class RegionComparison:
    """What several runs make of the same images.

    Attributes:
        names: of the runs.
        agreement: (runs, runs) adjusted Rand index of pixels.
        images: of how many images.
        examples: images: "name" and "pictures" for a template, the image and then each run's
            regions; regions that overlap most with one of the first run have its colour.
    """

    names: Sequence[str]
    agreement: Sequence[Sequence[float | None]]
    images: int
    examples: Sequence[dict[str, Any]]


def compare_regions(
    runs: Sequence[DiscoverRun],
    data: RegionImages,
    split: str,
    shown: int,
    progress: Progress = iter,
) -> RegionComparison:
    """Let runs answer for some images, spread evenly over a split.

    Args:
        runs: finished runs.
        data: the images.
        split: which of them.
        shown: how many images to show; COMPARED are answered, or more where more are shown.
        progress: wraps the loop over images.

    Raises:
        FrugalsegError: there is no such split, or an image cannot be read.
    """
    chosen = _spread(data.indices(split), max(COMPARED, shown))
    pictured = set(_spread(chosen, max(shown, 0)).tolist())
    pairs = list(itertools.combinations(range(len(runs)), 2))
    counts = {(a, b): np.zeros((runs[a].classes, runs[b].classes), np.int64) for a, b in pairs}
    kept: list[tuple[str, Picture, list[NDArray[np.uint8]]]] = []
    for i in progress(chosen):
        seen = [see(run, data.paths[i], data.images.names[i]) for run in runs]
        for a, b in pairs:
            counts[a, b] += crossed(seen[a].labels, seen[b].labels, counts[a, b].shape)
        if int(i) in pictured:
            image = shrink(np.ascontiguousarray(seen[0].pixels[..., :3]), SIDE)
            small = [shrink(each.labels, SIDE, nearest=True) for each in seen]
            kept.append((seen[0].name, image, small))
    table: list[list[float | None]] = [[1.0] * len(runs) for _ in runs]
    for a, b in pairs:
        table[a][b] = table[b][a] = adjusted_rand(counts[a, b])
    colours = matched_colours(runs[0].classes, [counts[0, b] for b in range(1, len(runs))])
    names = run_names(runs)
    return RegionComparison(
        names,
        table,
        len(chosen),
        [
            {"name": name, "pictures": _pictures(image, labels, names, colours)}
            for name, image, labels in kept
        ],
    )


def run_names(runs: Sequence[DiscoverRun]) -> list[str]:
    """Names of runs: of their folders, with the way to these where they are not unique."""
    names = [run.folder.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [str(run.folder) for run in runs]


def crossed(
    first: NDArray[np.uint8], second: NDArray[np.uint8], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Count pixels by two divisions of an image.

    Args:
        first, second: (H, W) regions.
        shape: kinds of region of each.

    Returns:
        Pixels, of the given shape.
    """
    both = first.astype(np.int64) * shape[1] + second
    counts = np.bincount(both.ravel(), minlength=shape[0] * shape[1])
    return counts.reshape(shape)


def matched_colours(classes: int, counts: Sequence[NDArray[np.int64]]) -> list[Picture]:
    """Colours of the regions of several runs, so that what is alike looks alike.

    Args:
        classes: kinds of region of the first run.
        counts: (classes, k) pixels by regions of the first run and of each other one.

    Returns:
        (k, 3) of each run. Regions are matched one to one, so that most pixels have the same colour
        in both; those left over have colours that no region of the first run has.
    """
    most = max([classes, *(table.shape[1] for table in counts)])
    colours = np.array(region_colours(classes + most), np.uint8)
    found = [colours[:classes]]
    for table in counts:
        match = one_to_one(table.T).copy()
        left = match < 0
        match[left] = classes + np.arange(left.sum())
        found.append(colours[match])
    return found


def _spread(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most so many, evenly spread."""
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers)))
    chosen: NDArray[np.int64] = numbers[places.round().astype(int)]
    return chosen


def _pictures(
    image: Picture,
    labels: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    colours: Sequence[Picture],
) -> list[dict[str, Any]]:
    """The image, and it with the regions of each run laid over."""
    overlays = [
        picture(name, overlay(image, each, paint))
        for name, each, paint in zip(names, labels, colours, strict=True)
    ]
    return [picture("image", image), *overlays]
