"""The network of a fine-tuning, and a finished fine-tuning, loaded."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.augment.config import AugmentConfig
from frugalseg.augment.views import prediction_view
from frugalseg.engine.environment import default_device
from frugalseg.engine.run_dir import RunDir, finite_answer, load_weights
from frugalseg.models.backbone import third_stage
from frugalseg.models.heads import SupervisedNet
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.predict import ClusterRun, Image, ImagePrediction, read_squares
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.net import ProbeNet, probe_net
from frugalseg.tasks.iic.model import build_net


@dataclass(frozen=True)
class FinetuneRun:
    """A finished fine-tuning, loaded.

    Attributes:
        dir: the run's folder.
        asked: the settings as they were given.
        config: the settings with nothing left open.
        clustering: settings of the clustering whose backbone it has.
        augment: how views are made.
        class_names: of the classes.
        state: the choices made in the training.
        net: backbone and classifier, in evaluation mode, on the GPU if there is one.
    """

    dir: RunDir
    asked: FinetuneConfig
    config: FinetuneConfig
    clustering: ClusterConfig
    augment: AugmentConfig
    class_names: tuple[str, ...]
    state: dict[str, Any]
    net: SupervisedNet | ProbeNet

    def predict(self, images: Image | Sequence[Image]) -> ImagePrediction:
        """Classify images.

        Args:
            images: one or several, each a file or ``(H, W, 3)`` uint8 pixels.

        Raises:
            FrugalsegError: an image cannot be read, or is no such array.
        """
        answers = self.probabilities(read_squares(images, self.augment.side))
        return ImagePrediction(answers.argmax(1), answers)

    @torch.inference_mode()
    def probabilities(self, pixels: torch.Tensor) -> NDArray[np.float32]:
        """Probabilities of the classes, from the mean scores of views (ten as published).

        Args:
            pixels: ``(N, C, side, side)`` uint8.

        Returns:
            ``(N, classes)``.
        """
        placements = [(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)][: self.config.crops]
        mirrors = (False, True) if self.config.crops > 1 and self.augment.flip else (False,)
        pixels = pixels.to(next(self.net.parameters()).device)
        views = [prediction_view(pixels, self.augment, p, m) for p in placements for m in mirrors]
        scores = finite_answer(torch.stack([self.net(view) for view in views]).mean(0))
        soft = scores if isinstance(self.net, ProbeNet) else scores.softmax(1)
        answers: NDArray[np.float32] = soft.float().cpu().numpy()
        return answers


def build_supervised(
    clustering: ClusterConfig, classes: int, size: int, hidden: int
) -> SupervisedNet:
    """The untrained network of a clustering's backbone with a classifier on it.

    Args:
        clustering: settings of the clustering, resolved.
        classes: outputs.
        size: height and width of a view.
        hidden: features of the hidden layer.
    """
    backbone = build_net(dataclasses.replace(clustering, pretrained=False), 2).backbone
    channels = clustering.views.out_channels
    return SupervisedNet(third_stage(backbone, channels, size), classes, hidden)


def load_finetune_run(folder: Path | str) -> FinetuneRun:
    """Load a finished fine-tuning; its network is on the GPU if there is one.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, or its weights do not fit.
    """
    run = RunDir(folder)
    asked, state = run.finished(FinetuneConfig)
    path = str(run.path / "state.json")
    config = FinetuneConfig.from_values(state["resolved"], path)
    clustering = ClusterConfig.from_values(state["clustering"], path)
    augment = AugmentConfig(**state["augment"])
    names = tuple(state["class_names"])
    net: SupervisedNet | ProbeNet
    if state["method"] == "network":
        net = build_supervised(clustering, len(names), augment.size, config.hidden)
    else:
        untrained = dataclasses.replace(clustering, pretrained=False)
        source = build_net(untrained, int(state["source"]["clusters"]))
        net = probe_net(
            ClusterRun(run, clustering, clustering, state["source"], source), len(names)
        )
    load_weights(net, run.weights, state["weights"])
    net = net.to(default_device()).eval()
    return FinetuneRun(run, asked, config, clustering, augment, names, state, net)
