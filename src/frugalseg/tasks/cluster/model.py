"""The network of a clustering, and a finished clustering, loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from frugalseg.augment.views import prediction_view
from frugalseg.data.images import as_pixels, square
from frugalseg.engine.run_dir import finite_answer
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.model import IICRun, build_two_heads, load_run

Image = Path | str | NDArray[np.uint8]


@dataclass(frozen=True)
class ImagePrediction:
    """The clusters, or classes, of N images.

    Attributes:
        labels: (N,) the most probable cluster or class of each image.
        probabilities: (N, k).
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


class ClusterRun(IICRun[ClusterConfig]):
    """A finished clustering, loaded."""

    @torch.inference_mode()
    def predict(self, images: Image | Sequence[Image]) -> ImagePrediction:
        """Assign images to clusters.

        Args:
            images: one or several, each a file or ``(H, W, 3)`` uint8 pixels.

        Raises:
            FrugalsegError: an image cannot be read, or is no such array.
        """
        views = self.config.views
        batch = read_squares(images, views.side).to(self.net.backbone.mean.device)
        assigned = self.net(prediction_view(batch, views), "main")[self.sub_head]
        answers = finite_answer(assigned.float().cpu()).numpy()
        return ImagePrediction(answers.argmax(1), answers)


def read_squares(images: Image | Sequence[Image], side: int) -> torch.Tensor:
    """Pixels ``(N, 3, side, side)`` uint8 of one or several images.

    Raises:
        FrugalsegError: an image cannot be read, or is no ``(H, W, 3)`` array of uint8.
    """
    several = [images] if isinstance(images, str | Path | np.ndarray) else images
    pixels = np.stack([square(as_pixels(image), side) for image in several])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def build_net(
    config: ClusterConfig, clusters: int, backbone: nn.Module | None = None
) -> TwoHeadNet:
    """The untrained network of a resolved configuration.

    Args:
        config: the configuration.
        clusters: k of the main head.
        backbone: the configuration's backbone, if it is handed in; a copy of it is built in.

    Raises:
        FrugalsegError: as of :func:`frugalseg.tasks.iic.model.build_two_heads`.
    """
    overclusters = not_none(config.overclusters)
    return build_two_heads(config, clusters, overclusters, config.views.out_channels, backbone)


def load_cluster_run(folder: Path | str, backbone: nn.Module | None = None) -> ClusterRun:
    """Load a finished clustering: see :func:`frugalseg.tasks.iic.model.load_run`."""
    return load_run(ClusterRun, ClusterConfig, build_net, folder, backbone)
