"""A finished fine-tuning of a discovery, loaded, and what it learns from an image."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.data.class_lists.classes import ClassList, read_classes
from frugalseg.data.images import Pixels, scaled_size
from frugalseg.engine.environment import default_device
from frugalseg.engine.run_dir import RunDir, load_weights
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.predict import (
    DiscoverRun,
    RegionPrediction,
    labels_from_soft,
    place_answers,
    read_pixels,
)
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.net import ProbeNet, probe_net
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.model import build_net


@dataclass(frozen=True)
class PlaceRun:
    """A finished fine-tuning of a discovery, loaded.

    Attributes:
        dir: the run's folder.
        asked: the settings as they were given.
        config: the settings with nothing left open.
        discovery: the discovery below it, with weights of this run.
        classes: that it tells apart.
        state: the choices made in the training.
        net: in evaluation mode, on the GPU if there is one.
    """

    dir: RunDir
    asked: FinetuneConfig
    config: FinetuneConfig
    discovery: DiscoverRun
    classes: ClassList
    state: dict[str, Any]
    net: ProbeNet

    def predict(self, image: Path | str | Pixels, name: str = "") -> RegionPrediction:
        """Classify the pixels of an image; the regions of the answer are classes.

        Args:
            image: a file, or (H, W, 3) uint8; with four bands if the discovery sees infrared.
            name: of the image.

        Raises:
            FrugalsegError: the image cannot be read.
        """
        pixels = read_pixels(self.discovery, image)
        soft = place_answers(self.discovery, pixels, lambda shown: self.net(shown)[0])
        labels = labels_from_soft(self.discovery, soft, (pixels.shape[0], pixels.shape[1]))
        return RegionPrediction(name, labels, pixels, soft.numpy())


def place_inputs(
    discovery: DiscoverRun, net: ProbeNet, image: Pixels
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (h, w, F) and soft finer regions (h, w, K) of the places of an image."""
    both = place_answers(discovery, image, lambda shown: torch.cat(net.inputs(shown), 1)[0])
    rows = both.permute(1, 2, 0).numpy()
    count = net.weight.shape[1]
    return rows[..., :count], rows[..., count:]


def extent_in_places(discovery: DiscoverRun, size: tuple[int, int]) -> tuple[float, float]:
    """Height and width of an image of a size in places of the network, not rounded."""
    scaled = scaled_size(size, not_none(discovery.config.side))
    stride = discovery.net.backbone.stride
    return scaled[0] / stride, scaled[1] / stride


def load_place_run(folder: Path | str) -> PlaceRun:
    """Load a finished fine-tuning of a discovery; its network is on the GPU if there is one.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, or its weights do not fit.
    """
    run = RunDir(folder)
    asked, state = run.finished(FinetuneConfig)
    path = str(run.path / "state.json")
    config = FinetuneConfig.from_values(state["resolved"], path)
    settings = DiscoverConfig.from_values(state["discovery"], path)
    untrained = dataclasses.replace(settings, pretrained=False)
    source = build_net(untrained, int(state["source"]["clusters"]))
    discovery = DiscoverRun(run, settings, settings, state["source"], source)
    classes = read_classes(run.path / "classes.csv")
    net = probe_net(discovery, classes.num_classes)
    load_weights(net, run.weights, state["weights"])
    net = net.to(default_device()).eval()
    return PlaceRun(run, asked, config, discovery, classes, state, net)
