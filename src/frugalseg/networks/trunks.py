"""Trunks: networks from images to features, by name or handed in.

A :class:`Trunk` takes images in [0, 1] and gives ``(N, num_features)``. To add one by name: one
line in ``TRUNKS``.
"""

from collections.abc import Callable, Sequence
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


class Trunk(nn.Module):
    """A network made easy to feed: images are normalised, maps of features averaged.

    Args:
        network: from ``(N, C, H, W)`` to ``(N, num_features)`` or ``(N, num_features, h, w)``.
        num_features: how many features it gives.
        mean, std: of each channel, for normalising; none where the network takes [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_features: int,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.network = network
        self.num_features = num_features
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        # convolutions run faster so, on CPUs too
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, num_features)`` of images ``(N, C, H, W)`` in [0, 1]."""
        images = (images - self.mean) / self.std
        features: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return features.mean((2, 3)) if features.ndim == 4 else features


class ResNet34(nn.Module):
    """The 34 layers of Ji et al. 2019 ("5g"): a 3x3 stem without stride, four stages of blocks.

    Any size works: the last maps are averaged.

    Args:
        channels: of the images.
        width: features of the first stage; the stages have 1, 2, 4 and 8 times as many.
    """

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        # the pool pads, as the published one does: 32 pixels give 17, 9, 5, 3
        self.stem = nn.Sequential(_conv(channels, width, 3), nn.MaxPool2d(2, padding=1))
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
        """Features ``(N, 8 * width)``."""
        maps: Tensor = self.stages(self.stem(images))
        return maps.mean((2, 3))


class Vgg(nn.Module):
    """The small VGG of Ji et al. 2019 ("6c"): four 5x5 convolutions, three halvings, no last pool.

    At 24 pixels as published (3x3 maps, flattened); those of other sizes are averaged to 3x3.

    Args:
        channels: of the images.
        width: features of the first convolution; the others have 2, 4 and 8 times as many.
    """

    def __init__(self, channels: int = 1, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for k in range(4):
            layers += [nn.MaxPool2d(2)] if k else []
            layers.append(_conv(inputs, width * 2**k, 5))
            inputs = width * 2**k
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.num_features = 9 * inputs
        _initialise(self, "fan_in")

    def forward(self, images: Tensor) -> Tensor:
        """Features ``(N, 9 * 8 * width)``."""
        features: Tensor = self.layers(images)
        return features


TRUNKS: dict[str, Callable[[int, int], nn.Module]] = {"resnet34-iic": ResNet34, "vgg-iic": Vgg}


def build_trunk(
    name: str | nn.Module, channels: int = 3, width: int = 64, pretrained: bool = False
) -> Trunk:
    """A trunk by name, or any network of the user's.

    Args:
        name: one of ``TRUNKS``, any timm model, or a module from ``(N, channels, H, W)`` to
            features; a module tells their number as its attribute ``num_features``.
        channels: of the images.
        width: of the paper's trunks: features of the first layer; 64 is theirs.
        pretrained: ImageNet weights (timm models only); those of the default encoder come with the
            package.

    Raises:
        FrugalsegError: no such model, no weights for it, or a module that says no number.
    """
    if isinstance(name, nn.Module):
        return _own_trunk(name)
    if name not in TRUNKS:
        return _timm_trunk(name, channels, pretrained)
    if pretrained:
        raise FrugalsegError(f"The trunk {name} has no pretrained weights: leave them out.")
    if width < 1:
        raise FrugalsegError(f"A trunk cannot have width {width}: 64 is the paper's.")
    network: Any = TRUNKS[name](channels, width)
    return Trunk(network, network.num_features)


def _own_trunk(network: nn.Module) -> Trunk:
    if isinstance(network, Trunk):
        return network
    number = getattr(network, "num_features", None)
    if not isinstance(number, int):
        raise FrugalsegError(
            f"The trunk {type(network).__name__} does not say how many features it gives: "
            "set its attribute num_features."
        )
    return Trunk(network, number)


def check_features(trunk: Trunk, channels: int, size: int) -> None:
    """Refuse a network that does not take images of a run, or gives other features than it says.

    Args:
        trunk: left in evaluation mode.
        channels, size: of the images.

    Raises:
        FrugalsegError: it cannot be used.
    """
    shape = answered_shape(trunk, (2, channels, size, size))
    if shape != (2, trunk.num_features):
        raise FrugalsegError(
            f"The trunk gives {shape} for 2 images, not (2, "
            f"{trunk.num_features}) or maps of it, as its num_features says."
        )


def answered_shape(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what a network gives for black images of a shape; it is left in evaluation mode.

    Raises:
        FrugalsegError: it fails.
    """
    try:
        with torch.no_grad():
            return tuple(network.eval()(torch.zeros(shape)).shape)
    except Exception as error:  # whatever a network of the user's may raise
        raise FrugalsegError(
            f"The trunk does not take images {shape} ({' '.join(str(error).split())[:200]})."
        ) from error


def _timm_trunk(name: str, channels: int, pretrained: bool) -> Trunk:
    mend_torchvision()
    import timm

    if not timm.is_model(name):
        raise FrugalsegError(
            f"Unknown trunk {name!r}{suggestion(name, [*TRUNKS, *timm.list_models()])}. "
            f"There are {', '.join(TRUNKS)} and all timm models."
        )
    offline = pretrained and name == DEFAULT_ENCODER
    if offline and channels != 3:
        raise FrugalsegError(
            f"The weights of {name} are for colour images, not for {channels} channels: "
            "leave out the Sobel filters, or train from nothing."
        )
    try:
        network: Any = timm.create_model(
            name, pretrained=pretrained and not offline, num_classes=0, in_chans=channels
        )
    except (OSError, RuntimeError) as error:  # no network, no such weights
        raise FrugalsegError(
            f"The weights of {name} cannot be had ({' '.join(str(error).split())[:200]}). "
            f"Those of {DEFAULT_ENCODER} come with the package."
        ) from error
    if offline:
        load_efficientnet_lite0(network)
    number = int(getattr(network, "head_hidden_size", None) or network.num_features)
    if channels != 3:
        return Trunk(network, number)
    return Trunk(network, number, *encoder_mean_std(name))


def third_stage(trunk: Trunk, channels: int, side: int) -> Trunk:
    """The flattened maps of the third stage of ``resnet34-iic``, on which the paper fine-tunes.

    Args:
        trunk: built by name; its layers are shared, not copied. Other trunks come back as they are.
        channels, side: of the images.
    """
    if not isinstance(trunk.network, ResNet34):
        return trunk
    layers = nn.Sequential(trunk.network.stem, *list(trunk.network.stages)[:3], nn.Flatten())
    mode = layers.training
    with torch.no_grad():
        number = layers.eval()(torch.zeros(1, channels, side, side)).shape[1]
    return Trunk(layers.train(mode), number)


def settle_batch_norm(trunk: nn.Module, batches: Sequence[Tensor] | Any) -> None:
    """Set the running statistics of batch norm to their mean over given batches.

    In training the statistics are those of the batch, of plain and transformed views by turns;
    answers need those of plain views, whatever the batch they are asked in. Does nothing where the
    trunk has no batch norm.

    Args:
        trunk: changed in place; its mode stays as it is.
        batches: images as the trunk takes them, ``(N, C, H, W)``, at least two a batch.
    """
    norms = [m for m in trunk.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    modes = {module: module.training for module in trunk.modules()}
    kept = [norm.momentum for norm in norms]
    trunk.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
        norm.train()
    with torch.no_grad():
        for images in batches:
            trunk(images)
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum
    for module, mode in modes.items():
        module.training = mode


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(inputs, outputs, 3, stride)
        self.second = nn.Sequential(*list(_conv(outputs, outputs, 3))[:2])
        plain = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if plain else nn.Sequential(*list(_conv(inputs, outputs, 1, stride))[:2])
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _initialise(network: nn.Module, mode: str) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
