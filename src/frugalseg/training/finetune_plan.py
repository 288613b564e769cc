"""What a fine-tuning learns from and is scored on, checked before work starts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalseg.cluster_runs import ClusterRun
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.finetune_runs import FinetuneConfig
from frugalseg.training.limits import known_views, refuse_out_of_range, with_view_options
from frugalseg.training.views import PRESETS, Views

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Indices of images in their set.

    Attributes:
        learned: to learn from.
        scored: to score on; none of them is learned from.
        split: the split that was scored, or "held out".
    """

    learned: Indices
    scored: Indices
    split: str


def choose_parts(config: FinetuneConfig, images: ImageSet) -> Parts:
    """Which labelled images to learn from, and which to score on.

    Args:
        config: the configuration.
        images: the set.

    Raises:
        FrugalsegError: there are no labels, too few, or no such split.
    """
    labels = images.labels
    if labels is None or not len(images.labelled):
        raise FrugalsegError(
            f"{images.root} has no labels to learn from: give --labels CSV (file,label), or "
            "--labels folders where sub-folders are the labels."
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
        scored = draw(labels, pool, config.hold_out, config.seed, least=0)
    learned = np.setdiff1d(pool, scored)
    if config.share < 1:
        learned = draw(labels, learned, config.share, config.seed + 1, least=1)
    parts = Parts(learned, scored, test or "held out")
    _check_parts(config, images, labels, parts)
    return parts


def _check_parts(config: FinetuneConfig, images: ImageSet, labels: Indices, parts: Parts) -> None:
    kinds = len(np.unique(labels[parts.learned]))
    if kinds < 2:
        raise FrugalsegError(
            f"{images.root}: the {len(parts.learned)} labels to learn from are of {kinds} class; "
            "two classes or more are needed: give more labels, or a smaller --hold-out."
        )
    if not len(parts.scored) and (config.test is not None or config.hold_out > 0):
        raise FrugalsegError(
            f"{images.root}: of {len(parts.learned)} labelled images none is left to score on: "
            "give more labels, a larger --hold-out, or --hold-out 0 for no score."
        )


def draw(labels: Indices, indices: Indices, share: float, seed: int, least: int) -> Indices:
    """Draw a share of the images of each class, the same ones and more for a larger share.

    Args:
        labels: of all images of the set.
        indices: of the images to draw from.
        share: 0 to 1.
        seed: of the drawing.
        least: how many of each class at least; all but one are drawn at most, where that is 0.

    Returns:
        Sorted indices.
    """
    mixed = np.random.default_rng((seed, 5)).permutation(indices)
    found = []
    for kind in np.unique(labels[indices]):
        members = mixed[labels[mixed] == kind]
        number = max(round(share * len(members)), least)
        found.append(members[: number if least else min(number, len(members) - 1)])
    return np.sort(np.concatenate([np.zeros(0, np.int64), *found]))


def choose_views(config: FinetuneConfig, run: ClusterRun) -> Views:
    """How views are made for fine-tuning: as asked, or as the run's.

    Raises:
        FrugalsegError: no such views, or they do not fit the run's trunk.
    """
    views = Views(**run.plan.views)
    if config.views is not None:
        views = PRESETS[known_views(config.views)]
    elif views == PRESETS["stl"]:
        views = PRESETS["stl-supervised"]  # as published
    views = with_view_options(views, config.view_options)
    if views.out_channels != run.plan.channels:
        raise FrugalsegError(
            f"These views have {views.out_channels} channels, the trunk of {run.folder} takes "
            f"{run.plan.channels}: leave out --views."
        )
    return views


def check_numbers(config: FinetuneConfig) -> None:
    """Limits that no type says.

    Raises:
        FrugalsegError: a number is out of range.
    """
    sound = {
        "hold_out": 0 <= config.hold_out < 1,
        "share": 0 < config.share <= 1,
        "steps": config.steps >= 1,
        "batch": config.batch >= 2,
        "rate": config.rate > 0,
        "hidden": config.hidden >= 1,
        "crops": config.crops in (1, 5),
        "seed": 0 <= config.seed < 2**31 - 1,
    }
    refuse_out_of_range(config, sound)
