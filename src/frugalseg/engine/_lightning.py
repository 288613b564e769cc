"""The parts of Lightning in use, imported so that they also work with a CPU build of torch."""

from frugalseg._torchvision import patch_torchvision

patch_torchvision()

import lightning  # noqa: E402
from lightning.fabric.utilities.exceptions import MisconfigurationException  # noqa: E402
from lightning.pytorch.callbacks import Callback, ModelCheckpoint  # noqa: E402
from lightning.pytorch.plugins.io import TorchCheckpointIO  # noqa: E402
from lightning.pytorch.utilities import rank_zero_only  # noqa: E402
from lightning.pytorch.utilities.types import OptimizerLRScheduler  # noqa: E402

__all__ = [
    "Callback",
    "MisconfigurationException",
    "ModelCheckpoint",
    "OptimizerLRScheduler",
    "TorchCheckpointIO",
    "lightning",
    "rank_zero_only",
]
