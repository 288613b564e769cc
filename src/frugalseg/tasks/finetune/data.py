"""The images that a fine-tuning learns from and is scored on, checked before work starts."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.augment.config import PRESETS, AugmentConfig, with_augment_options
from frugalseg.data.image_set import ImageSet
from frugalseg.data.open_images import open_images
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_csv
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.predict import ClusterRun
from frugalseg.tasks.finetune.config import FinetuneConfig

Indices = NDArray[np.int64]


def open_data(config: FinetuneConfig) -> ImageSet:
    """The images to learn from: those of the configuration, or those of the clustering.

    Raises:
        FrugalsegError: the clustering is not finished, or there are no images.
    """
    config = _with_data(config)
    if config.masks is not None:
        raise FrugalsegError(f"{config.clustering} is a clustering: give --labels, not --masks.")
    if config.untrained and config.method not in ("auto", "network"):
        raise FrugalsegError(f"--untrained is for --method network, not {config.method}.")
    return open_images(config.data, config.labels)


def _with_data(config: FinetuneConfig) -> FinetuneConfig:
    """Take data and labels from the clustering if the configuration names none."""
    clustering, _ = RunDir(config.clustering).finished(ClusterConfig)
    labels = config.labels or (None if config.data else clustering.labels)
    return replace(config, data=config.data or clustering.data, labels=labels)


def resolve(config: FinetuneConfig) -> FinetuneConfig:
    """Fill in the settings that are left to the clustering.

    Raises:
        FrugalsegError: a setting is out of range.
    """
    if config.crops not in (1, 5):
        raise FrugalsegError(f"crops={config.crops} is out of range: it must be 1 or 5.")
    if config.method == "auto":
        _, state = RunDir(config.clustering).finished(ClusterConfig)
        if config.untrained or not state["resolved"]["frozen"]:
            config = replace(config, method="network")
    return _with_data(config)


@dataclass(frozen=True)
class Parts:
    """Indices of images in their set.

    Attributes:
        learned: images to learn from.
        scored: images to score on, none of which is learned from.
        split: the split that was scored, or "held out".
    """

    learned: Indices
    scored: Indices
    split: str


def choose_parts(config: FinetuneConfig, images: ImageSet) -> Parts:
    """Choose the labelled images to learn from and those to score on.

    Args:
        config: the configuration.
        images: the set.

    Raises:
        FrugalsegError: there are no labels or too few, or there is no such split.
    """
    labels = images.labels
    if labels is None or not len(images.labelled):
        raise FrugalsegError(
            f"{images.root} has no labels to learn from: give --labels CSV (file,label), or "
            "--labels folders if sub-folders are the labels."
        )
    splits = images.splits
    for name in (config.split, config.test):
        if name is not None and name not in splits:
            raise FrugalsegError(
                f"{images.root} has no split {name!r}: there are {', '.join(splits)}."
            )
    own = {n: np.intersect1d(splits[n], images.labelled) for n in ("train", "test") if n in splits}
    both = len(own) == 2 and all(map(len, own.values()))
    test = config.test or ("test" if both and config.split in (None, "train") else None)
    pool = np.intersect1d(splits[config.split or ("train" if both else "all")], images.labelled)
    if test is not None:
        scored = np.intersect1d(splits[test], images.labelled)
    else:
        scored = draw(labels, pool, config.hold_out, config.seed, at_least=0)
    learned = np.setdiff1d(pool, scored)
    if config.share < 1:
        learned = draw(labels, learned, config.share, config.seed + 1, at_least=1)
    classes = len(np.unique(labels[learned]))
    if classes < 2:
        raise FrugalsegError(
            f"{images.root}: the {len(learned)} labels to learn from are of {classes} class; "
            "two classes or more are needed: give more labels, or a smaller --hold-out."
        )
    if not len(scored) and (config.test is not None or config.hold_out > 0):
        raise FrugalsegError(
            f"{images.root}: of {len(learned)} labelled images none is left to score on: "
            "give more labels, a larger --hold-out, or --hold-out 0 for no score."
        )
    return Parts(learned, scored, test or "held out")


def draw(labels: Indices, indices: Indices, share: float, seed: int, at_least: int) -> Indices:
    """Draw a share of the images of each class; a larger share holds those of a smaller one.

    Args:
        labels: of all images of the set.
        indices: of the images to draw from.
        share: 0 to 1.
        seed: of the drawing.
        at_least: the least number of images of each class; if it is 0, one of each class at least
            is not drawn.

    Returns:
        Sorted indices.
    """
    shuffled = np.random.default_rng((seed, 5)).permutation(indices)
    drawn = [np.zeros(0, np.int64)]
    for label in np.unique(labels[indices]):
        members = shuffled[labels[shuffled] == label]
        number = max(round(share * len(members)), at_least)
        drawn.append(members[: number if at_least else min(number, len(members) - 1)])
    return np.sort(np.concatenate(drawn))


def choose_augmentation(config: FinetuneConfig, run: ClusterRun) -> AugmentConfig:
    """How views are made for fine-tuning: as the configuration says, or as in the clustering.

    Raises:
        FrugalsegError: an option does not fit, or the views do not fit the clustering's backbone.
    """
    channels = run.config.views.out_channels
    views = run.config.views
    if config.augment is not None:
        views = PRESETS[config.augment]
    elif views == PRESETS["stl"]:
        views = PRESETS["stl-supervised"]  # as published
    views = with_augment_options(views, config.augment_options)
    if views.out_channels != channels:
        raise FrugalsegError(
            f"These views have {views.out_channels} channels, the backbone of {run.dir} takes "
            f"{channels}: leave out --augment."
        )
    return views


def read_pixels(images: ImageSet, indices: NDArray[np.int64], augment: AugmentConfig) -> Tensor:
    """Pixels ``(N, C, side, side)`` uint8 of some images of a set."""
    pixels = images.read_all(augment.side, indices).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(pixels))


def write_uses(images: ImageSet, parts: Parts, path: Path) -> None:
    """Write a table of the labels: file, label, and used (training, score or nothing)."""
    assert images.labels is not None
    used = dict.fromkeys(parts.learned.tolist(), "training")
    used |= dict.fromkeys(parts.scored.tolist(), "score")
    rows = [
        (images.names[i], images.class_names[images.labels[i]], used.get(i, ""))
        for i in images.labelled.tolist()
    ]
    write_csv([("file", "label", "used"), *rows], path)
