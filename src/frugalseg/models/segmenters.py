"""Segmenters by name, or any network of the user's, behind one interface.

A :class:`Segmenter` takes images in ``[0, 1]`` of any size and gives scores of that size. To add
one by name: a function here and a line in :data:`frugalseg.models.SEGMENTERS`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from frugalseg.errors import FrugalsegError
from frugalseg.models import SEGMENTERS
from frugalseg.models.backbone import NetworkWrapper
from frugalseg.models.encoder_decoder import build_encoder_decoder
from frugalseg.models.paper_nets import PlainUNet
from frugalseg.models.pretrained import DEFAULT_ENCODER, encoder_mean_std
from frugalseg.registry import refuse_unknown_options
from frugalseg.sampling import cell_spacing


class Segmenter(NetworkWrapper):
    """A network from ``(N, 3, h, w)`` to ``(N, C, h, w)`` that takes images in [0, 1] of any size.

    Images are normalised; sides that the network cannot take are padded at the bottom and right by
    repeating the last pixels, and the scores are cropped back. The network can be told the position
    of each sample (:func:`geometry_channels`) through two 1x1 convolutions that start at zero: one
    is added to the normalised image, one to the scores.

    Args:
        network: from normalised images to scores of the same size.
        num_classes: channels of its scores.
        mean, std: of red, green and blue, for normalising; zeros and ones leave images in
            ``[0, 1]``.
        multiple: both sides of the network's input must be a multiple of this (such as 32).
        extra_channels: channels of the geometry that ``forward`` takes; 0 for no geometry.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        multiple: int = 1,
        extra_channels: int = 0,
    ) -> None:
        super().__init__(network, multiple, mean, std)
        self.num_classes = num_classes
        self.extra_channels = extra_channels
        if extra_channels:
            self.add_to_image = _silent(extra_channels, len(mean))
            self.add_to_scores = _silent(extra_channels, num_classes)

    def forward(self, image: Tensor, geometry: Tensor | None = None) -> Tensor:
        """Score each class at each pixel.

        Args:
            image: ``(N, 3, h, w)`` in ``[0, 1]``.
            geometry: ``(N, extra_channels, h, w)``; needed if ``extra_channels`` is above 0.

        Returns:
            ``(N, C, h, w)``, before any softmax.

        Raises:
            ValueError: the geometry is missing, or the segmenter takes none.
            FrugalsegError: the network returns scores of another shape.
        """
        if (geometry is not None) != (self.extra_channels > 0):
            raise ValueError(
                f"this segmenter takes {self.extra_channels or 'no'} geometry channels, "
                f"but was given {'none' if geometry is None else geometry.shape[1]}"
            )
        x = self.normalise(image)
        if geometry is not None:
            x = x + self.add_to_image(geometry)
        x = self.pad(x)
        scores: Tensor = self.network(x)
        if scores.shape != (len(x), self.num_classes, *x.shape[-2:]):
            raise FrugalsegError(
                f"The segmenter gave scores of shape {tuple(scores.shape)} for images of shape "
                f"{tuple(x.shape)}; it must give {self.num_classes} classes at the same size."
            )
        scores = scores[..., : image.shape[-2], : image.shape[-1]]
        return scores if geometry is None else scores + self.add_to_scores(geometry)


def geometry_channels(phi: Tensor) -> Tensor:
    """The position of each sample and the size of its cell, as input of a segmenter.

    Args:
        phi: ``(N, h, w, 2)`` in ``[0, 1]``.

    Returns:
        ``(N, 4, h, w)``: row and column in ``[-1, 1]``, and the logarithms of the vertical and the
        horizontal spacing relative to uniform sampling (0 for uniform sampling).
    """
    channels = torch.cat([2 * phi - 1, cell_spacing(phi).log()], -1)
    return channels.permute(0, 3, 1, 2)


def build_segmenter(
    name: str | nn.Module,
    num_classes: int,
    encoder: str = DEFAULT_ENCODER,
    pretrained: bool = True,
    extra_channels: int = 0,
    **options: Any,
) -> Segmenter:
    """Build a segmenter.

    Args:
        name: one of :data:`frugalseg.models.SEGMENTERS`: ``unet-plain`` (the paper's, without a
            pretrained encoder), ``unet``, ``pspnet`` (dilated to stride 8), ``deeplabv3plus`` or
            another architecture of segmentation-models-pytorch; or a network from ``(N, 3, h, w)``
            to ``(N, num_classes, h, w)``.
        num_classes: at least 1.
        encoder: a timm model; not used by ``unet-plain`` or a network.
        pretrained: start the encoder from ImageNet weights. Those of the default encoder are
            installed, others are downloaded.
        extra_channels: channels of geometry that the segmenter takes: 4 for
            :func:`geometry_channels`, 0 for no geometry.
        **options: arguments of the network, such as ``widths`` of ``unet-plain`` or
            ``decoder_channels`` of ``unet``; for a network, ``mean``, ``std`` and ``multiple`` of
            :class:`Segmenter`.

    Returns:
        The segmenter, in training mode.

    Raises:
        FrugalsegError: the name, encoder or option is unknown, the encoder does not suit the
            network, or its weights cannot be loaded.
    """
    if num_classes < 1:
        raise FrugalsegError(f"A segmenter needs at least 1 class, not {num_classes}.")
    if isinstance(name, nn.Module):
        return Segmenter(name, num_classes, extra_channels=extra_channels, **options)
    segmenter: Segmenter = SEGMENTERS.find(name)(
        num_classes, encoder, pretrained, extra_channels, options
    )
    return segmenter


def unet_plain(
    num_classes: int, encoder: str, pretrained: bool, extra_channels: int, options: dict[str, Any]
) -> Segmenter:
    """Build the paper's U-Net, which has no encoder of timm's."""
    refuse_unknown_options("The segmenter 'unet-plain'", options, {"widths"})
    widths = options.get("widths", (1,))
    if not widths or min(widths) < 1:
        raise FrugalsegError(
            f"The widths of 'unet-plain' are the features of each level, at least 1, such as "
            f"40 80 160, not {list(widths)}."
        )
    return Segmenter(PlainUNet(num_classes, **options), num_classes, extra_channels=extra_channels)


def _encoder_decoder(
    name: str,
    num_classes: int,
    encoder: str,
    pretrained: bool,
    extra_channels: int,
    options: dict[str, Any],
) -> Segmenter:
    """Build a segmenter with an architecture of :mod:`frugalseg.models.encoder_decoder`."""
    network, multiple = build_encoder_decoder(
        name, num_classes, encoder, pretrained, options=options
    )
    mean, std = encoder_mean_std(encoder)
    return Segmenter(network, num_classes, mean, std, multiple, extra_channels)


def _silent(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution whose output is zero until it has learned."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


unet = partial(_encoder_decoder, "unet")
pspnet = partial(_encoder_decoder, "pspnet")
deeplabv3plus = partial(_encoder_decoder, "deeplabv3plus")
deeplabv3 = partial(_encoder_decoder, "deeplabv3")
unetplusplus = partial(_encoder_decoder, "unetplusplus")
manet = partial(_encoder_decoder, "manet")
linknet = partial(_encoder_decoder, "linknet")
fpn = partial(_encoder_decoder, "fpn")
upernet = partial(_encoder_decoder, "upernet")
segformer = partial(_encoder_decoder, "segformer")
