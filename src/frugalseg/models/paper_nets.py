"""The networks of the papers: Ji et al. 2019 (clustering) and Marin et al. 2019 (segmentation).

Backbones have the attributes ``num_features`` and ``stride``: the pixels from one feature to the
next, or 0 if they give a vector for each image.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResNet34(nn.Module):
    """The 34 layers of Ji et al. 2019 ("5g"): a 3x3 stem without stride, four stages of blocks.

    Any size works: the last maps are averaged.

    Args:
        channels: of the images.
        width: features of the first stage; the stages have 1, 2, 4 and 8 times as many.
    """

    stride = 0

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        # the pool pads, as the published one does: 32 pixels become 17, 9, 5 and 3
        self.stem = nn.Sequential(*conv(channels, width, 3), nn.MaxPool2d(2, padding=1))
        stages, inputs = [], width
        for stage, blocks in enumerate((3, 4, 6, 3)):
            outputs = width * 2**stage
            layers = [_Block(inputs, outputs, 2 if stage else 1)]
            layers += [_Block(outputs, outputs, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*layers))
            inputs = outputs
        self.stages = nn.Sequential(*stages)
        self.num_features = inputs
        _initialise(self, "fan_out")

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, 8 * width)`` of images ``(N, channels, H, W)``."""
        maps: Tensor = self.stages(self.stem(images))
        return maps.mean((2, 3))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv(inputs, outputs, 3, stride)
        self.second = conv(outputs, outputs, 3)[:2]
        plain = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if plain else conv(inputs, outputs, 1, stride)[:2]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class Vgg(nn.Module):
    """The small VGG of Ji et al. 2019 ("6c"): four 5x5 convolutions, three halvings, no last pool.

    At 24 pixels it is as published (3x3 maps, flattened); maps of other sizes are averaged to 3x3.

    Args:
        channels: of the images.
        width: features of the first convolution; the others have 2, 4 and 8 times as many.
    """

    stride = 0

    def __init__(self, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for k in range(4):
            layers += [nn.MaxPool2d(2)] if k else []
            layers.append(conv(inputs, width * 2**k, 5))
            inputs = width * 2**k
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.num_features = 9 * inputs
        _initialise(self, "fan_in")

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, 9 * 8 * width)`` of images ``(N, channels, H, W)``."""
        features: Tensor = self.layers(images)
        return features


class SegmentationVgg(nn.Module):
    """The segmentation network of Ji et al. 2019 ("10a"): six 3x3 convolutions, one halving.

    The published one pads its dilated convolutions by 1, which trims the maps; here they are padded
    by 2, which keeps the size.

    Args:
        channels: of the images.
        width: features of the first convolution; 64 is the paper's, the last two have 8 times it.
    """

    stride = 2

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        # multiple of the width, and dilation, of each convolution
        for k, (times, dilation) in enumerate([(1, 1), (2, 1), (4, 1), (4, 1), (8, 2), (8, 2)]):
            layers += conv(inputs, times * width, 3, dilation=dilation)
            layers += [nn.MaxPool2d(2)] if k == 1 else []
            inputs = times * width
        self.layers = nn.Sequential(*layers)
        self.num_features = inputs
        _initialise(self, "fan_in")

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, 8 * width, H / 2, W / 2)`` of images ``(N, channels, H, W)``."""
        features: Tensor = self.layers(images)
        return features


class PlainUNet(nn.Module):
    """U-Net without a pretrained encoder: padded 3x3 convolutions, each with batch norm and ReLU.

    Each level has two convolutions on the way down and two on the way up (Ronneberger et al. 2015).
    It takes images of any size: pooling rounds odd sides up, and the way up is cropped to the size
    of the skip. The default costs 0.29 million multiply-adds per pixel, near the 0.30 that table 2
    of Marin et al. 2019 implies.

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
    return nn.Sequential(*conv(inputs, outputs), *conv(outputs, outputs))


def conv(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size (at stride 1), batch norm and ReLU."""
    padding = kernel // 2 * dilation
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _initialise(network: nn.Module, mode: Literal["fan_in", "fan_out"]) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")
