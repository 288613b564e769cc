"""The finer regions of a discovery, and what they stand for as some masks say."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.classes import ClassList
from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import DiscoverRun
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.named_regions import name_by_most
from frugalseg.evaluation.regions import count_regions

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class NamedRegions:
    """What the finer regions of a run stand for, as some masks say.

    Attributes:
        mapping: (K,) index of the class of each finer region.
        classes: of the masks.
        masks: how many there were.
    """

    mapping: NDArray[np.int64]
    classes: ClassList
    masks: int


def name_finer_regions(
    run: DiscoverRun, data: RegionImages, progress: Progress = iter
) -> NamedRegions:
    """Name the finer regions of a run by the masks of some of its images.

    Args:
        run: a finished run.
        data: the images that it has learned from, some with masks; pixels without a class say
            nothing.
        progress: wraps the loop over the images with masks.

    Raises:
        FrugalsegError: there are no masks, no pixel of them has a class, or a file cannot be read.
    """
    masked = [int(i) for i in data.indices(run.config.split) if data.masks[i] is not None]
    if data.classes is None or not masked:
        raise FrugalsegError(f"{data.images.root}: no image has a mask.")
    counts = np.zeros((run.plan.over_classes, data.classes.num_classes), np.int64)
    for i in progress(masked):
        truth = data.truth(i)
        assert truth is not None
        counts += count_regions(finer_labels(run, data.paths[i]), truth, *counts.shape)
    try:
        return NamedRegions(name_by_most(counts), data.classes, len(masked))
    except ValueError as error:
        raise FrugalsegError(f"{data.images.root}: {error}.") from error


def finer_labels(run: DiscoverRun, image: Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) regions of the overclustering head.

    Raises:
        FrugalsegError: the run has not taught it.
    """
    from frugalseg.training.discover_answers import discover_labels

    if "over" not in run.config.order:
        raise FrugalsegError(f"{run.folder} has no finer regions: its --order leaves out over.")
    return discover_labels(run, image, "over")
