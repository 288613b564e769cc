"""Learn a classifier from labelled images, on the features and clusters of a clustering."""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.augment.config import AugmentConfig
from frugalseg.augment.views import prediction_view
from frugalseg.console import log, track
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.environment import default_device, seed_everything
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.tasks.cluster.predict import PIECE, ClusterRun
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.data import (
    Indices,
    choose_augmentation,
    choose_parts,
    read_pixels,
    write_uses,
)
from frugalseg.tasks.finetune.net import ProbeNet, probe_net
from frugalseg.tasks.finetune.probe import HALFWAY_IMAGES, RULE, choice_in_words, learn


def train_probe(config: FinetuneConfig, images: ImageSet, run: RunDir) -> None:
    """Learn from labels; an interrupted run begins again, since no network is trained.

    Args:
        config: resolved.
        images: the set, with labels.
        run: its folder.

    Raises:
        FrugalsegError: the labels do not suffice, or a file cannot be read; the folder is not made.
    """
    clustering = ClusterRun.load(config.clustering)
    augment, parts = choose_augmentation(config, clustering), choose_parts(config, images)
    assert images.labels is not None
    run.begin()
    seed_everything(config.seed)
    classes, labels = len(images.class_names), images.labels[parts.learned]
    net = probe_net(clustering, classes).to(default_device()).eval()
    features, soft = image_inputs(net, images, parts.learned, augment)
    method = config.method
    if method == "auto" and np.bincount(labels)[np.unique(labels)].min() < 2:
        method = RULE  # cross-validation cannot judge a class with one image
    items = (features, soft, labels, np.arange(len(labels)), classes)
    classifier, method, scores = learn(*items, method, config.balanced, config.seed, HALFWAY_IMAGES)
    log.info(f"{choice_in_words(method, scores)}, from {len(labels)} labels.")
    net.set_classifier(classifier)
    save_weights(net, run.weights)
    write_uses(images, parts, run.path / "labels.csv")
    run.finish(
        {
            "resolved": config.plain(),
            "clustering": clustering.config.plain(),
            "source": clustering.state,
            "augment": dataclasses.asdict(augment),
            "class_names": list(images.class_names),
            "method": method,
            "cross_validation": scores,
            "learned": len(parts.learned),
            "scored": len(parts.scored),
            "split": parts.split,
        }
    )


@torch.inference_mode()
def image_inputs(
    net: ProbeNet, images: ImageSet, indices: Indices, augment: AugmentConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (N, F) and soft finer clusters (N, K) of some images of a set."""
    features, soft = [], []
    for start in track(range(0, len(indices), PIECE), "pieces"):
        pixels = read_pixels(images, indices[start : start + PIECE], augment)
        view = prediction_view(pixels.to(next(net.source.parameters()).device), augment)
        both = net.inputs(view)
        features.append(both[0].cpu().numpy())
        soft.append(both[1].cpu().numpy())
    return np.concatenate(features), np.concatenate(soft)
