"""The plain U-Net segmenter of Marin et al. 2019."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainUNet(nn.Module):
    """U-Net from nothing: padded 3x3 convolutions, each with batch norm and ReLU.

    Each level has two convolutions on the way down and two on the way up (Ronneberger et al. 2015).
    Any input size will do: pooling rounds odd sides up, and the way up is cut to the size of the
    skip. The default costs 0.29 million multiply-adds a pixel, near the 0.30 that table 2 of
    Marin et al. 2019 implies.

    Args:
        num_classes: channels of the scores.
        widths: features of each level, finest first.
        in_channels: channels of the image.
    """

    def __init__(
        self,
        num_classes: int,
        widths: Sequence[int] = (40, 80, 160, 320, 640),
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        inputs = [in_channels, *widths[:-1]]
        self.down = nn.ModuleList(_block(i, o) for i, o in zip(inputs, widths, strict=True))
        finer = list(pairwise(widths))[::-1]
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(deep, fine, 2, 2) for fine, deep in finer)
        self.up = nn.ModuleList(_block(2 * fine, fine) for fine, _ in finer)
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Scores ``(N, C, h, w)`` of images ``(N, in_channels, h, w)``."""
        skips = []
        x = image
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.max_pool2d(x, 2, ceil_mode=True))
            skips.append(x)
        skips.pop()
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            skip = skips.pop()
            x = enlarge(x)[..., : skip.shape[-2], : skip.shape[-1]]
            x = block(torch.cat([skip, x], 1))
        scores: Tensor = self.head(x)
        return scores


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
