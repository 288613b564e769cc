"""The images of a clustering, and its settings resolved for them and checked."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from frugalseg.data.image_set import ImageSet
from frugalseg.data.open_images import open_images
from frugalseg.engine.config import OWN
from frugalseg.errors import FrugalsegError
from frugalseg.files import same_path
from frugalseg.models import BACKBONES
from frugalseg.models.pretrained import DEFAULT_ENCODER
from frugalseg.tasks.base import Options
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.iic.config import fill_in, not_none, resolve_backbone

SMALL = 32  # pixels; images of which no side is longer are not photographs
DISTRACTORS = "unlabelled"  # the split that only the overclustering head sees
# A batch of pairs must fill the k * k entries of the joint distribution of k groups. With fewer
# pairs for each group than this, chance looks like information.
PAIRS_A_GROUP = 5


@dataclass(frozen=True)
class _Defaults:
    """Default settings for a way to make views."""

    backbone: str
    batch_size: int
    steps: int
    num_views: int
    steps_per_head: int
    learning_rate: float = 1e-3
    neighbours: int = 0


_SMALL_NETWORK = _Defaults("vgg-iic", 140, 3000, 5, 50)
_DEFAULTS = {
    "digits": _Defaults("vgg-iic", 140, 900, 3, 20),
    "mnist": _SMALL_NETWORK,
    "cifar": _Defaults("resnet34-iic", 220, 20000, 3, 100),
    "stl": _Defaults("resnet34-iic", 140, 20000, 5, 100),
    "photo": _Defaults(DEFAULT_ENCODER, 1000, 600, 4, 1, learning_rate=1e-2, neighbours=20),
}


def open_data(config: ClusterConfig) -> ImageSet:
    """The images that a configuration names.

    Raises:
        FrugalsegError: there are none, or the labels do not fit.
    """
    images = open_images(config.data, config.labels)
    images.indices(config.split)
    return images


def config_to_score(config: Any, data: str | None, options: Options) -> Any:
    """The configuration of the images that a run is scored on.

    Args:
        config: of the run.
        data: other images than the run's own, if any.
        options: "labels", if they are not those of the images.
    """
    if data is not None and not same_path(data, config.data):
        config = dataclasses.replace(config, data=data, labels=None, split="all")
    labels = options.get("labels")
    return config if labels is None else dataclasses.replace(config, labels=str(labels))


def resolve(
    config: ClusterConfig, images: ImageSet, backbone: nn.Module | None = None
) -> ClusterConfig:
    """Fill in the settings that are left to the data, and refuse those that cannot work.

    Args:
        config: as given.
        images: the set.
        backbone: a network that is handed in, if any.

    Raises:
        FrugalsegError: there are too few images, or settings do not go together.
    """
    count = len(images.indices(config.split))
    clusters, fewest = (2, 4) if config.clusters == "auto" else (config.clusters, 2)
    if count < max(clusters, fewest):
        raise FrugalsegError(
            f"{config.data}: {count} image{'s' * (count > 1)} cannot form {clusters} clusters: "
            "give more images or fewer --clusters."
        )
    config = dataclasses.replace(config, augment=config.augment or _preset(config, images))
    defaults = _DEFAULTS.get(str(config.augment), _DEFAULTS["stl"])
    config = resolve_backbone(config, defaults.backbone)
    from_papers = config.backbone in BACKBONES or config.backbone == OWN
    if from_papers != (defaults.backbone in BACKBONES):  # heads alone, or a backbone that learns
        defaults = _DEFAULTS["photo"] if config.frozen else _SMALL_NETWORK
    default_batch = defaults.batch_size if config.frozen else min(defaults.batch_size, 220)
    batch_size = min(config.batch_size or default_batch, count)
    # of neighbours at most half of an equal cluster: more would join clusters if images are few
    half_cluster = max(1, count // (2 * (10 if config.clusters == "auto" else config.clusters)))
    config = fill_in(
        dataclasses.replace(config, batch_size=batch_size),
        width=16,
        hidden=0,
        components=128,
        neighbours=min(defaults.neighbours, half_cluster) if config.frozen else 0,
        overclusters=_overclusters(config, batch_size),
        sub_heads=5,
        num_views=defaults.num_views,
        steps=defaults.steps,
        steps_per_head=defaults.steps_per_head,
        learning_rate=defaults.learning_rate,
    )
    config = dataclasses.replace(config, neighbours=min(not_none(config.neighbours), count - 1))
    _refuse_contradictions(config)
    return config


def training_indices(config: ClusterConfig, images: ImageSet) -> dict[str, NDArray[np.int64]]:
    """The images that each head is trained on.

    The main head sees no distractors, unless the split names them.
    """
    overcluster = images.indices(config.split)
    main = overcluster
    if DISTRACTORS in images.splits and DISTRACTORS not in config.split.split("+"):
        main = np.setdiff1d(overcluster, images.splits[DISTRACTORS])
    return {"main": main, "overcluster": overcluster}


def batch_hints(config: ClusterConfig) -> list[str]:
    """Sentences that name a larger batch size if the heads' groups are many for a batch.

    Args:
        config: resolved.
    """
    batch_size, num_views = not_none(config.batch_size), not_none(config.num_views)
    heads = {config.finer_setting: config.finer, config.groups_setting: config.groups}
    return [
        f"{option}={groups} is much for batches of {batch_size} images in {num_views} views: "
        f"--batch-size {-(-groups * PAIRS_A_GROUP // num_views)} would tell them apart better."
        for option, groups in heads.items()
        if groups != "auto" and groups * PAIRS_A_GROUP > batch_size * num_views
    ]


def _overclusters(config: ClusterConfig, batch_size: int) -> int:
    if config.clusters == "auto":
        return max(2, min(50, batch_size // 2))
    return max(config.clusters, min(5 * config.clusters, batch_size // 2))


def _preset(config: ClusterConfig, images: ImageSet) -> str:
    """The default way to make views of these images."""
    side = int(images.sizes.max())
    if side <= SMALL and images.read(0).shape[2] == 1:
        return "digits" if side <= 12 else "mnist"
    if config.backbone in BACKBONES:
        return "cifar" if side <= SMALL else "stl"
    return "photo"


def _refuse_contradictions(config: ClusterConfig) -> None:
    """Settings that do not go together."""
    batch_size = not_none(config.batch_size)
    largest = not_none(config.overclusters) if "overcluster" in config.head_order else 0
    if config.clusters != "auto":
        largest = max(largest, config.clusters)
    if batch_size < largest:
        raise FrugalsegError(
            f"A step of {batch_size} images cannot tell {largest} clusters apart: take fewer "
            f"clusters, or --batch-size {2 * largest} if there are so many images."
        )
    several = config.devices not in ("auto", "1") or config.nodes > 1
    if config.micro_batch_size and several:
        raise FrugalsegError(
            "--micro-batch-size is for one device: leave it out, or --devices and --nodes."
        )
    if config.neighbours and not config.frozen:
        raise FrugalsegError("--neighbours are sought among frozen features: add --frozen.")
