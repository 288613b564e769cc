"""What the configuration of a discovery means for the images at hand, checked before it starts."""

import dataclasses

import numpy as np
from numpy.typing import NDArray
from torch import nn

from frugalseg.data.image_sets import Progress
from frugalseg.data.region_images import RegionImages, open_region_images
from frugalseg.discover_runs import DiscoverConfig, DiscoverPlan, build_discover_net
from frugalseg.errors import FrugalsegError
from frugalseg.networks.dense import DENSE_TRUNKS, FUSED, check_maps
from frugalseg.networks.pretrained import DEFAULT_ENCODER
from frugalseg.task_runs import GIVEN
from frugalseg.training.dense_views import CHANNELS, DenseViews
from frugalseg.training.limits import (
    either,
    limits_of_heads,
    refuse_out_of_range,
    with_view_options,
)

PHOTO_SIDE = 256  # pixels of the shorter side at which pretrained networks see photographs
LARGE_SIDE = 512  # where images are larger, a trunk that learns sees them at this shorter side
MEMORY = 8 << 30  # bytes that images may take, unless --pictures asks for more of them
FEWEST = 2  # images
CHECKED_AT = 256  # pixels at most of the image that a network is tried on
MOST_FINER = 255  # regions: maps of them are bytes, of which 255 stands for no answer


def open_discover_data(config: DiscoverConfig, progress: Progress = iter) -> RegionImages:
    """The images that a configuration names, and their masks where it asks for them.

    Args:
        config: the configuration.
        progress: wraps the loop over files.

    Raises:
        FrugalsegError: there are none, there is no such split, or the masks do not fit.
    """
    data = open_region_images(
        config.data, config.masks, config.class_list, config.mapping, config.ignore, progress
    )
    data.indices(config.split)
    return data


def make_discover_plan(
    config: DiscoverConfig, data: RegionImages, trunk: nn.Module | None = None
) -> DiscoverPlan:
    """Fill in what the configuration leaves to the data, and refuse what cannot work.

    Args:
        config: the configuration.
        data: the images.
        trunk: the network, where one is handed in.

    Raises:
        FrugalsegError: too few images, a number out of range, or settings that do not go together.
    """
    sizes = data.images.sizes[data.indices(config.split)]
    _check_numbers(config, len(sizes))
    name = config.trunk or (DEFAULT_ENCODER if config.channels == "rgb" else "vgg-seg")
    own = name in DENSE_TRUNKS or name == GIVEN
    pretrained = not own if config.pretrained is None else config.pretrained
    frozen = pretrained if config.frozen is None else config.frozen
    side = _side(config, pretrained, sizes)
    crop = either(config.crop, (side or PHOTO_SIDE) if frozen else 128)
    if not side:
        crop = min(crop, int(sizes.max()))
    defaults = _Defaults(8, 600, 5e-3, 64) if frozen else _Defaults(16, 2000, 1e-3, 0)
    plan = DiscoverPlan(
        trunk=name,
        width=config.width,
        in_channels=CHANNELS[config.channels],
        pretrained=pretrained,
        frozen=frozen,
        strides=config.strides or FUSED,
        published_borders=config.published_borders,
        hidden=either(config.hidden, defaults.hidden),
        components=config.components if frozen else 0,
        over_classes=_over_classes(config),
        sub_heads=either(config.sub_heads, 4 if frozen else 1),
        side=side,
        crop=crop,
        pictures=_pictures(config, frozen, side, sizes),
        copies=config.copies,
        displacement=either(config.displacement, 1 if frozen else 10),
        loss_at=config.loss_at,
        batch=either(config.batch, defaults.batch),
        steps=either(config.steps, defaults.steps),
        turn=either(config.turn, 1 if frozen else 20),
        rate=either(config.rate, defaults.rate),
        entropy_weight=config.entropy_weight,
        views=dataclasses.asdict(_views(config, frozen)),
    )
    _check_plan(config, plan, sizes, trunk)
    return plan


def dense_views(plan: DiscoverPlan) -> DenseViews:
    """The views of a plan."""
    return DenseViews(**plan.views)


def bands_of(config: DiscoverConfig) -> int:
    """Values of a pixel, as it is read."""
    return 4 if config.channels == "rgbi" else 3


def memory_of(config: DiscoverConfig, side: int, sizes: NDArray[np.int64]) -> float:
    """Bytes that images take, with the labels of those that have masks.

    Args:
        config: says what is kept of a pixel.
        side: to which their shorter side is brought; 0 leaves them as they are.
        sizes: (N, 2) heights and widths.
    """
    factors = side / sizes.min(1) if side else np.ones(len(sizes))
    pixels = (sizes.prod(1) * factors**2).sum()
    return float(pixels) * (bands_of(config) + (config.masks is not None))


@dataclasses.dataclass(frozen=True)
class _Defaults:
    """Of frozen features, and of a trunk that learns."""

    batch: int
    steps: int
    rate: float
    hidden: int


def _side(config: DiscoverConfig, pretrained: bool, sizes: NDArray[np.int64]) -> int:
    if config.side is not None:
        return config.side
    if pretrained:
        return PHOTO_SIDE
    return LARGE_SIDE if np.median(sizes.min(1)) > LARGE_SIDE else 0


def _pictures(config: DiscoverConfig, frozen: bool, side: int, sizes: NDArray[np.int64]) -> int:
    if config.pictures is not None:
        return config.pictures
    fitting = int(MEMORY * len(sizes) / memory_of(config, side, sizes))
    return max(FEWEST, min(600, fitting) if frozen else fitting)


def _over_classes(config: DiscoverConfig) -> int:
    if config.over_classes is not None:
        return config.over_classes
    return 20 if config.classes == "auto" else min(5 * config.classes, MOST_FINER)


def _views(config: DiscoverConfig, frozen: bool) -> DenseViews:
    views = DenseViews(config.channels, scale=(0.7, 1.3) if frozen else (1.0, 1.0))
    return with_view_options(views, config.view_options, fixed={"channels"})


def _check_numbers(config: DiscoverConfig, count: int) -> None:
    """Limits that no type says."""
    own = {
        "over_classes": config.over_classes is None or config.over_classes >= 2,
        "side": config.side is None or config.side == 0 or config.side >= 16,
        "crop": config.crop is None or config.crop >= 16,
        "pictures": config.pictures is None or config.pictures >= FEWEST,
        "displacement": config.displacement is None or config.displacement >= 0,
    }
    refuse_out_of_range(config, limits_of_heads(config) | own)
    if config.classes != "auto" and not 2 <= config.classes <= 254:
        raise FrugalsegError(
            f"{config.classes} kinds of region are no division: ask for 2 to 254, or auto."
        )
    if config.over_classes is not None and config.over_classes > MOST_FINER:
        raise FrugalsegError(
            f"{config.over_classes} finer regions are more than a label image can hold: "
            f"ask for {MOST_FINER} --over-classes at most."
        )
    if count < FEWEST:
        raise FrugalsegError(f"{config.data}: {count} image is too few: give {FEWEST} or more.")
    if config.masked and config.masks is None:
        raise FrugalsegError("--masked learns from labelled pixels: say where with --masks.")


def _check_plan(
    config: DiscoverConfig, plan: DiscoverPlan, sizes: NDArray[np.int64], given: nn.Module | None
) -> None:
    """Settings that do not go together; networks and weights that cannot be had."""
    if plan.pretrained and plan.trunk in (*DENSE_TRUNKS, GIVEN):
        raise FrugalsegError(
            f"There are no pretrained weights of {plan.trunk}: leave out --pretrained."
        )
    if plan.frozen and config.masked:
        raise FrugalsegError("--masked is for trunks that learn: add --no-frozen.")
    if plan.published_borders and (plan.trunk != "vgg-seg" or plan.frozen):
        raise FrugalsegError(
            "--published-borders is for the paper's network, learned from the images: "
            "add --trunk vgg-seg --no-frozen, or leave it out."
        )
    if plan.frozen and plan.loss_at == "pixels":
        raise FrugalsegError(
            "--loss-at pixels is for trunks that learn, frozen features are compared where they "
            "are: add --no-frozen, or leave it out."
        )
    trunk = build_discover_net(plan, 2, pretrained=False, trunk=given).trunk
    least = plan.side or int(sizes.min())
    if min(least, plan.crop) <= 2 * trunk.stride:
        raise FrugalsegError(
            f"{config.data}: images of {least} pixels are too small for {plan.trunk}, whose "
            f"features lie {trunk.stride} pixels apart: give a larger --side."
        )
    check_maps(trunk, plan.in_channels, min(plan.crop, CHECKED_AT))
    reach = plan.crop if plan.loss_at == "pixels" else plan.crop // trunk.stride
    if plan.displacement >= reach // 2:
        raise FrugalsegError(
            f"--displacement {plan.displacement} is too far for maps of {reach} places: "
            "give less, or a larger --crop."
        )
