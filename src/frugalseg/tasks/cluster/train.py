"""Train a clustering: from images, or heads on features of a frozen backbone."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frugalseg.console import log
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.environment import default_device
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.models.backbone import check_backbone
from frugalseg.models.heads import TwoHeadNet, principal_directions
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import few_pairs, training_indices
from frugalseg.tasks.cluster.features import FrozenFeatures, nearest_images
from frugalseg.tasks.cluster.module import ClusterModule, FeatureModule, ImageModule
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.model import build_net, share_frozen
from frugalseg.tasks.iic.schedule import HeadSchedule
from frugalseg.tasks.iic.train import build_first, train_heads


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The images of a training: their pixels, or features of a frozen backbone.

    Attributes:
        heads: the images of each head, counted among those of the training.
        indices: of the training images in their set.
        labels: of the training images, -1 if unknown; None without labels.
        pixels: (N, C, side, side) uint8, if the backbone learns.
        plain, transformed, near: of :class:`FeatureModule`, if the backbone is frozen.
        frozen: the network whose backbone computed these features and whose components reduced
            them.
    """

    heads: dict[str, NDArray[np.int64]]
    indices: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    pixels: Tensor | None = None
    plain: Tensor | None = None
    transformed: Tensor | None = None
    near: Tensor | None = None
    frozen: TwoHeadNet | None = None


def train(
    config: ClusterConfig, images: ImageSet, run: RunDir, backbone: nn.Module | None = None
) -> None:
    """Train a run, or go on with an unfinished one.

    Args:
        config: resolved.
        images: the set.
        run: its folder.
        backbone: a network of one's own in place of a named one; a copy is trained, from its
            weights. :func:`frugalseg.models.backbone.build_backbone` says what it must take,
            return and have.

    Raises:
        FrugalsegError: the settings or the images do not allow the training. Settings are refused
            before the folder is made.
    """
    _hint_at_small_batches(config)
    build = partial(build_net, config, backbone=backbone)
    first = build_first(config, build)
    if backbone is not None:
        check_backbone(first.backbone, config.views.out_channels, config.views.size)
    run.begin()
    data = build_training_data(config, images, first, run.checkpoints / "features")
    make = partial(make_module, config, data)
    state = {"class_names": list(images.class_names)}
    train_heads(config, run, config.clusters, "clusters", build, make, state)


def build_training_data(
    config: ClusterConfig, images: ImageSet, net: TwoHeadNet, kept: Path
) -> TrainingData:
    """Read the images, or compute the features of a frozen backbone.

    Args:
        config: resolved.
        images: the set.
        net: its backbone computes the features, if it is frozen; its components are set.
        kept: folder that keeps the features, unless the configuration names one.

    Raises:
        FrugalsegError: an image cannot be read, or all are equal.
    """
    heads = training_indices(config, images)
    order = heads["overcluster"]
    heads = {name: np.searchsorted(order, indices) for name, indices in heads.items()}
    labels = None if images.labels is None else images.labels[order]
    if not config.frozen:
        log.info(f"Reading {len(order)} images")
        pixels = images.read_all(config.views.side, order)
        _refuse_equal(config, torch.from_numpy(pixels))
        stacked = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return TrainingData(heads, order, labels, pixels=stacked)
    log.info(
        f"Computing features of {len(order)} images, {1 + not_none(config.num_views)} views each"
    )
    backbone = net.backbone.eval().to(default_device())
    folder = Path(config.features) if config.features else kept
    plain, transformed = FrozenFeatures(backbone, config, images, order, folder).compute()
    _refuse_equal(config, plain)
    net.centre, net.spread, net.directions = principal_directions(plain, net.components)
    plain = net.reduce(plain)
    transformed = torch.stack([net.reduce(view) for view in transformed])
    near = nearest_images(plain, config.neighbours) if config.neighbours else None
    return TrainingData(heads, order, labels, None, plain, transformed, near, net.cpu())


def make_module(
    config: ClusterConfig,
    data: TrainingData,
    net: TwoHeadNet,
    seed: int,
    head_order: tuple[str, ...] | None = None,
) -> ClusterModule:
    """The training module of a network.

    Args:
        config: resolved.
        data: the images.
        net: the network.
        seed: of the training.
        head_order: the heads that learn in turn; by default those of the configuration.
    """
    schedule = HeadSchedule(
        data.heads,
        head_order or config.head_order,
        not_none(config.steps_per_head),
        not_none(config.batch_size),
        seed,
        config.shuffle,
    )
    if data.pixels is not None:
        return ImageModule(
            net, schedule, config, seed, data.labels, pixels=data.pixels, augment=config.views
        )
    share_frozen(net, not_none(data.frozen))
    return FeatureModule(
        *(net, schedule, config, seed, data.labels),
        plain=not_none(data.plain),
        transformed=not_none(data.transformed),
        near=data.near,
    )


def _hint_at_small_batches(config: ClusterConfig) -> None:
    heads = {"overclusters": not_none(config.overclusters)}
    if config.clusters != "auto":
        heads["clusters"] = config.clusters
    for option, groups in heads.items():
        hint = few_pairs(groups, not_none(config.batch_size), not_none(config.num_views), option)
        if hint:
            log.info(hint)


def _refuse_equal(config: ClusterConfig, values: Tensor) -> None:
    if bool((values == values[:1]).all()):
        raise FrugalsegError(
            f"{config.data}: all images are equal, there is nothing to tell apart."
        )
