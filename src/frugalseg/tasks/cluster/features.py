"""Features of a frozen backbone: computed once, in pieces that an interruption leaves intact."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from frugalseg.augment.views import prediction_view, transformed_views
from frugalseg.console import track
from frugalseg.data.image_set import ImageSet
from frugalseg.files import atomic_write
from frugalseg.models.backbone import Backbone
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.iic.config import not_none

PIECE = 1024  # images in a file
BATCH = 32  # images computed at once, with all their views


@dataclasses.dataclass(frozen=True)
class FrozenFeatures:
    """Features of images by a frozen backbone, kept in the files of a folder.

    Features that the folder holds already, from an interrupted call or from another run of the same
    backbone, views and images, are read, not computed. The transformed views do not depend on the
    run's seed, so runs of a pretrained backbone can share them.

    Attributes:
        backbone: in evaluation mode.
        config: resolved; says how views are made and how many.
        images: the set.
        indices: (N,) which images.
        folder: where features are kept, in a folder whose name depends on all of the above.
    """

    backbone: Backbone
    config: ClusterConfig
    images: ImageSet
    indices: NDArray[np.int64]
    folder: Path

    def compute(self) -> tuple[Tensor, Tensor]:
        """Features of the plain view and of ``num_views`` transformed views of each image.

        Returns:
            ``(N, F)`` and ``(V, N, F)``, float16.

        Raises:
            FrugalsegError: an image cannot be read, or the folder cannot be written.
        """
        pieces = []
        for number, path in enumerate(track(self._paths(), "pieces")):
            features = _read_piece(path)
            if features is None:
                features = self._compute_piece(number)
                atomic_write(save({"features": features.contiguous()}), path)
            pieces.append(features)
        whole = torch.cat(pieces, 1)
        return whole[0], whole[1:]

    def read_plain(self) -> Tensor | None:
        """Features ``(N, F)`` of plain views, if they were computed before; else None."""
        pieces = [_read_piece(path) for path in self._paths()]
        plain = [piece[0] for piece in pieces if piece is not None]
        return torch.cat(plain) if len(plain) == len(pieces) else None

    def _paths(self) -> list[Path]:
        """The files of the pieces, in a folder named by everything that decides the features."""
        config, backbone = self.config, self.backbone
        deciding: list[Any] = [config.backbone, config.pretrained, config.num_views]
        deciding += [dataclasses.asdict(config.views), str(self.images.root.resolve())]
        digest = hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode())
        digest.update(os.fsencode("\n".join(self.images.names[i] for i in self.indices)))
        if not config.pretrained:  # the backbone's name does not tell its weights: a seed drew them
            digest.update(str(backbone).encode())
            for name, value in backbone.state_dict().items():
                digest.update(name.encode())
                digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
        folder = self.folder / digest.hexdigest()[:16]
        count = -(-len(self.indices) // PIECE)
        return [folder / f"{number:05d}.safetensors" for number in range(count)]

    def _compute_piece(self, number: int) -> Tensor:
        """(1 + V, n, F) features of the images of one file."""
        views, num_views = self.config.views, not_none(self.config.num_views)
        rng = torch.Generator().manual_seed(number)
        batches = torch.split(
            torch.from_numpy(self.indices[number * PIECE : (number + 1) * PIECE]), BATCH
        )
        features = []
        with torch.inference_mode():
            for indices in batches:
                pixels = torch.from_numpy(self.images.read_all(views.side, indices.numpy()))
                batch = pixels.permute(0, 3, 1, 2).to(self.backbone.mean.device)
                changed = transformed_views(batch, num_views, rng, views)
                shown = self.backbone(torch.cat([prediction_view(batch, views), changed]))
                features.append(shown.unflatten(0, (1 + num_views, len(batch))).half().cpu())
        return torch.cat(features, 1)


def _read_piece(path: Path) -> Tensor | None:
    """The features in a file; None if it is missing or damaged."""
    try:
        kept: Tensor = load(path.read_bytes())["features"]
    except (SafetensorError, OSError, KeyError):
        return None
    return kept


def nearest_images(reduced: Tensor, count: int) -> Tensor:
    """The nearest other images of each image, by the angle between their features.

    Args:
        reduced: ``(N, D)`` of :func:`frugalseg.models.heads.project`.
        count: number of neighbours, below N.

    Returns:
        ``(N, count)`` int64 indices, nearest first.
    """
    nearest = []
    for start in range(0, len(reduced), 2048):
        likeness = reduced[start : start + 2048] @ reduced.T
        rows = torch.arange(len(likeness))
        likeness[rows, start + rows] = -torch.inf  # no image is its own neighbour
        nearest.append(likeness.topk(count, 1).indices)
    return torch.cat(nearest)
