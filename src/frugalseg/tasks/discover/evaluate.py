"""Evaluate a discovery: count its regions against masks, name them after classes, score them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.console import log, track
from frugalseg.data.class_lists.classes import lack_of_classes
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.results import Result
from frugalseg.errors import FrugalsegError
from frugalseg.iic import UNUSED, clustering_diagnostics, many_to_one, one_to_one
from frugalseg.metrics.confusion import (
    Counts,
    accuracy,
    as_classes,
    class_iou,
    confusion,
    false_items,
    mean_of_known,
)
from frugalseg.tasks.discover.export import RegionWriter, region_classes
from frugalseg.tasks.discover.predict import (
    DiscoverRun,
    RegionPrediction,
    finer_labels,
    predict_image,
    read_pixels,
    soft_regions,
)
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.report import result_kind

PLACES = 400  # of an image, at which diagnostics are measured
ALL_PLACES = 200_000  # of all images together

RESULT = result_kind(
    "discover",
    "regions",
    (("accuracy", "accuracy"), ("mIoU", "miou"), ("one region", "accuracy_of_one_region")),
)


def answer_regions(
    run: DiscoverRun,
    data: ImageMaskFolder,
    split: str,
    writer: RegionWriter | None = None,
    watch: Callable[[RegionPrediction], None] | None = None,
) -> Result:
    """Divide the images of a split one by one, and score the regions if there are masks.

    Args:
        run: a finished run.
        data: the images, and masks if they are to be scored.
        split: which of them.
        writer: writes the regions; None if only the result is wanted.
        watch: gets each image with its regions, such as ``ExampleCollector.add``.

    Returns:
        The result; its part "names" holds the names of the regions.

    Raises:
        FrugalsegError: there is no such split, an image or a mask cannot be read, or a file cannot
            be written.
    """
    class_names = data.class_list.names if data.class_list else ()
    indices = data.indices(split)
    counts = np.zeros((run.classes, len(class_names)), np.int64)
    some = max(16, min(PLACES, ALL_PLACES // len(indices)))  # places of an image
    places = []
    for i in track(indices, "images"):
        prediction = predict_image(run, data.samples[i].image, data.names[i])
        soft = prediction.soft.reshape(run.classes, -1)
        chosen = np.linspace(0, soft.shape[1] - 1, min(some, soft.shape[1])).astype(int)
        places.append(soft[:, chosen].T)
        truth = data.truth(int(i))
        if truth is not None:
            counts += count_regions(prediction.labels, truth, *counts.shape)
        if writer:
            writer.write(prediction.name, prediction.pixels, prediction.labels)
        if watch:
            watch(prediction)
    scored = bool(counts.sum())
    lack = lack_of_classes(class_names, counts.sum(0), f"the masks of {data.root} ({split})")
    if scored and lack:
        log.warning(lack)
    names = region_names(counts, class_names) if scored else run.region_names
    if writer:
        writer.finish(region_classes(names))
    diagnostics = clustering_diagnostics(torch.from_numpy(np.concatenate(places)))
    diagnostics |= run.known_agreement(data.root, split)
    scores = region_scores(counts, class_names) if scored else None
    return run.result(RESULT, data, split, scores, diagnostics, names=list(names))


def finer_counts(
    run: DiscoverRun, data: ImageMaskFolder, split: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Count the finer regions of each image.

    Args:
        run: a finished run.
        data: the images, and masks if there are any.
        split: which of them.

    Returns:
        (N, K, C) pixels of each class in each region, C 0 without masks; (N, K) share of each
        region; (N,) mean entropy of the main head's probabilities, in nats.

    Raises:
        FrugalsegError: there is no such split, or an image or a mask cannot be read.
    """
    shape = not_none(run.config.overclasses), len(data.class_list.names) if data.class_list else 0
    counts, shares, entropies = [], [], []
    for i in track(data.indices(split), "images"):
        pixels = read_pixels(run, data.samples[i].image)
        labels = finer_labels(run, pixels)
        shares.append(np.bincount(labels.ravel(), minlength=shape[0]) / labels.size)
        soft = soft_regions(run, pixels)
        entropies.append(float(-(soft * soft.clamp_min(1e-12).log()).sum(0).mean()))
        truth = data.truth(int(i))
        empty = np.zeros(shape, np.int64)
        counts.append(empty if truth is None else count_regions(labels, truth, *shape))
    return np.stack(counts), np.stack(shares), np.array(entropies)


def name_finer_regions(run: DiscoverRun, data: ImageMaskFolder) -> NDArray[np.uint8]:
    """Name the finer regions of a run by the masks of some of its images.

    Args:
        run: a finished run.
        data: the images that it has learned from, some with masks.

    Returns:
        (K,) index of the class that each finer region stands for.

    Raises:
        FrugalsegError: there are no masks, no pixel of them has a class, or a file cannot be read.
    """
    masked = [int(i) for i in data.indices(run.config.split) if data.samples[i].mask is not None]
    if data.class_list is None or not masked:
        raise FrugalsegError(f"{data.root}: no image has a mask.")
    finer = not_none(run.config.overclasses)
    counts = np.zeros((finer, data.classes.num_classes), np.int64)
    for i in track(masked, "masks"):
        labels = finer_labels(run, data.samples[i].image)
        counts += count_regions(labels, not_none(data.truth(i)), *counts.shape)
    names = ", ".join(data.classes.names)
    try:
        mapping = name_by_most(counts).astype(np.uint8)
    except ValueError as error:
        raise FrugalsegError(f"{data.root}: {error}.") from error
    log.info(f"{finer} finer regions are named by {len(masked)} masks: {names}.")
    return mapping


def enlarge(groups: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A map of labels at another size, by the nearest pixel.

    Args:
        groups: (h, w).
        size: height and width of the result.

    Returns:
        (height, width).
    """
    if groups.shape == tuple(size):
        return groups
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip(size, groups.shape, strict=True)
    )
    larger: NDArray[Any] = groups[rows[:, None], columns]
    return larger


def count_regions(
    regions: NDArray[Any], truth: NDArray[np.uint8], num_regions: int, num_classes: int
) -> Counts:
    """Count the pixels of each class in each region, at the size of the mask.

    Args:
        regions: (h, w) from 0 to `num_regions - 1`, of any size; enlarged to the mask's.
        truth: (H, W) class indices, 255 if a pixel does not count.
        num_regions, num_classes: how many there are, used or not.

    Returns:
        (num_regions, num_classes); the counts of images add up.

    Raises:
        ValueError: a number is out of range.
    """
    enlarged = enlarge(regions, (truth.shape[0], truth.shape[1]))
    return confusion(enlarged, truth, num_regions, num_classes)


def region_scores(counts: Counts, names: Sequence[str]) -> dict[str, Any]:
    """Scores of regions, ready for JSON.

    Regions are matched with classes one to one so that most pixels are right (Hungarian). A class
    that gets no region has IoU 0; a class without a true pixel has None, which no mean includes.

    Args:
        counts: (regions, classes) from `count_regions`, summed over the images.
        names: of the classes.

    Returns:
        "accuracy" (share of labelled pixels that are right, pooled over the images),
        "accuracy_many_to_one" (each region as its most frequent class), "accuracy_of_one_region"
        (the share of the largest class), "class_names", "mapping" (class of each region, -1 for
        none), "used" (regions with a labelled pixel), "labelled" (pixels), "confusion" (regions by
        row, classes by column), and the others of :func:`named_scores`.

    Raises:
        ValueError: no pixel is labelled, or names do not fit.
    """
    counts = np.asarray(counts, np.int64)
    if counts.shape[1] != len(names):
        raise ValueError(f"{len(names)} names for {counts.shape[1]} classes")
    mapping, most = one_to_one(counts), many_to_one(counts)
    total = int(counts.sum())
    return {
        **named_scores(counts, mapping, names),
        "accuracy_many_to_one": accuracy(as_classes(counts, most)),
        "accuracy_of_one_region": float(counts.sum(0).max() / total),
        "class_names": list(names),
        "mapping": mapping.tolist(),
        "used": int((most >= 0).sum()),
        "labelled": total,
        "confusion": counts.tolist(),
    }


def named_scores(
    counts: Counts, mapping: NDArray[np.int64], names: Sequence[str]
) -> dict[str, Any]:
    """Scores of regions that stand for classes.

    Args:
        counts: (regions, classes) pixels.
        mapping: (regions) classes, -1 for none; pixels of such a region count as wrong.
        names: of the classes.

    Returns:
        "accuracy" (share of all pixels), "miou" over the classes that occur in the truth and
        "miou_true_or_predicted" over those that occur in the truth or the answers; by name "iou"
        (None if a class is absent from the truth), "pixels", and "false_pixels" that are wrongly
        given to the class.

    Raises:
        ValueError: nothing is labelled.
    """
    if not counts.sum():
        raise ValueError("no pixel is labelled")
    by_class = as_classes(counts, mapping)
    iou = class_iou(by_class)
    return {
        "accuracy": accuracy(by_class),
        "miou": mean_of_known(iou),
        "miou_true_or_predicted": mean_of_known(class_iou(by_class, predicted=True)),
        "iou": dict(zip(names, iou, strict=True)),
        "false_pixels": dict(zip(names, false_items(by_class), strict=True)),
        "pixels": dict(zip(names, counts.sum(0).tolist(), strict=True)),
    }


def name_by_most(counts: Counts) -> NDArray[np.int64]:
    """Name each region after the class of most of its pixels.

    Args:
        counts: (regions, classes) labelled pixels.

    Returns:
        (regions) classes; a region without a labelled pixel gets the most frequent class.

    Raises:
        ValueError: nothing is labelled.
    """
    if not counts.sum():
        raise ValueError("no pixel of the labelled images has a class")
    mapping = many_to_one(counts)
    mapping[mapping == UNUSED] = int(counts.sum(0).argmax())
    return mapping


def semi_supervised_scores(
    per_image: Counts, labelled: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """Name regions by some labelled images and score them on the others.

    Each region gets the class of most of its pixels in the labelled images, see
    :func:`name_by_most`.

    Args:
        per_image: (images, regions, classes) pixels, usually of the overclustering head.
        labelled: numbers of the images whose labels name the regions.
        names: of the classes.

    Returns:
        :func:`named_scores` on the other images; "mapping"; "labelled", number of the images that
        name regions.

    Raises:
        ValueError: no image is left, or none of its pixels or of the labelled ones has a class.
    """
    chosen = np.zeros(len(per_image), bool)
    chosen[list(labelled)] = True
    known, rest = per_image[chosen].sum(0), per_image[~chosen].sum(0)
    mapping = name_by_most(known)
    scores = named_scores(rest, mapping, names)
    return {**scores, "mapping": mapping.tolist(), "labelled": int(chosen.sum())}


def region_names(counts: Counts, names: Sequence[str]) -> tuple[str, ...]:
    """Names of regions: the classes they stand for one to one; "region 0", ... for the others."""
    mapping = one_to_one(counts)
    return tuple(names[m] if m >= 0 else f"region {i}" for i, m in enumerate(mapping))
