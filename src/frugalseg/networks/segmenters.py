"""Segmenters by name, or any network of the user's, behind one interface.

A :class:`Segmenter` takes images in ``[0, 1]`` of any size and gives scores of that size. To add
one by name: one line in ``_BUILDERS``.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg._torchvision import mend_torchvision
from frugalseg.errors import FrugalsegError
from frugalseg.networks.names import refuse_unknown_options, suggestion
from frugalseg.networks.pretrained import (
    DEFAULT_ENCODER,
    check_encoder,
    encoder_mean_std,
    load_efficientnet_lite0,
)
from frugalseg.networks.unet import PlainUNet
from frugalseg.sampling import cell_spacing

GEOMETRY_CHANNELS = 4


class Segmenter(nn.Module):
    """A network from ``(N, 3, h, w)`` to ``(N, C, h, w)`` made easy to feed.

    Images are normalised; sides that the network cannot take are padded at the bottom and right by
    repeating the last pixels, and the scores cropped back. The network may be told where each
    sample lies (:func:`geometry_channels`): through two 1x1 convolutions that start at zero, one
    added to the normalised image, one to the scores.

    Args:
        network: what does the work.
        num_classes: channels of its scores.
        mean, std: of red, green and blue, for normalising.
        multiple: what both sides must be a multiple of.
        extra_channels: channels of the geometry that ``forward`` is told; 0 for none.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        multiple: int = 1,
        extra_channels: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.num_classes = num_classes
        self.multiple = multiple
        self.extra_channels = extra_channels
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        if extra_channels:
            self.tell_image = _silent(extra_channels, len(mean))
            self.tell_scores = _silent(extra_channels, num_classes)
        # Convolutions run faster so, on CPUs too; the format of the images follows in forward.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, geometry: Tensor | None = None) -> Tensor:
        """Score each class at each pixel.

        Args:
            image: ``(N, 3, h, w)`` in ``[0, 1]``.
            geometry: ``(N, extra_channels, h, w)``; needed where ``extra_channels`` is above 0.

        Returns:
            ``(N, C, h, w)``, before any softmax.

        Raises:
            ValueError: where the geometry is missing or not wanted.
            FrugalsegError: where the network returns another shape than promised.
        """
        if (geometry is not None) != (self.extra_channels > 0):
            raise ValueError(
                f"this segmenter takes {self.extra_channels or 'no'} geometry channels, "
                f"but was given {'none' if geometry is None else geometry.shape[1]}"
            )
        x = (image - self.mean) / self.std
        if geometry is not None:
            x = x + self.tell_image(geometry)
        height, width = x.shape[-2:]
        down, right = -height % self.multiple, -width % self.multiple
        if down or right:
            x = F.pad(x, (0, right, 0, down), mode="replicate")
        scores: Tensor = self.network(x.contiguous(memory_format=torch.channels_last))
        if scores.shape != (len(x), self.num_classes, *x.shape[-2:]):
            raise FrugalsegError(
                f"The segmenter gave scores of shape {tuple(scores.shape)} for images of shape "
                f"{tuple(x.shape)}; it must give {self.num_classes} classes at the same size."
            )
        scores = scores[..., :height, :width]
        return scores if geometry is None else scores + self.tell_scores(geometry)


def geometry_channels(phi: Tensor) -> Tensor:
    """What a segmenter is told of a sampling: the place of each sample and how wide its cell is.

    Args:
        phi: ``(N, h, w, 2)`` in ``[0, 1]``.

    Returns:
        ``(N, 4, h, w)``: row and column in ``[-1, 1]``, and the logarithm of the vertical and of
        the horizontal spacing relative to uniform sampling (0 where the sampling is uniform).
    """
    channels = torch.cat([2 * phi - 1, cell_spacing(phi).log()], -1)
    return channels.permute(0, 3, 1, 2)


def list_segmenters() -> list[str]:
    """Names that :func:`build_segmenter` knows."""
    return sorted(_BUILDERS)


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
        name: one of :func:`list_segmenters`: ``unet-plain`` (the paper's, from nothing), ``unet``,
            ``pspnet`` (dilated to stride 8), ``deeplabv3plus`` or another architecture of
            segmentation-models-pytorch (``SMP``); or a network from ``(N, 3, h, w)`` to
            ``(N, num_classes, h, w)``.
        num_classes: at least 1.
        encoder: a timm model; not used by ``unet-plain`` or a network.
        pretrained: start the encoder from ImageNet weights. Those of the default encoder are
            installed, others are downloaded.
        extra_channels: channels of geometry told to the segmenter: 4 for
            :func:`geometry_channels`, 0 for none.
        **options: arguments of the network, such as ``widths`` of ``unet-plain`` or
            ``decoder_channels`` of ``unet``; for a network, ``mean``, ``std`` and ``multiple`` of
            :class:`Segmenter`.

    Returns:
        The segmenter, in training mode.

    Raises:
        FrugalsegError: for an unknown name, encoder or option, an encoder that does not suit the
            network, or weights that cannot be had.
    """
    if num_classes < 1:
        raise FrugalsegError(f"A segmenter needs at least 1 class, not {num_classes}.")
    if isinstance(name, nn.Module):
        return wrap_segmenter(name, num_classes, extra_channels=extra_channels, **options)
    if name not in _BUILDERS:
        raise FrugalsegError(
            f"Unknown segmenter {name!r}{suggestion(name, _BUILDERS)}. "
            f"Known: {', '.join(list_segmenters())}."
        )
    return _BUILDERS[name](num_classes, encoder, pretrained, extra_channels, options)


def wrap_segmenter(
    network: nn.Module,
    num_classes: int,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
    multiple: int = 1,
    extra_channels: int = 0,
) -> Segmenter:
    """Make a segmenter of any network from ``(N, 3, h, w)`` to ``(N, num_classes, h, w)``.

    Args:
        network: the network; it is given images normalised by ``mean`` and ``std``.
        num_classes: channels of its scores.
        mean, std: of red, green and blue; zeros and ones leave images in ``[0, 1]``.
        multiple: what both sides of its input must be a multiple of (such as 32).
        extra_channels: as in :func:`build_segmenter`.

    Returns:
        The segmenter.
    """
    return Segmenter(network, num_classes, mean, std, multiple, extra_channels)


def _plain(
    num_classes: int, encoder: str, pretrained: bool, extra_channels: int, options: dict[str, Any]
) -> Segmenter:
    refuse_unknown_options("The segmenter 'unet-plain'", options, {"widths"})
    widths = options.get("widths", (1,))
    if not widths or min(widths) < 1:
        raise FrugalsegError(
            f"The widths of 'unet-plain' are the features of each level, such as 40 80 160; "
            f"{list(widths)} will not do."
        )
    return Segmenter(PlainUNet(num_classes, **options), num_classes, extra_channels=extra_channels)


def _of_smp(name: str, class_name: str) -> Callable[..., Segmenter]:
    """The builder of one architecture of segmentation-models-pytorch on timm encoders."""

    def build(
        num_classes: int,
        encoder: str,
        pretrained: bool,
        extra_channels: int,
        options: dict[str, Any],
    ) -> Segmenter:
        check_encoder(encoder)
        mend_torchvision()
        import segmentation_models_pytorch as smp

        architecture = getattr(smp, class_name)
        fixed = {"encoder_name", "encoder_weights", "in_channels", "classes", "activation"}
        known = inspect.signature(architecture.__init__).parameters.keys()
        options_there = set(known) - fixed - {"self", "aux_params", "kwargs"}
        refuse_unknown_options(f"The segmenter {name!r}", options, options_there)
        if class_name == "PSPNet":
            options = _dilated(options)
        arguments = {"encoder_name": f"tu-{encoder}", "classes": num_classes, **options}
        network = _suited(architecture, arguments, name, encoder)
        if pretrained and encoder.partition(".")[0] == DEFAULT_ENCODER:
            load_efficientnet_lite0(network.encoder.model)
        elif pretrained:
            network = _downloaded(architecture, arguments, encoder)
        _drop_unused_stages(network.encoder.model)
        mean, std = encoder_mean_std(encoder)
        return Segmenter(network, num_classes, mean, std, _multiple(network), extra_channels)

    return build


def _dilated(options: dict[str, Any]) -> dict[str, Any]:
    """PSPNet keeps stride 8 by dilation (Zhao et al. 2017), unless a shallower encoder is asked."""
    depth = options.get("encoder_depth", 5)
    if depth < 5:
        return {"upsampling": 2**depth, **options}
    return {"encoder_depth": 5, "output_stride": 8, "upsampling": 8, **options}


def _suited(architecture: Any, arguments: dict[str, Any], name: str, encoder: str) -> Any:
    """Build with random weights; try encoders other than the default on a small odd image."""
    try:
        network = architecture(encoder_weights=None, **arguments)
        if encoder.partition(".")[0] != DEFAULT_ENCODER:
            trial = Segmenter(network, arguments["classes"], multiple=_multiple(network)).eval()
            with torch.no_grad():
                trial(torch.zeros(1, 3, 40, 72))
            network.train()
    except Exception as error:  # of many kinds, in timm and in segmentation-models-pytorch
        raise FrugalsegError(
            f"The encoder {encoder!r} cannot be used in {name!r} with these options ({error}); "
            "choose another encoder or other options."
        ) from error
    return network


def _downloaded(architecture: Any, arguments: dict[str, Any], encoder: str) -> Any:
    try:
        return architecture(encoder_weights=True, **arguments)
    except Exception as error:  # that it can be built is known: only the weights can be missing
        raise FrugalsegError(
            f"The pretrained weights of {encoder!r} could not be had ({error}); start from random "
            f"weights (pretrained=False) or use {DEFAULT_ENCODER!r}, whose weights are installed."
        ) from error


def _multiple(network: Any) -> int:
    """What the sides of an image must be a multiple of; the U-Net meets its skips at any size."""
    return network.encoder.output_stride if network.requires_divisible_input_shape else 1


def _drop_unused_stages(features: Any) -> None:
    """timm's EfficientNets run all their stages, also those behind the last feature asked for."""
    stages = getattr(features, "_stage_out_idx", None)
    if stages is not None:
        features.blocks = features.blocks[: max(stages)]


def _silent(inputs: int, outputs: int) -> nn.Conv2d:
    """A 1x1 convolution that answers zero until it has learned."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


# Of segmentation-models-pytorch, by our names; its PAN pools away images as small as ours.
SMP = {
    "unet": "Unet",
    "pspnet": "PSPNet",
    "deeplabv3plus": "DeepLabV3Plus",
    "deeplabv3": "DeepLabV3",
    "unetplusplus": "UnetPlusPlus",
    "manet": "MAnet",
    "linknet": "Linknet",
    "fpn": "FPN",
    "upernet": "UPerNet",
    "segformer": "Segformer",
}
_BUILDERS: dict[str, Callable[..., Segmenter]] = {
    "unet-plain": _plain,
    **{name: _of_smp(name, class_name) for name, class_name in SMP.items()},
}
