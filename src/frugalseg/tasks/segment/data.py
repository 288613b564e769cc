"""The data of a segmentation run, opened and checked before training starts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from frugalseg.console import log
from frugalseg.data.class_lists.classes import ClassList
from frugalseg.data.image_mask_folder import ImageMaskFolder, hold_out, open_folder
from frugalseg.data.images import read_image
from frugalseg.data.layouts.samples import Sample
from frugalseg.data.masks import read_mask
from frugalseg.data.pseudo_labels import has_masks, open_pseudo_labelled_folder
from frugalseg.engine.config import Size
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads, same_path
from frugalseg.models.samplers import default_thumbnail
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.predict import DiscoverRun, discover_labels
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.crops import CachedImages


def open_data(config: SegmentConfig) -> ImageMaskFolder:
    """Open the data that a configuration names; with ``hold_out`` they have a split "held" as well.

    Raises:
        FrugalsegError: there are no images with masks, or something is wrong with them.
    """
    dataset = _open(config)
    splits = dict(dataset.splits)
    if config.hold_out and splits.get("train"):
        splits["train"], splits["held"] = hold_out(splits["train"], config.hold_out, seed=0)
    if 0 < config.mask_share < 1 and splits.get("train"):
        splits["train"], rest = hold_out(splits["train"], 1 - config.mask_share, seed=0)
        unlabelled = tuple(replace(sample, mask=None) for sample in rest)
        splits["unlabelled"] = splits.get("unlabelled", ()) + unlabelled
    return replace(dataset, splits=splits)


def _open(config: SegmentConfig) -> ImageMaskFolder:
    settings: dict[str, Any] = {
        "classes": config.classes,
        "ignore": config.ignore,
        "seed": 0,  # the split must not change with the training's seed
        "targets": config.targets,
        "mapping": config.mapping,
        "val_share": config.val_share,
    }
    named = config.images is not None or config.masks is not None
    if config.boundaries is None or named or has_masks(config.data):
        settings |= {"unlabelled": config.boundaries is not None}
        folder = open_folder(config.data, images=config.images, masks=config.masks, **settings)
        regions = None if config.boundaries is None else _region_finder(config.boundaries)
        return replace(folder, find_regions=regions)
    discovery, _ = RunDir(config.boundaries).finished(DiscoverConfig)
    if Path(discovery.data).exists() and not same_path(discovery.data, config.data):
        raise FrugalsegError(  # unless the folder has been moved since
            f"{config.boundaries} has divided {discovery.data}, not {config.data}, which has no "
            "masks: give a discovery of this folder."
        )
    return open_pseudo_labelled_folder(config.data, config.boundaries, **settings)


def _region_finder(folder: str) -> Callable[[Path], NDArray[np.uint8]]:
    """A function that divides an image into regions by a discovery, loaded when first used.

    Its finer regions are used, if it has them: regions of about equal size miss small things.
    """
    load = cache(lambda: DiscoverRun.load(folder))

    def find(image: Path) -> NDArray[np.uint8]:
        finer = "overcluster" in load().config.head_order
        return discover_labels(load(), image, "overcluster" if finer else "main")

    return find


def boundaries_to_learn(dataset: ImageMaskFolder, masks: CachedImages) -> CachedImages:
    """The images whose boundaries the sampler learns.

    Args:
        dataset: the folder.
        masks: the training images that have masks.

    Returns:
        All training images, with the boundaries of a discovery, if the folder is to be divided by
        one; otherwise `masks`.
    """
    if dataset.find_regions is None:
        return masks
    samples = dataset.splits["train"] + dataset.splits.get("unlabelled", ())
    log.info(f"Finding the boundaries of {len(samples)} images by the discovery")
    store = CachedImages(samples, dataset.classes, masks.size, regions=dataset.find_regions)
    for i in range(len(store)):  # here, because the network must not run in the batches' threads
        store[i]
    return store


def resolve(
    config: SegmentConfig, dataset: ImageMaskFolder, network: nn.Module | None = None
) -> SegmentConfig:
    """Fill in the settings that are left to the data, and refuse those that cannot work.

    The blend stays open: it is chosen during training, once there is a sampler.

    Args:
        config: the configuration, not resolved.
        dataset: the folder.
        network: a segmenter that is handed in, if any.

    Raises:
        FrugalsegError: there are too few images, or settings contradict each other.
    """
    images = len(dataset.splits.get("train", ()))
    if not images:
        raise FrugalsegError(f"{config.data}: there are no training images.")
    if config.folds > images:
        raise FrugalsegError(f"folds={config.folds} is out of range: there are {images} images.")
    if config.joint and config.folds > 1:
        raise FrugalsegError(
            "--joint teaches one sampler with every image, --folds would teach others that leave "
            "some out: give only one of them."
        )
    if config.boundaries is not None and dataset.find_regions is not None:
        DiscoverRun.load(config.boundaries)
    if config.mask_share < 1 and dataset.pseudo_labels is not None:
        raise FrugalsegError(f"{config.data} has no masks to share out: leave out --mask-share.")
    _refuse_many_points(dataset, config.size)
    splits = ("train", "val", "unlabelled")
    samples = [sample for split in splits for sample in dataset.splits.get(split, ())]
    sizes = np.array([dataset.sizes[sample.image] for sample in samples])
    aspect = float(np.median(sizes[:, 1] / sizes[:, 0]))
    thumbnail = config.thumbnail or default_thumbnail(config.size, aspect, config.sampler)
    return replace(config, thumbnail=thumbnail)


def _refuse_many_points(dataset: ImageMaskFolder, size: Size) -> None:
    """Refuse more points than an image has pixels."""
    for sample in (sample for samples in dataset.splits.values() for sample in samples):
        height, width = dataset.sizes[sample.image]
        if height < size[0] or width < size[1]:
            raise FrugalsegError(
                f"{size[0]}x{size[1]} points are more than the pixels of "
                f"{sample.image} ({height}x{width}): give a smaller --size."
            )


def read_through(samples: Sequence[Sample], classes: ClassList) -> None:
    """Read images and masks once, so that a broken file is reported before any work starts.

    Raises:
        FrugalsegError: a file cannot be read, or a mask holds an id outside the list.
    """

    def read(sample: Sample) -> None:
        assert sample.mask is not None
        read_image(sample.image, 8)
        read_mask(sample.mask, classes)

    for _ in in_threads(read, samples):
        pass
