"""Train a clustering: from images, or heads on features of a frozen backbone."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from frugalseg.console import log
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.environment import default_device
from frugalseg.engine.run_dir import RunDir
from frugalseg.models.backbone import check_backbone
from frugalseg.models.heads import TwoHeadNet, principal_directions
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import batch_hints, training_indices
from frugalseg.tasks.cluster.features import FrozenFeatures, nearest_images
from frugalseg.tasks.cluster.module import FeatureModule, ImageModule
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.train import TrainingData, refuse_equal, train_heads


def train(
    config: ClusterConfig, images: ImageSet, run: RunDir, backbone: nn.Module | None = None
) -> None:
    """Train a run, or go on with an unfinished one: see :func:`train_heads`."""
    for hint in batch_hints(config):
        log.info(hint)

    def read(net: TwoHeadNet) -> TrainingData:
        if backbone is not None:
            check_backbone(net.backbone, config.views.out_channels, config.views.size)
        run.begin()  # its folder keeps features
        return build_training_data(config, images, net, run.checkpoints / "features")

    train_heads(config, run, backbone, read)


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
    values: dict[str, Any] = {"labels": None if images.labels is None else images.labels[order]}
    state = {"class_names": list(images.class_names)}
    if not config.frozen:
        log.info(f"Reading {len(order)} images")
        pixels = images.read_all(config.views.side, order)
        refuse_equal(config, [torch.from_numpy(pixels).flatten(1)], "equal")
        values["pixels"] = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return TrainingData(heads, ImageModule, values, None, config.shuffle, state)
    log.info(
        f"Computing features of {len(order)} images, {1 + not_none(config.num_views)} views each"
    )
    backbone = net.backbone.eval().to(default_device())
    folder = Path(config.features) if config.features else kept
    plain, transformed = FrozenFeatures(backbone, config, images, order, folder).compute()
    refuse_equal(config, [plain], "equal")
    net.centre, net.spread, net.directions = principal_directions(plain, net.components)
    values["plain"] = plain = net.reduce(plain)
    values["transformed"] = torch.stack([net.reduce(view) for view in transformed])
    values["near"] = nearest_images(plain, config.neighbours) if config.neighbours else None
    return TrainingData(heads, FeatureModule, values, net.cpu(), config.shuffle, state)
