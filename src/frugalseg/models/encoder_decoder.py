"""Encoder-decoder networks of segmentation-models-pytorch, on any timm encoder.

They serve as segmenters (:mod:`frugalseg.models.segmenters`) and, without their last layer, as
backbones (:mod:`frugalseg.models.backbone`).
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from frugalseg._torchvision import patch_torchvision
from frugalseg.errors import FrugalsegError
from frugalseg.models.pretrained import DEFAULT_ENCODER, check_encoder, load_efficientnet_lite0
from frugalseg.registry import refuse_unknown_options

# Classes of segmentation-models-pytorch by our names; its PAN cannot take images as small as ours.
ARCHITECTURES = {
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
# their parameters that are not options of ours
_FIXED = {"self", "aux_params", "kwargs", "encoder_name", "encoder_weights"}
_FIXED |= {"in_channels", "classes", "activation"}


def build_encoder_decoder(
    name: str,
    num_classes: int,
    encoder: str = DEFAULT_ENCODER,
    pretrained: bool = True,
    in_channels: int = 3,
    options: Mapping[str, Any] | None = None,
) -> tuple[Any, int]:
    """Build a network of segmentation-models-pytorch.

    Args:
        name: one of ``ARCHITECTURES``.
        num_classes: channels of its scores.
        encoder: a timm model.
        pretrained: start the encoder from ImageNet weights. Those of the default encoder are
            installed (for 3 channels), others are downloaded.
        in_channels: of the images.
        options: further arguments of the architecture, such as ``decoder_channels``.

    Returns:
        The network, and the number that both sides of its images must be a multiple of.

    Raises:
        FrugalsegError: the encoder or an option is unknown, the encoder does not suit the
            architecture, or the weights cannot be loaded.
    """
    check_encoder(encoder)
    patch_torchvision()
    import segmentation_models_pytorch as smp

    architecture = getattr(smp, ARCHITECTURES[name])
    known = set(inspect.signature(architecture.__init__).parameters)
    options = dict(options or {})
    refuse_unknown_options(f"The segmenter {name!r}", options, known - _FIXED)
    if name == "pspnet":
        options = _dilated(options)
    arguments = {"encoder_name": f"tu-{encoder}", "classes": num_classes, **options}
    if in_channels != 3:
        arguments["in_channels"] = in_channels
    network = _with_random_weights(architecture, arguments, name, encoder)
    if pretrained and encoder.partition(".")[0] == DEFAULT_ENCODER:
        load_efficientnet_lite0(network.encoder.model)
    elif pretrained:
        network = _with_downloaded_weights(architecture, arguments, encoder)
    _drop_unused_stages(network.encoder.model)
    return network, _multiple(network)


def _dilated(options: dict[str, Any]) -> dict[str, Any]:
    """PSPNet keeps stride 8 by dilation (Zhao et al. 2017), unless its encoder is shallower."""
    depth = options.get("encoder_depth", 5)
    if depth < 5:
        return {"upsampling": 2**depth, **options}
    return {"encoder_depth": 5, "output_stride": 8, "upsampling": 8, **options}


def _with_random_weights(
    architecture: Any, arguments: dict[str, Any], name: str, encoder: str
) -> Any:
    """Build the network; try encoders other than the default on a small oblong image."""
    try:
        network = architecture(encoder_weights=None, **arguments)
        if encoder.partition(".")[0] != DEFAULT_ENCODER:
            multiple = _multiple(network)
            sides = [-(-side // multiple) * multiple for side in (40, 72)]
            with torch.no_grad():
                image = torch.zeros(1, arguments.get("in_channels", 3), *sides)
                shape = tuple(network.eval()(image).shape)
            expected = (1, arguments["classes"], *sides)
            if shape != expected:
                raise FrugalsegError(f"scores are {shape}, not {expected}")
            network.train()
    except Exception as error:  # timm and segmentation-models-pytorch raise many kinds
        raise FrugalsegError(
            f"The encoder {encoder!r} cannot be used in {name!r} with these options ({error}); "
            "choose another encoder or other options."
        ) from error
    return network


def _with_downloaded_weights(architecture: Any, arguments: dict[str, Any], encoder: str) -> Any:
    try:
        return architecture(encoder_weights=True, **arguments)
    except Exception as error:  # it was built before: only the weights can be missing
        raise FrugalsegError(
            f"The pretrained weights of {encoder!r} cannot be loaded ({error}); start from random "
            f"weights (pretrained=False) or use {DEFAULT_ENCODER!r}, whose weights are installed."
        ) from error


def _multiple(network: Any) -> int:
    """The number that both sides of an image must be a multiple of; U-Nets take any size."""
    return network.encoder.output_stride if network.requires_divisible_input_shape else 1


def _drop_unused_stages(features: Any) -> None:
    """Remove stages after the last feature used, which timm's EfficientNets would run."""
    stages = getattr(features, "_stage_out_idx", None)
    if stages is not None:
        features.blocks = features.blocks[: max(stages)]
