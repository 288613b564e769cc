"""A finished clustering, loaded, and its answers for images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.augment.views import prediction_view
from frugalseg.console import track
from frugalseg.data.image_set import ImageSet
from frugalseg.data.images import as_pixels, square
from frugalseg.engine.run_dir import finite_answer
from frugalseg.iic import clustering_diagnostics
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.evaluate import Answers
from frugalseg.tasks.cluster.features import FrozenFeatures
from frugalseg.tasks.iic.model import IICRun

PIECE = 256  # images read and answered at once

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

    config_class = ClusterConfig

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


def answer_images(run: ClusterRun, images: ImageSet, split: str = "all") -> Answers:
    """Assign the images of a split to clusters.

    Args:
        run: a finished run.
        images: the set.
        split: which of its images.

    Returns:
        The answers, in the order of the split.

    Raises:
        FrugalsegError: there is no such split, or an image cannot be read any more.
    """
    indices = images.indices(split)
    main, overcluster = _soft_answers(run, images, indices)
    chosen, finer = main[run.sub_head], overcluster[run.overcluster_sub_head]
    if "overcluster" not in run.config.head_order:
        finer = chosen  # the overclustering head has learned nothing
    return Answers(
        tuple(images.names[i] for i in indices),
        indices,
        chosen.numpy(),
        finer.numpy(),
        main.argmax(-1).numpy(),
        clustering_diagnostics(chosen) | run.known_agreement(images.root, split),
        None if images.labels is None else images.labels[indices],
        images.class_names,
    )


def _soft_answers(
    run: ClusterRun, images: ImageSet, indices: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """(S, N, k) of the main head and (S, N, K) of the overclustering head, on the CPU."""
    config, net, views = run.config, run.net, run.config.views
    kept = None  # features of these images that the training has left in its --features folder
    if config.frozen and config.features:
        folder = Path(config.features)
        kept = FrozenFeatures(net.backbone, config, images, indices, folder).read_plain()
    main, overcluster = [], []
    with torch.inference_mode():
        for start in track(range(0, len(indices), PIECE), "pieces"):
            piece = slice(start, start + PIECE)
            if kept is None:
                pixels = torch.from_numpy(images.read_all(views.side, indices[piece]))
                batch = pixels.permute(0, 3, 1, 2).contiguous().to(net.backbone.mean.device)
                features = net.backbone(prediction_view(batch, views))
            else:
                features = kept[piece].to(net.backbone.mean.device)
            reduced = net.reduce(features)
            main.append(net.assign(reduced, "main").float().cpu())
            overcluster.append(net.assign(reduced, "overcluster").float().cpu())
    return finite_answer(torch.cat(main, 1)), finite_answer(torch.cat(overcluster, 1))
