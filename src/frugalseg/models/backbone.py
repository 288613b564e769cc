"""Backbones: networks from images to features, by name or passed as a module.

A :class:`Backbone` takes images in [0, 1] and gives a vector for each image, ``(N, num_features)``,
or maps, ``(N, num_features, h, w)``. To add one by name, write a class in
:mod:`frugalseg.models.paper_nets` or elsewhere, and a line in :data:`frugalseg.models.BACKBONES`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg._torchvision import patch_torchvision
from frugalseg.errors import FrugalsegError
from frugalseg.models import BACKBONES
from frugalseg.models.encoder_decoder import ARCHITECTURES, build_encoder_decoder
from frugalseg.models.paper_nets import ResNet34
from frugalseg.models.pretrained import DEFAULT_ENCODER, encoder_mean_std, load_efficientnet_lite0
from frugalseg.registry import did_you_mean

FUSED = (8, 16, 32)  # strides of the maps of a timm model that are joined by default


class NetworkWrapper(nn.Module):
    """Normalise and pad images for a network, in a fast memory layout.

    Args:
        network: takes images normalised by ``mean`` and ``std``.
        multiple: both sides of the network's input must be a multiple of this.
        mean, std: of each channel; 0 and 1 leave images in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        multiple: int = 1,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.network, self.multiple = network, multiple
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        # convolutions run faster in this layout, on CPUs too
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def normalise(self, images: Tensor) -> Tensor:
        """Subtract the mean from images ``(N, C, H, W)`` and divide by the standard deviation."""
        return (images - self.mean) / self.std

    def pad(self, images: Tensor) -> Tensor:
        """Repeat the last row and column until both sides are multiples of ``multiple``."""
        down, right = (-side % self.multiple for side in images.shape[-2:])
        if down or right:
            images = F.pad(images, (0, right, 0, down), mode="replicate")
        return images.contiguous(memory_format=torch.channels_last)


class Backbone(NetworkWrapper):
    """A network from images to features that takes images in [0, 1] of any size.

    Args:
        network: from ``(N, C, H, W)`` to ``(N, num_features)`` or to maps
            ``(N, num_features, h, w)``.
        num_features: how many features it gives.
        stride: pixels from one feature of the maps to the next; 0 for a vector for each image, for
            which maps are averaged.
        multiple: sides are padded to a multiple of this; by default of the stride.
        mean, std: of each channel, for normalising; 0 and 1 if the network takes [0, 1].
        blocks: how many of the features are of each map, where several were joined.
    """

    def __init__(
        self,
        network: nn.Module,
        num_features: int,
        stride: int = 0,
        multiple: int | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        blocks: Sequence[int] = (),
    ) -> None:
        super().__init__(network, multiple or stride or 1, mean, std)
        self.num_features, self.stride = num_features, stride
        self.blocks = tuple(blocks) or (num_features,)

    def forward(self, images: Tensor) -> Tensor:
        """Features of images ``(N, C, H, W)`` in [0, 1].

        Returns:
            ``(N, num_features)``, or, with a stride, maps ``(N, num_features, h, w)`` with
            ``h = ceil(H / stride)`` and ``w = ceil(W / stride)``.
        """
        features: Tensor = self.network(self.pad(self.normalise(images)))
        if self.stride:
            height, width = (-(-side // self.stride) for side in images.shape[-2:])
            return features[..., :height, :width]
        return features.mean((2, 3)) if features.ndim == 4 else features


def build_backbone(
    name: str | nn.Module,
    channels: int = 3,
    width: int = 64,
    pretrained: bool = False,
    *,
    maps: bool = False,
    strides: Sequence[int] = FUSED,
) -> Backbone:
    """Build a backbone by name, or from a network of the user's.

    Args:
        name: one of ``BACKBONES``; any timm model; for maps also an architecture of
            segmentation-models-pytorch (``unet``, ``fpn``, ...) on the default encoder or on
            another (``unet:resnet18``); or a module from ``(N, channels, H, W)`` to features, with
            their number as its attribute ``num_features`` and, for maps, the pixels from one to the
            next as ``stride``.
        channels: of the images.
        width: features of the first layer of the papers' networks; 64 in the papers.
        pretrained: start from ImageNet weights (the papers' networks have none); those of the
            default encoder come with the package.
        maps: give maps of features rather than a vector for each image.
        strides: for timm models that give maps: the maps of these strides are enlarged to the
            finest and joined.

    Raises:
        FrugalsegError: there is no such network or stride, the network gives vectors instead of
            maps or maps instead of vectors, there are no weights for it, or a module lacks its
            attributes.
    """
    if isinstance(name, nn.Module):
        return _handed_in(name, maps)
    if name in BACKBONES:
        return _of_papers(name, channels, width, pretrained, maps)
    if maps and name.partition(":")[0] in ARCHITECTURES:
        return _encoder_decoder(name, channels, pretrained)
    return _timm(name, channels, pretrained, strides if maps else None)


def list_backbones(maps: bool) -> list[str]:
    """Names that :func:`build_backbone` knows in addition to timm's."""
    own = [name for name in BACKBONES if bool(BACKBONES[name].stride) == maps]
    return [*own, *ARCHITECTURES] if maps else own


def _handed_in(network: nn.Module, maps: bool) -> Backbone:
    number, stride = (getattr(network, name, None) for name in ("num_features", "stride"))
    if not isinstance(number, int) or (maps and not (isinstance(stride, int) and stride > 0)):
        attributes = "attributes num_features and stride" if maps else "attribute num_features"
        raise FrugalsegError(
            f"The backbone {type(network).__name__} does not say how many features it gives"
            f"{' and how far apart' if maps else ''}: set its {attributes}."
        )
    if isinstance(network, Backbone):
        if bool(network.stride) != maps:
            raise _wrong_kind("handed in", maps)
        return network
    return Backbone(network, number, int(stride or 0) if maps else 0)


def _of_papers(name: str, channels: int, width: int, pretrained: bool, maps: bool) -> Backbone:
    if pretrained:
        raise FrugalsegError(f"The backbone {name} has no pretrained weights: leave them out.")
    if width < 1:
        raise FrugalsegError(f"A backbone cannot have width {width}: 64 is the paper's.")
    if bool(BACKBONES[name].stride) != maps:
        raise _wrong_kind(name, maps)
    network: Any = BACKBONES[name](channels, width)
    return Backbone(network, network.num_features, network.stride)


def _wrong_kind(name: str, maps: bool) -> FrugalsegError:
    gives, wanted = "one vector an image", "maps of features"
    if not maps:
        gives, wanted = wanted, gives
    return FrugalsegError(
        f"The backbone {name} gives {gives}, not {wanted}: "
        f"take {', '.join(list_backbones(maps))} or any timm model."
    )


class FusedMaps(nn.Module):
    """Selected maps of an encoder, enlarged to the finest of them and joined.

    Args:
        encoder: from images to a list of maps.
        indices: of the selected maps, finest first.
    """

    def __init__(self, encoder: nn.Module, indices: Sequence[int]) -> None:
        super().__init__()
        self.encoder, self.indices = encoder, list(indices)
        self.channels_last = str(getattr(encoder, "output_fmt", "")).endswith("NHWC")

    def forward(self, images: Tensor) -> Tensor:
        """``(N, sum of features, H / finest stride, W / finest stride)``."""
        all_maps = self.maps(images)
        maps = [all_maps[index] for index in self.indices]
        size = maps[0].shape[-2:]
        larger = [F.interpolate(m, size, mode="bilinear") for m in maps[1:]]
        return torch.cat([maps[0], *larger], 1)

    def maps(self, images: Tensor) -> list[Tensor]:
        """All maps ``(N, c, h, w)`` of the encoder."""
        maps: list[Tensor] = self.encoder(images)
        return [m.permute(0, 3, 1, 2) for m in maps] if self.channels_last else maps


def _timm(name: str, channels: int, pretrained: bool, strides: Sequence[int] | None) -> Backbone:
    """A timm model: its last features, averaged, or its maps at ``strides``."""
    patch_torchvision()
    import timm

    maps = strides is not None
    if not timm.is_model(name):
        known = list_backbones(maps)
        raise FrugalsegError(
            f"Unknown backbone {name!r}{did_you_mean(name, [*known, *timm.list_models()])}: "
            f"choose among {', '.join(known)} and all timm models."
        )
    installed = _weights_are_installed(name, channels, pretrained)
    output: dict[str, Any] = {"features_only": True} if maps else {"num_classes": 0}
    network = _create(name, pretrained=pretrained and not installed, in_chans=channels, **output)
    if installed:
        load_efficientnet_lite0(network)
    scale = encoder_mean_std(name) if channels == 3 else ((0.0,), (1.0,))
    if strides is None:
        number = int(getattr(network, "head_hidden_size", None) or network.num_features)
        return Backbone(network, number, 0, 1, *scale)
    # the last one of several maps of the same stride, as transformers have
    index_of = {stride: index for index, stride in enumerate(network.feature_info.reduction())}
    missing = [stride for stride in strides if stride not in index_of]
    if missing or not strides:
        raise FrugalsegError(
            f"{name} has no maps of stride {missing[0] if missing else 'none'}: "
            f"there are those of {', '.join(map(str, index_of))}. Name some with --strides."
        )
    chosen = sorted(set(strides))
    indices = [index_of[stride] for stride in chosen]
    blocks = [network.feature_info.channels()[index] for index in indices]
    joined = FusedMaps(network, indices)
    return Backbone(joined, sum(blocks), chosen[0], max(index_of), *scale, blocks)


def _create(name: str, **arguments: Any) -> Any:
    """Build a timm model; transformers that give maps are made to take images of any size."""
    import timm

    try:
        if "features_only" in arguments:
            try:
                return timm.create_model(name, **arguments, dynamic_img_size=True)
            except TypeError:  # only transformers have this option
                pass
        return timm.create_model(name, **arguments)
    except (OSError, RuntimeError, AttributeError) as error:  # no network, weights or maps
        raise FrugalsegError(
            f"The backbone {name} or its weights cannot be loaded "
            f"({' '.join(str(error).split())[:200]}). "
            f"The weights of {DEFAULT_ENCODER} come with the package."
        ) from error


def _encoder_decoder(name: str, channels: int, pretrained: bool) -> Backbone:
    """Encoder and decoder of a segmenter, without its last layer."""
    architecture, _, encoder = name.partition(":")
    encoder = encoder or DEFAULT_ENCODER
    _weights_are_installed(encoder, channels, pretrained)
    network, _ = build_encoder_decoder(architecture, 1, encoder, pretrained, channels)
    network.segmentation_head = nn.Identity()
    multiple = network.encoder.output_stride
    side = 4 * multiple
    with torch.no_grad():  # to learn the number of features and their stride
        shape = network.eval()(torch.zeros(1, channels, side, side)).shape
    scale = encoder_mean_std(encoder) if channels == 3 else ((0.0,), (1.0,))
    return Backbone(network.train(), shape[1], side // shape[-1], multiple, *scale)


def _weights_are_installed(name: str, channels: int, pretrained: bool) -> bool:
    """Whether to load the weights that come with the package; they are for colour images."""
    if not (pretrained and name == DEFAULT_ENCODER):
        return False
    if channels != 3:
        raise FrugalsegError(
            f"The weights of {name} are for colour images, not for {channels} channels: use "
            "colours alone (no Sobel filters, no infrared), or train from random weights."
        )
    return True


def check_backbone(backbone: Backbone, channels: int, size: int) -> None:
    """Refuse a network that does not take a run's images, or whose attributes are wrong.

    Args:
        backbone: left in evaluation mode.
        channels, size: of the images.

    Raises:
        FrugalsegError: the network cannot be used.
    """
    images = torch.zeros(2, channels, size, size)
    try:
        with torch.no_grad():
            padded = backbone.eval().pad(backbone.normalise(images))
            # not the backbone itself, whose crop would hide maps of a smaller stride
            shape = tuple(backbone.network(padded).shape)
    except Exception as error:  # a network of the user's may raise anything
        raise FrugalsegError(
            f"The backbone does not take images {tuple(images.shape)} "
            f"({' '.join(str(error).split())[:200]})."
        ) from error
    expected: tuple[int, ...] = (2, backbone.num_features)
    fits = shape[:2] == expected and len(shape) in (2, 4)
    if backbone.stride:
        expected = (*expected, *(-(-side // backbone.stride) for side in padded.shape[2:]))
        # a network may pad by itself and give one more row and column
        excess = [own - other for own, other in zip(shape, expected, strict=False)]
        fits = fits and len(shape) == 4 and set(excess) <= {0, 1}
    if not fits:
        raise FrugalsegError(
            f"The backbone gives {shape} for 2 images of {size} x {size} pixels, not {expected}, "
            f"as its num_features {'and stride say' if backbone.stride else 'says'}."
        )


def third_stage(backbone: Backbone, channels: int, side: int) -> Backbone:
    """The flattened maps of the third stage of ``resnet34-iic``, on which the paper fine-tunes.

    Args:
        backbone: its layers are shared, not copied. A backbone other than ``resnet34-iic`` is
            returned unchanged.
        channels, side: of the images.
    """
    if not isinstance(backbone.network, ResNet34):
        return backbone
    layers = nn.Sequential(backbone.network.stem, *list(backbone.network.stages)[:3], nn.Flatten())
    mode = layers.training
    with torch.no_grad():
        number = layers.eval()(torch.zeros(1, channels, side, side)).shape[1]
    return Backbone(layers.train(mode), number)


def settle_batch_norm(backbone: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of batch norm to their mean over the given batches.

    In training the statistics are those of the batch, of plain and transformed views alternately;
    predictions need those of plain views, and must not depend on their batch. Does nothing if the
    backbone has no batch norm.

    Args:
        backbone: changed in place; its mode stays as it is.
        batches: at least two images each, ``(N, C, H, W)``, as the backbone takes them.
    """
    norms = [m for m in backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    modes = {module: module.training for module in backbone.modules()}
    momenta = [norm.momentum for norm in norms]
    backbone.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    with torch.no_grad():
        for images in batches:
            backbone(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    for module, mode in modes.items():
        module.training = mode
