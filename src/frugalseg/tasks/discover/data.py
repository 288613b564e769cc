"""The images of a discovery, and its settings resolved for them and checked."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from torch import nn

from frugalseg.augment.config import CHANNELS
from frugalseg.data.image_mask_folder import ImageMaskFolder, open_any_folder
from frugalseg.engine.config import default_of
from frugalseg.errors import FrugalsegError
from frugalseg.models.backbone import FUSED, check_backbone
from frugalseg.models.pretrained import DEFAULT_ENCODER
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.iic.config import fill_in, not_none, resolve_backbone
from frugalseg.tasks.iic.model import build_net

PHOTO_SIDE = 256  # pixels of the shorter side at which pretrained networks see photographs
CENTRES = 40  # finer regions that the method ward merges, if they are to be few
LARGE_SIDE = 512  # pixels of the shorter side to which a backbone that learns has images reduced
MEMORY = 8 << 30  # bytes that images may take, unless --max-images asks for more of them
MIN_IMAGES = 2
MOST_FROZEN, MOST_MERGED = 600, 200  # images whose features are computed, unless more are asked for
CHECKED_AT = 256  # pixels at most of the image that a network is tried on
MAX_OVERCLASSES = 255  # maps of regions are bytes, in which 255 means no answer
TRAINED_ONLY = (
    *("sub_heads", "hidden", "batch_size", "steps", "learning_rate", "decay", "head_order"),
    *("steps_per_head", "entropy_weight", "overcluster_entropy_weight", "restarts"),
    *("max_displacement", "per_displacement", "loss_at", "crop", "num_views"),
)  # settings of heads that are trained


def open_data(config: DiscoverConfig) -> ImageMaskFolder:
    """The images that a configuration names, and their masks if it asks for them.

    Raises:
        FrugalsegError: there are none, there is no such split, or the masks do not fit.
    """
    data = open_any_folder(
        config.data,
        config.masks,
        config.class_list,
        config.ignore,
        config.mapping,
        config.bands,
    )
    data.indices(config.split)
    return data


def resolve(
    config: DiscoverConfig, data: ImageMaskFolder, backbone: nn.Module | None = None
) -> DiscoverConfig:
    """Fill in the settings that are left to the data, and refuse those that cannot work.

    Args:
        config: as given.
        data: the images.
        backbone: a network that is handed in, if any.

    Raises:
        FrugalsegError: there are too few images, or settings do not go together.
    """
    sizes = data.image_sizes(config.split)
    if len(sizes) < MIN_IMAGES:
        raise FrugalsegError(
            f"{config.data}: {len(sizes)} image is too few: give {MIN_IMAGES} or more."
        )
    asked = config
    config = resolve_backbone(config, DEFAULT_ENCODER if config.channels == "rgb" else "vgg-seg")
    config = _with_method(config)
    config = dataclasses.replace(config, side=_side(config, sizes), strides=config.strides or FUSED)
    if config.merged:
        config = fill_in(
            config,
            hidden=0,
            sub_heads=1,
            crop=config.side or PHOTO_SIDE,
            overclasses=_num_centres(config),
            num_views=1,
            max_displacement=0,
        )
    elif config.frozen:
        config = fill_in(
            config,
            hidden=64,
            sub_heads=4,
            crop=config.side or PHOTO_SIDE,
            max_displacement=1,
            batch_size=8,
            steps=600,
            steps_per_head=1,
            learning_rate=5e-3,
        )
    most = MOST_MERGED if config.merged else MOST_FROZEN if config.frozen else len(sizes)
    fitting = int(MEMORY * len(sizes) / memory_of(config, not_none(config.side), sizes))
    config = fill_in(
        config,
        width=64,
        hidden=0,
        components=64,
        overclasses=20 if config.classes == "auto" else min(5 * config.classes, MAX_OVERCLASSES),
        sub_heads=1,
        crop=128,
        max_images=max(MIN_IMAGES, min(most, fitting)),
        num_views=3,
        max_displacement=10,
    )
    if not config.merged:
        config = fill_in(config, batch_size=16, steps=2000, steps_per_head=20, learning_rate=1e-3)
    if not config.side:
        config = dataclasses.replace(config, crop=min(not_none(config.crop), int(sizes.max())))
    _refuse_contradictions(config, sizes, backbone)
    if config.merged:
        _refuse_settings_of_heads(asked)
    return config


def _with_method(config: DiscoverConfig) -> DiscoverConfig:
    """Fill in the method, and refuse one that does not fit the backbone."""
    fixed = config.frozen and config.pretrained
    config = fill_in(config, method="ward" if fixed else "iic")
    if config.merged and not config.frozen:
        raise FrugalsegError(
            "--method ward merges features that stay as they are: add --frozen, or leave it out."
        )
    return config


def _refuse_settings_of_heads(config: DiscoverConfig) -> None:
    """Refuse what was given for trained heads where none are trained."""
    for field in dataclasses.fields(config):
        if field.name in TRAINED_ONLY and getattr(config, field.name) != default_of(field):
            raise FrugalsegError(
                f"--{field.name.replace('_', '-')} is for heads that are trained, and the method "
                "ward trains none: add --method iic, or leave it out."
            )


def _num_centres(config: DiscoverConfig) -> int:
    """The number of k-means centres that are merged."""
    if config.classes == "auto":
        return CENTRES
    return min(max(CENTRES, 2 * config.classes), MAX_OVERCLASSES)


def memory_of(config: DiscoverConfig, side: int, sizes: NDArray[np.int64]) -> float:
    """Bytes that images take, with labels if there are masks.

    Args:
        config: says which values of a pixel are kept.
        side: the shorter side to which images are resized; 0 leaves them as they are.
        sizes: (N, 2) heights and widths.
    """
    factors = side / sizes.min(1) if side else np.ones(len(sizes))
    pixels = (sizes.prod(1) * factors**2).sum()
    return float(pixels) * (config.bands + (config.masks is not None))


def _side(config: DiscoverConfig, sizes: NDArray[np.int64]) -> int:
    """The shorter side to which images are resized, 0 for images as they are."""
    if config.side is not None:
        if 0 < config.side < 16:
            raise FrugalsegError(
                f"side={config.side} is out of range: it must be 0, or at least 16."
            )
        return config.side
    if config.pretrained:
        return PHOTO_SIDE
    return LARGE_SIDE if np.median(sizes.min(1)) > LARGE_SIDE else 0


def _refuse_contradictions(
    config: DiscoverConfig, sizes: NDArray[np.int64], own: nn.Module | None
) -> None:
    """Refuse settings that do not go together, and networks that cannot be had."""
    crop, side = not_none(config.crop), not_none(config.side)
    _ = config.views  # refuses options that do not fit
    fewest = 3 if config.classes == "auto" else config.classes
    if config.merged and config.finer < fewest:
        raise FrugalsegError(
            f"--overclasses {config.finer} is too few: the method ward merges finer regions, "
            f"{fewest} or more."
        )
    if config.masked and config.masks is None:
        raise FrugalsegError("--masked learns from labelled pixels: say where with --masks.")
    if config.frozen and config.masked:
        raise FrugalsegError("--masked is for backbones that learn: add --no-frozen.")
    if config.frozen and config.loss_at == "pixels":
        raise FrugalsegError(
            "--loss-at pixels is for backbones that learn, frozen features are compared where they "
            "are: add --no-frozen, or leave it out."
        )
    untrained = dataclasses.replace(config, pretrained=False)
    backbone = build_net(untrained, 2, own).backbone
    smallest = side or int(sizes.min())
    if min(smallest, crop) <= 2 * backbone.stride:
        raise FrugalsegError(
            f"{config.data}: images of {smallest} pixels are too small for {config.backbone}, "
            f"whose features lie {backbone.stride} pixels apart: give a larger --side."
        )
    check_backbone(backbone, CHANNELS[config.channels], min(crop, CHECKED_AT))
    reach = crop if config.loss_at == "pixels" else crop // backbone.stride
    if not_none(config.max_displacement) >= reach // 2:
        raise FrugalsegError(
            f"--max-displacement {config.max_displacement} is too far for maps of {reach} places: "
            "give less, or a larger --crop."
        )
