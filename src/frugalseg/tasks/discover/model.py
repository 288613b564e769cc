"""The network of a discovery, and a finished discovery, loaded."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from frugalseg.augment.config import CHANNELS
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.predict import RegionPrediction, predict_image
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.model import IICRun, build_two_heads, load_run


class DiscoverRun(IICRun[DiscoverConfig]):
    """A finished discovery, loaded."""

    @property
    def classes(self) -> int:
        """k, kinds of region."""
        return self.clusters

    @property
    def region_names(self) -> tuple[str, ...]:
        """Names of the regions: the classes that they stand for by masks, or "region 0", ..."""
        plain = tuple(f"region {i}" for i in range(self.classes))
        return tuple(self.state.get("region_names") or plain)

    def predict(self, image: Path | str | NDArray[np.uint8]) -> RegionPrediction:
        """Divide an image into regions: :func:`predict_image`."""
        return predict_image(self, image)


def build_discover_net(
    config: DiscoverConfig, classes: int, backbone: nn.Module | None = None
) -> TwoHeadNet:
    """The untrained network of a resolved configuration.

    Args:
        config: the configuration.
        classes: k of the main head.
        backbone: the configuration's backbone, if it is handed in; a copy of it is built in.

    Raises:
        FrugalsegError: as of :func:`frugalseg.tasks.iic.model.build_two_heads`.
    """
    channels, finer = CHANNELS[config.channels], not_none(config.overclasses)
    maps = {"maps": True, "strides": config.strides}
    return build_two_heads(config, classes, finer, channels, backbone, **maps)


def load_discover_run(folder: Path | str, backbone: nn.Module | None = None) -> DiscoverRun:
    """Load a finished discovery: see :func:`frugalseg.tasks.iic.model.load_run`."""
    return load_run(DiscoverRun, DiscoverConfig, build_discover_net, folder, backbone)
