"""Maps of features of a frozen trunk, computed once for pieces of images and for changed views."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.data.pictures import Pixels
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.networks.heads import principal_directions
from frugalseg.training.dense_views import DenseViews, changed_view, inside, plain_frame, warp

BATCH = 8  # pictures computed at once
SHOWN = 50_000  # places from which principal components are found

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class FeatureMaps:
    """What heads on a frozen trunk learn from.

    Attributes:
        plain: (N, D, h, w) float16 reduced features.
        changed: (V, N, D, h, w) float16 of changed views, brought back to the plain frame.
        valid: (V, N, h, w) whether a place was in the view.
    """

    plain: Tensor
    changed: Tensor
    valid: Tensor


def pieces_of(image: Pixels, size: int) -> list[Pixels]:
    """Squares that cover an image along its longer side, spaced evenly; small ones are padded.

    Args:
        image: (H, W, C), its shorter side `size` or more.
        size: of the squares.
    """
    height, width = image.shape[:2]
    down, right = max(0, size - height), max(0, size - width)
    if down or right:
        image = np.pad(image, ((0, down), (0, right), (0, 0)), "edge")
    starts = [_starts(length, size) for length in image.shape[:2]]
    return [image[y : y + size, x : x + size] for y in starts[0] for x in starts[1]]


def _starts(length: int, size: int) -> NDArray[np.int64]:
    count = max(1, round(length / size + 0.2))
    return np.linspace(0, length - size, count).round().astype(np.int64)


def feature_maps(
    net: DiscoverNet,
    pictures: NDArray[np.uint8],
    copies: int,
    views: DenseViews,
    progress: Progress = iter,
) -> FeatureMaps:
    """Compute features of pictures and of changed views, and reduce them to principal components.

    The net's centre, spread and directions are set. The views do not depend on a run's seed.

    Args:
        net: in evaluation mode, on its device.
        pictures: (N, size, size, C) uint8.
        copies: V, changed views of each.
        views: how they are made.
        progress: wraps the loop over batches.
    """
    device = net.trunk.mean.device
    starts = range(0, len(pictures), BATCH)
    # components are found first: full features of all pictures would not fit into memory
    rng = np.random.default_rng(0)
    some = pictures[rng.permutation(len(pictures))[: 16 * BATCH]]
    with torch.inference_mode():
        shown = [
            _rows(net.trunk(plain_frame(_floats(some[i : i + BATCH], device), views)))
            for i in range(0, len(some), BATCH)
        ]
        rows = torch.cat(shown)
        rows = rows[torch.from_numpy(rng.permutation(len(rows))[:SHOWN]).to(device)]
        scale = principal_directions(rows, net.components)
    net.centre, net.spread, net.directions = (part.clone() for part in scale)
    generator = torch.Generator().manual_seed(0)
    plain, changed, valid = [], [], []
    with torch.inference_mode():
        for start in progress(starts):
            batch = _floats(pictures[start : start + BATCH], device)
            plain.append(_reduced(net, plain_frame(batch, views)))
            there = [_changed(net, batch, generator, views) for _ in range(copies)]
            changed.append(torch.stack([maps for maps, _ in there]))
            valid.append(torch.stack([mask for _, mask in there]))
    return FeatureMaps(torch.cat(plain), torch.cat(changed, 1), torch.cat(valid, 1))


def _floats(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    stacked = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    return stacked.to(device).float() / 255


def _rows(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).flatten(0, 2)


def _reduced(net: DiscoverNet, images: Tensor) -> Tensor:
    return net.reduce(net.trunk(images)).half().cpu()


def _changed(
    net: DiscoverNet, batch: Tensor, rng: torch.Generator, views: DenseViews
) -> tuple[Tensor, Tensor]:
    """Reduced features of changed views in the plain frame, and where they are known."""
    shown, geometry = changed_view(batch, rng, views)
    maps = net.reduce(net.trunk(shown))
    back = geometry.inverse
    return warp(maps, back).half().cpu(), inside(back, maps).cpu()
