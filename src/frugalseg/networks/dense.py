"""Dense trunks: networks from images to maps of features, by name or handed in.

A :class:`DenseTrunk` takes images in [0, 1] of any size and gives ``(N, num_features, h, w)``. To
add one by name: one line in ``DENSE_TRUNKS``.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg._torchvision import mend_torchvision
from frugalseg.errors import FrugalsegError
from frugalseg.networks.names import suggestion
from frugalseg.networks.pretrained import (
    DEFAULT_ENCODER,
    encoder_mean_std,
    load_efficientnet_lite0,
)
from frugalseg.networks.segmenters import SMP, build_segmenter
from frugalseg.networks.trunks import answered_shape

FUSED = (8, 16, 32)  # strides whose maps are joined, by default


class DenseTrunk(nn.Module):
    """A network made easy to feed: images are normalised, sides that do not divide padded.

    Args:
        network: from ``(N, C, H, W)`` to ``(N, num_features, H / stride, W / stride)``.
        num_features: how many features it gives.
        stride: pixels from one feature to the next.
        multiple: sides are padded to a multiple of this, at the bottom and the right, by repeating
            the last pixels.
        mean, std: of each channel, for normalising; none where the network takes [0, 1].
        stretched: the maps stand for the whole image whatever their size, as with the published
            borders; else a feature stands for ``stride`` pixels.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_features: int,
        stride: int,
        multiple: int | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        stretched: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.num_features, self.stride = network, num_features, stride
        self.multiple, self.stretched = multiple or stride, stretched
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        # convolutions run faster so, on CPUs too
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, num_features, h, w)`` of images ``(N, C, H, W)`` in [0, 1].

        The maps are ``ceil(H / stride)`` high (and so wide) unless ``stretched``.
        """
        height, width = images.shape[-2:]
        images = (images - self.mean) / self.std
        down, right = -height % self.multiple, -width % self.multiple
        if (down or right) and not self.stretched:
            images = F.pad(images, (0, right, 0, down), mode="replicate")
        features: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        if self.stretched:
            return features
        return features[..., : -(-height // self.stride), : -(-width // self.stride)]


class SegmentationVgg(nn.Module):
    """The segmentation network of Ji et al. 2019 ("10a"): six 3x3 convolutions, one halving.

    The published one pads dilated convolutions by 1 where 2 keeps the size, so that its maps lose
    4 rows and columns and are then stretched over the whole image; here only if asked.

    Args:
        channels: of the images.
        width: features of the first convolution; 64 is the paper's, the last two have 8 times it.
        published_borders: trim as published.
    """

    def __init__(self, channels: int = 3, width: int = 64, published_borders: bool = False) -> None:
        super().__init__()
        plan = [(1, 1), (2, 1), (4, 1), (4, 1), (8, 2), (8, 2)]  # times the width, dilation
        layers: list[nn.Module] = []
        inputs = channels
        for k, (times, dilation) in enumerate(plan):
            padding = 1 if published_borders else dilation
            outputs = times * width
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=padding, dilation=dilation, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            layers += [nn.MaxPool2d(2)] if k == 1 else []
            inputs = outputs
        self.layers = nn.Sequential(*layers)
        self.num_features = inputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, 8 * width, H / 2, W / 2)``; 4 less each way with published borders."""
        features: Tensor = self.layers(images)
        return features


class FusedMaps(nn.Module):
    """The maps of several strides of an encoder, enlarged to the finest of them and joined.

    Args:
        encoder: from images to a list of maps.
        strides: of these maps.
    """

    def __init__(self, encoder: nn.Module, strides: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.strides = encoder, tuple(strides)

    def forward(self, images: Tensor) -> Tensor:
        """``(N, sum of features, H / finest stride, W / finest stride)``."""
        maps = self.encoder(images)
        size = maps[0].shape[-2:]
        larger = [F.interpolate(m, size, mode="bilinear") for m in maps[1:]]
        return torch.cat([maps[0], *larger], 1)


DENSE_TRUNKS = {"vgg-seg": SegmentationVgg}


def build_dense_trunk(
    name: str | nn.Module,
    channels: int = 3,
    width: int = 64,
    pretrained: bool = False,
    strides: Sequence[int] = FUSED,
    published_borders: bool = False,
) -> DenseTrunk:
    """A dense trunk by name, or any network of the user's.

    Args:
        name: ``vgg-seg``, any timm model (its maps at ``strides`` are joined), an architecture of
            segmentation-models-pytorch (``SMP``: ``unet``, ``fpn``, ...) on the default encoder (or
            on another: ``unet:resnet18``), or a module from ``(N, channels, H, W)`` to maps; a
            module tells ``num_features`` and ``stride``.
        channels: of the images.
        width: of ``vgg-seg``: features of the first layer; 64 is the paper's.
        pretrained: ImageNet weights; those of the default encoder come with the package.
        strides: of timm models.
        published_borders: of ``vgg-seg``.

    Raises:
        FrugalsegError: no such network or stride, no weights for it, or a module that says nothing.
    """
    if isinstance(name, nn.Module):
        return _own(name)
    if name in DENSE_TRUNKS:
        if pretrained:
            raise FrugalsegError(f"There are no pretrained weights of {name}: leave them out.")
        if width < 1:
            raise FrugalsegError(f"A trunk cannot have width {width}: 64 is the paper's.")
        network = DENSE_TRUNKS[name](channels, width, published_borders)
        return DenseTrunk(network, network.num_features, 2, stretched=published_borders)
    if name.partition(":")[0] in SMP:
        return _smp(name, channels, pretrained)
    return _timm(name, channels, pretrained, strides)


def check_maps(trunk: DenseTrunk, channels: int, size: int) -> None:
    """Refuse a network that does not take images of a run, or gives other maps than it says.

    Networks whose maps stand for the whole image are let be.

    Args:
        trunk: left in evaluation mode.
        channels, size: of the images.

    Raises:
        FrugalsegError: it cannot be used.
    """
    if trunk.stretched:
        return
    shape = answered_shape(trunk, (1, channels, size, size))
    side = -(-size // trunk.stride)
    if shape != (1, trunk.num_features, side, side):
        raise FrugalsegError(
            f"The trunk gives {shape} for an image of {size} x {size} pixels, "
            f"not (1, {trunk.num_features}, {side}, {side}), as its num_features and stride say."
        )


def _own(network: nn.Module) -> DenseTrunk:
    if isinstance(network, DenseTrunk):
        return network
    number, stride = (getattr(network, name, None) for name in ("num_features", "stride"))
    if not isinstance(number, int) or not isinstance(stride, int):
        raise FrugalsegError(
            f"The network {type(network).__name__} does not say how many features it gives and how "
            "far apart: set its attributes num_features and stride."
        )
    return DenseTrunk(network, number, stride)


def _timm(name: str, channels: int, pretrained: bool, strides: Sequence[int]) -> DenseTrunk:
    mend_torchvision()
    import timm

    if not timm.is_model(name):
        known = [*DENSE_TRUNKS, *SMP, *timm.list_models()]
        raise FrugalsegError(
            f"Unknown network {name!r}{suggestion(name, known)}. "
            f"There are {', '.join([*DENSE_TRUNKS, *SMP])} and all timm models."
        )
    offline = _offline(name, channels, pretrained)
    encoder = _create(name, channels, pretrained and not offline)
    if offline:
        load_efficientnet_lite0(encoder)
    # of several maps of one stride, as transformers have, the last
    there = {stride: place for place, stride in enumerate(encoder.feature_info.reduction())}
    missing = [stride for stride in strides if stride not in there]
    if missing or not strides:
        raise FrugalsegError(
            f"{name} has no maps of stride {missing[0] if missing else 'none'}: "
            f"there are those of {', '.join(map(str, there))}. Name some with --strides."
        )
    chosen = sorted(set(strides))
    places = [there[stride] for stride in chosen]
    number = sum(encoder.feature_info.channels()[place] for place in places)
    network = FusedMaps(_Chosen(encoder, places), chosen)
    scale = encoder_mean_std(name) if channels == 3 else ((0.0,), (1.0,))
    return DenseTrunk(network, number, chosen[0], max(there), *scale)


def _create(name: str, channels: int, pretrained: bool) -> Any:
    """A timm model that gives its maps; transformers are told to take images of any size."""
    import timm

    asked = {"features_only": True, "pretrained": pretrained, "in_chans": channels}
    try:
        try:
            return timm.create_model(name, **asked, dynamic_img_size=True)
        except TypeError:  # it takes them anyway
            return timm.create_model(name, **asked)
    except (OSError, RuntimeError, AttributeError) as error:
        raise _not_had(name, error) from error


class _Chosen(nn.Module):
    """Some of the maps that an encoder gives, channels first."""

    def __init__(self, encoder: nn.Module, places: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.places = encoder, list(places)
        self.channels_behind = str(getattr(encoder, "output_fmt", "")).endswith("NHWC")

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.encoder(images)
        chosen = [maps[place] for place in self.places]
        return [m.permute(0, 3, 1, 2) for m in chosen] if self.channels_behind else chosen


class _Decoded(nn.Module):
    """Encoder and decoder of a network of segmentation-models-pytorch, without its head."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.encoder, self.decoder = network.encoder, network.decoder

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.decoder(self.encoder(images))
        return features


def _smp(name: str, channels: int, pretrained: bool) -> DenseTrunk:
    architecture, _, encoder = name.partition(":")
    encoder = encoder or DEFAULT_ENCODER
    _offline(encoder, channels, pretrained)
    options = {} if channels == 3 else {"in_channels": channels}
    segmenter: Any = build_segmenter(architecture, 1, encoder, pretrained, **options)
    network = _Decoded(segmenter.network)
    multiple = segmenter.network.encoder.output_stride
    side = 4 * multiple
    with torch.no_grad():  # how many features, how far apart
        shape = network.eval()(torch.zeros(1, channels, side, side)).shape
    scale = encoder_mean_std(encoder) if channels == 3 else ((0.0,), (1.0,))
    return DenseTrunk(network.train(), shape[1], side // shape[-1], multiple, *scale)


def _offline(name: str, channels: int, pretrained: bool) -> bool:
    """Whether the weights that come with the package are wanted; they are for colour images."""
    if not (pretrained and name == DEFAULT_ENCODER):
        return False
    if channels != 3:
        raise FrugalsegError(
            f"The weights of {name} are for colour images, not for {channels} channels: "
            "give --channels rgb, or train from nothing."
        )
    return True


def _not_had(name: str, error: Exception) -> FrugalsegError:
    return FrugalsegError(
        f"{name} cannot be had with maps of features ({' '.join(str(error).split())[:200]}). "
        f"The weights of {DEFAULT_ENCODER} come with the package."
    )
