"""What a clustering configuration means for the images at hand, checked before work starts."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalseg.cluster_runs import ClusterConfig, Plan
from frugalseg.data.image_sets import ImageSet, Progress, open_images
from frugalseg.errors import FrugalsegError
from frugalseg.networks.pretrained import DEFAULT_ENCODER
from frugalseg.networks.trunks import TRUNKS
from frugalseg.task_runs import GIVEN
from frugalseg.training.limits import (
    either,
    known_views,
    limits_of_heads,
    refuse_out_of_range,
    with_view_options,
)
from frugalseg.training.views import PRESETS, Views

SMALL = 32  # images up to this side are no photographs
DISTRACTORS = "unlabelled"  # the split that only the overclustering head sees


@dataclass(frozen=True)
class _Defaults:
    """Of one preset of views."""

    trunk: str
    batch: int
    steps: int
    copies: int
    turn: int
    rate: float = 1e-3
    neighbours: int = 0


_SMALL_TRUNK = _Defaults("vgg-iic", batch=140, steps=3000, copies=5, turn=50)
_DEFAULTS = {
    "digits": _Defaults("vgg-iic", batch=140, steps=900, copies=3, turn=20),
    "mnist": _SMALL_TRUNK,
    "cifar": _Defaults("resnet34-iic", batch=220, steps=20000, copies=3, turn=100),
    "stl": _Defaults("resnet34-iic", batch=140, steps=20000, copies=5, turn=100),
    "photo": _Defaults(DEFAULT_ENCODER, 1000, 600, 4, turn=1, rate=1e-2, neighbours=20),
}


def open_image_data(config: ClusterConfig, progress: Progress = iter) -> ImageSet:
    """The images that a configuration names.

    Args:
        config: the configuration.
        progress: wraps the loop over the files of a folder.

    Raises:
        FrugalsegError: there are none, or the labels do not fit.
    """
    images = open_images(config.data, config.labels, progress)
    join_splits(images, config.split)
    if config.split not in images.splits:
        raise FrugalsegError(
            f"{config.data} has no split {config.split!r}: there are {', '.join(images.splits)}."
        )
    return images


def join_splits(images: ImageSet, name: str) -> None:
    """Add the split that several ones joined by "+" make, such as "train+unlabelled"."""
    parts = name.split("+")
    if len(parts) > 1 and all(part in images.splits for part in parts):
        images.splits[name] = np.unique(np.concatenate([images.splits[part] for part in parts]))


def _neighbours(config: ClusterConfig, default: int, count: int) -> int:
    """By default at most half of an equal cluster: of few images more would join clusters."""
    if config.neighbours is not None:
        return min(config.neighbours, count - 1)
    clusters = 10 if config.clusters == "auto" else config.clusters
    return min(default, max(1, count // (2 * clusters)))


def make_plan(config: ClusterConfig, images: ImageSet) -> Plan:
    """Fill in what the configuration leaves to the data, and refuse what cannot work.

    Raises:
        FrugalsegError: too few images, a number out of range, or settings that do not go together.
    """
    count = len(images.splits[config.split])
    _check_numbers(config, count)
    name = _preset(config, images)
    views = with_view_options(PRESETS[name], config.view_options)
    defaults = _DEFAULTS.get(name, _DEFAULTS["stl"])
    trunk = config.trunk or defaults.trunk
    own = trunk in TRUNKS or trunk == GIVEN
    pretrained = not own if config.pretrained is None else config.pretrained
    frozen = pretrained if config.frozen is None else config.frozen
    if own and pretrained:
        raise FrugalsegError(f"There are no pretrained weights of {trunk}: leave out --pretrained.")
    if own != (defaults.trunk in TRUNKS):  # heads alone, or a trunk to be trained after all
        defaults = _DEFAULTS["photo"] if frozen else _SMALL_TRUNK
    batch = min(config.batch or (defaults.batch if frozen else min(defaults.batch, 220)), count)
    plan = Plan(
        trunk=trunk,
        width=config.width,
        channels=views.out_channels,
        pretrained=pretrained,
        frozen=frozen,
        hidden=either(config.hidden, 0),
        components=config.components if frozen else 0,
        neighbours=_neighbours(config, defaults.neighbours if frozen else 0, count),
        over_clusters=_over_clusters(config, batch),
        sub_heads=config.sub_heads,
        copies=either(config.copies, defaults.copies),
        batch=batch,
        steps=either(config.steps, defaults.steps),
        turn=either(config.turn, defaults.turn),
        rate=either(config.rate, defaults.rate),
        entropy_weight=either(config.entropy_weight, 1.0),
        views=dataclasses.asdict(views),
    )
    _check_plan(config, plan)
    return plan


def view_settings(plan: Plan) -> Views:
    """The views of a plan."""
    return Views(**plan.views)


def training_indices(config: ClusterConfig, images: ImageSet) -> dict[str, NDArray[np.int64]]:
    """Which images each head is trained on.

    The main head sees no distractors, unless they were asked for by name.
    """
    over = images.splits[config.split]
    main = over
    if DISTRACTORS in images.splits and DISTRACTORS not in config.split.split("+"):
        main = np.setdiff1d(over, images.splits[DISTRACTORS])
    return {"main": main, "over": over}


def _over_clusters(config: ClusterConfig, batch: int) -> int:
    if config.over_clusters is not None:
        return config.over_clusters
    if config.clusters == "auto":
        return max(2, min(50, batch // 2))
    return max(config.clusters, min(5 * config.clusters, batch // 2))


def _preset(config: ClusterConfig, images: ImageSet) -> str:
    if config.views is not None:
        return known_views(config.views)
    side = int(images.sizes.max())
    if side <= SMALL and images.read(0).shape[2] == 1:
        return "digits" if side <= 12 else "mnist"
    if config.trunk in TRUNKS:
        return "cifar" if side <= SMALL else "stl"
    return "photo"


def _check_numbers(config: ClusterConfig, count: int) -> None:
    """Limits that no type says."""
    own = {
        "neighbours": config.neighbours is None or config.neighbours >= 0,
        "part": config.part is None or config.part >= 2,
    }
    refuse_out_of_range(config, limits_of_heads(config) | own)
    clusters = 2 if config.clusters == "auto" else config.clusters
    if clusters < 2:
        raise FrugalsegError(f"{clusters} cluster is no clustering: ask for 2 or more, or auto.")
    if count < max(clusters, 4 if config.clusters == "auto" else 2):
        raise FrugalsegError(
            f"{config.data}: {count} image{'s' * (count > 1)} cannot form {clusters} clusters: "
            "give more images or fewer --clusters."
        )


def _check_plan(config: ClusterConfig, plan: Plan) -> None:
    """Settings that do not go together."""
    largest = plan.over_clusters if "over" in config.order else 0
    if config.clusters != "auto":
        largest = max(largest, config.clusters)
    if plan.batch < largest:
        raise FrugalsegError(
            f"A step of {plan.batch} images cannot tell {largest} clusters apart: "
            f"take fewer clusters, or --batch {2 * largest} where there are so many images."
        )
    if config.part and (config.devices not in ("auto", "1") or config.nodes > 1):
        raise FrugalsegError("--part is for one device: leave it out, or --devices and --nodes.")
    if plan.neighbours and not plan.frozen:
        raise FrugalsegError("--neighbours are sought among frozen features: add --frozen.")
