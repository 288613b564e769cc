"""The images and masks that a fine-tuning of a discovery learns from and is scored on."""

from dataclasses import replace
from typing import Any

import numpy as np

from frugalseg.console import log
from frugalseg.data.image_mask_folder import ImageMaskFolder, open_any_folder
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.data import Indices, Parts

HELD_OUT_FROM = 20  # masks; of fewer none is held out to score on


def resolve_masks(config: FinetuneConfig) -> FinetuneConfig:
    """Fill in the settings that are left to the discovery.

    Raises:
        FrugalsegError: the discovery is not finished, there are no masks, or a setting is for
            clusterings.
    """
    discovery, _ = RunDir(config.clustering).finished(DiscoverConfig)
    if config.method == "network" or config.untrained:
        raise FrugalsegError(
            f"{config.clustering} is a discovery: --method network and --untrained are for "
            "clusterings."
        )
    if config.labels is not None:
        raise FrugalsegError(f"{config.clustering} is a discovery: give --masks, not --labels.")
    if config.masks is None and (discovery.masks is None or config.data):
        raise FrugalsegError(
            f"There are no masks to learn from: give --masks, a folder of masks of some images of "
            f"{config.data or discovery.data}."
        )
    if config.data:
        return config
    names = ("data", "masks", "mapping", "class_list", "ignore")
    own: dict[str, Any] = {
        name: getattr(config, name) or getattr(discovery, name) for name in names
    }
    return replace(config, **own)


def open_masks(config: FinetuneConfig, bands: int = 3) -> ImageMaskFolder:
    """The images and masks of a resolved configuration; `bands` as the discovery reads them.

    Raises:
        FrugalsegError: there are none, or they do not fit together.
    """
    return open_any_folder(
        config.data, config.masks, config.class_list, config.ignore, config.mapping, bands
    )


def masked_images(data: ImageMaskFolder, split: str) -> Indices:
    """Numbers of the images of a split that have a mask.

    Raises:
        FrugalsegError: there is no such split.
    """
    return np.array([i for i in data.indices(split) if data.samples[i].mask is not None], np.int64)


def choose_masks(config: FinetuneConfig, data: ImageMaskFolder) -> Parts:
    """Choose the masks to learn from and those to score on.

    Raises:
        FrugalsegError: there is no such split, or none of its images has a mask.
    """
    masks = {name: masked_images(data, name) for name, part in data.splits.items() if part}
    for name in (config.split, config.test):
        if name is not None and name not in masks:
            data.indices(name)  # says what is wrong
    others = [name for name in ("test", "val") if len(masks.get(name, ()))]
    split = config.split or ("train" if others and len(masks.get("train", ())) else "all")
    test = config.test or (others[0] if others and split == "train" else None)
    pool = masks[split]
    rng = np.random.default_rng((config.seed, 5))
    if test is not None:
        scored = masks[test]
    else:
        count = round(config.hold_out * len(pool)) if len(pool) >= HELD_OUT_FROM else 0
        scored = np.sort(rng.permutation(pool)[:count])
    learned = np.setdiff1d(pool, scored)
    if config.share < 1:
        count = max(1, round(config.share * len(learned)))
        learned = np.sort(np.random.default_rng((config.seed, 6)).permutation(learned)[:count])
    if not len(learned):
        raise FrugalsegError(f"{config.masks}: no image of {split} to learn from has a mask.")
    if config.test is not None and not len(scored):
        raise FrugalsegError(f"{config.masks}: no image of {test} to score on has a mask.")
    if not len(scored):
        log.info(
            "No mask is held out to score on; other masks do it: frugalseg evaluate --masks DIR."
        )
    return Parts(learned, scored, test or "held out")
