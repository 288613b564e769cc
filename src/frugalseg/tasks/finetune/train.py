"""Train a fine-tuning: a classifier on the backbone of a clustering, taught with labels."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frugalseg.augment.config import AugmentConfig
from frugalseg.augment.views import transformed_views
from frugalseg.console import log
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.image_set import ImageSet
from frugalseg.engine._lightning import OptimizerLRScheduler
from frugalseg.engine.environment import is_main_process, seed_everything
from frugalseg.engine.module import StepModule
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.engine.trainer import fit
from frugalseg.models.backbone import third_stage
from frugalseg.models.heads import SupervisedNet
from frugalseg.tasks.cluster.predict import ClusterRun
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.data import choose_augmentation, choose_parts, read_pixels, write_uses
from frugalseg.tasks.finetune.model import build_supervised
from frugalseg.tasks.finetune.train_places import train_places
from frugalseg.tasks.finetune.train_probe import train_probe
from frugalseg.tasks.iic.schedule import HeadSchedule, StepIndices

BACKBONE_SHARE = 0.1  # of the classifier's learning rate; published are 1e-4 and 1e-3


class SupervisedModule(StepModule):
    """Teaches backbone and classifier with labels, on transformed views.

    Args:
        net: backbone and classifier.
        schedule: the images of each step; its heads do not matter.
        pixels: (N, C, side, side) uint8.
        labels: (N,) classes, all known.
        augment: how views are made.
        config: of the run.
    """

    def __init__(
        self,
        net: SupervisedNet,
        schedule: HeadSchedule,
        pixels: Tensor,
        labels: Tensor,
        augment: AugmentConfig,
        config: FinetuneConfig,
    ):
        super().__init__(schedule, config.steps, config.learning_rate, config.seed)
        self.net, self.pixels, self.labels, self.augment = net, pixels, labels, augment

    def training_step(self, batch: StepIndices, index: int) -> Tensor:
        rng = torch.Generator().manual_seed(batch.key)
        images = self.pixels[batch.indices].to(self.device)
        scores = self.net(transformed_views(images, 1, rng, self.augment))
        return F.cross_entropy(scores, self.labels[batch.indices].to(self.device))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        groups: list[dict[str, Any]] = [
            {
                "params": list(self.net.backbone.parameters()),
                "lr": BACKBONE_SHARE * self.learning_rate,
            },
            {"params": list(self.net.head.parameters())},
        ]
        return torch.optim.Adam(groups, lr=self.learning_rate)


def train(
    config: FinetuneConfig,
    images: ImageSet | ImageMaskFolder,
    run: RunDir,
    network: nn.Module | None = None,
) -> None:
    """Teach a classifier, or go on with an unfinished run.

    Args:
        config: resolved.
        images: the set, with labels; for discoveries with masks.
        run: its folder.
        network: not used.

    Raises:
        FrugalsegError: the settings or the images do not allow the training; the folder is not
            made.
    """
    if isinstance(images, ImageMaskFolder):
        train_places(config, images, run)
    elif config.method == "network":
        train_network(config, images, run)
    else:
        train_probe(config, images, run)


def train_network(config: FinetuneConfig, images: ImageSet, run: RunDir) -> None:
    """Teach the network of a clustering from labels."""
    clustering = ClusterRun.load(config.clustering)
    augment, parts = choose_augmentation(config, clustering), choose_parts(config, images)
    assert images.labels is not None
    run.begin()
    classes = len(images.class_names)
    log.info(f"Learning {classes} classes from {len(parts.learned)} labels")
    seed_everything(config.seed)
    if config.untrained:
        net = build_supervised(clustering.config, classes, augment.size, config.hidden)
    else:
        channels = clustering.config.views.out_channels
        backbone = third_stage(clustering.net.cpu().backbone, channels, augment.size)
        net = SupervisedNet(backbone.requires_grad_(True), classes, config.hidden)
    indices = np.arange(len(parts.learned))
    batch_size = min(config.batch_size, len(indices))
    schedule = HeadSchedule({"main": indices}, ("main",), 1, batch_size, config.seed)
    pixels = read_pixels(images, parts.learned, augment)
    labels = torch.from_numpy(images.labels[parts.learned])
    module = SupervisedModule(net, schedule, pixels, labels, augment, config)
    fit(module, run, "fine-tuning", config)
    if not is_main_process():
        return
    save_weights(net, run.weights)
    write_uses(images, parts, run.path / "labels.csv")
    run.finish(
        {
            "resolved": config.plain(),
            "clustering": clustering.config.plain(),
            "augment": dataclasses.asdict(augment),
            "class_names": list(images.class_names),
            "method": "network",
            "learned": len(parts.learned),
            "scored": len(parts.scored),
            "split": parts.split,
        }
    )
