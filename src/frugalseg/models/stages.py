"""The features of all stages of a backbone side by side, of which a discovery sees some."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from frugalseg.models.backbone import Backbone, FusedMaps


def stage_indices(backbone: Backbone) -> list[int]:
    """Numbers of the maps of a timm model, the last one of each stride; [0] for other networks."""
    if not isinstance(backbone.network, FusedMaps):
        return [0]
    strides = _described(backbone.network).reduction()
    return sorted({stride: index for index, stride in enumerate(strides)}.values())


def num_stage_features(backbone: Backbone) -> int:
    """The number of features of :func:`every_stage` together."""
    if not isinstance(backbone.network, FusedMaps):
        return backbone.num_features
    channels = _described(backbone.network).channels()
    return int(sum(channels[index] for index in stage_indices(backbone)))


def _described(network: FusedMaps) -> Any:
    """What timm says of the maps of an encoder."""
    return network.encoder.feature_info


def every_stage(backbone: Backbone, images: Tensor) -> dict[int, Tensor]:
    """The maps of all stages of a timm model, at the resolution of the backbone's features.

    Args:
        backbone: that gives maps; if it is no timm model, its own are the only ones.
        images: ``(N, C, H, W)`` in [0, 1].

    Returns:
        By number, maps ``(N, c, h, w)``, finer ones averaged and coarser ones enlarged linearly.
        Those of ``backbone.network.indices``, joined, are the backbone's features.
    """
    network = backbone.network
    if not isinstance(network, FusedMaps):
        return {0: backbone(images)}
    maps = network.maps(backbone.pad(backbone.normalise(images)))
    rows, columns = maps[network.indices[0]].shape[-2:]
    height, width = (-(-side // backbone.stride) for side in images.shape[-2:])
    chosen = {index: _resized(maps[index], (rows, columns)) for index in stage_indices(backbone)}
    return {index: resized[..., :height, :width] for index, resized in chosen.items()}


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps at another size: averaged if it is smaller, else interpolated linearly."""
    if maps.shape[-2] > size[0]:
        return F.adaptive_avg_pool2d(maps, size)
    return F.interpolate(maps, size, mode="bilinear")
