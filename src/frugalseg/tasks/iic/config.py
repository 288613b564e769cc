"""The settings that clustering and discovery share: two heads and their training."""

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from cyclopts import Parameter

from frugalseg.augment.config import BaseAugmentConfig
from frugalseg.engine.config import OWN, Names, Options, TrainingConfig, setting
from frugalseg.errors import FrugalsegError
from frugalseg.models import BACKBONES, HEADS

Value = TypeVar("Value")


@dataclass(frozen=True)
class IICConfig(TrainingConfig):
    """How a network with two heads learns from pairs of views; the data decide what is None."""

    groups_setting: typing.ClassVar[str]  # number of groups of the main head
    finer_setting: typing.ClassVar[str]  # number of groups of the overclustering head
    unit: typing.ClassVar[str]  # what the groups are called

    split: str = setting(
        "all",
        "Images to learn from: all, train, test or another split of the data, or several joined by "
        "a plus: train+unlabelled.",
    )
    sub_heads: int | None = setting(
        None,
        "Independent starts of each head on the same features; the best is taken.",
        at_least=1,
        at_most=1000,
    )
    backbone: str | None = setting(
        None,
        "The network below the heads: one of the papers' (resnet34-iic, vgg-iic for images, "
        "vgg-seg for regions), any timm model, or for regions a segmenter such as unet or fpn; by "
        "default a pretrained one for photographs.",
    )
    width: int | None = setting(
        None,
        "Features of the first layer of the papers' networks; theirs is 64.",
        at_least=1,
        at_most=4096,
    )
    pretrained: bool | None = setting(None, "Start from ImageNet weights.")
    frozen: bool | None = setting(None, "Train heads only, on features computed once.")
    hidden: int | None = setting(
        None,
        "Features of a hidden layer in each sub-head; 0 for linear heads.",
        at_least=0,
        at_most=65536,
    )
    components: int | None = setting(
        None,
        "With frozen features: heads stand on so many principal components.",
        at_least=1,
    )
    augment_options: Options = setting(
        {}, "Further settings of the views, such as --augment-options.rotation 10.", at_most=10_000
    )
    num_views: int | None = setting(
        None, "Transformed views of each image.", at_least=1, at_most=1000
    )
    batch_size: int | None = setting(None, "Images in a step.", at_least=2, at_most=65536)
    steps: int | None = setting(None, "Training steps.", at_least=1)
    learning_rate: float | None = setting(None, "Learning rate.", above=0)
    decay: float = setting(
        0.2,
        "Share of the steps, at the end, over which the learning rate falls to 0.",
        at_least=0,
        at_most=1,
    )
    head_order: typing.Annotated[Names, Parameter(show_default=False)] = setting(
        ("main", "overcluster"),
        "Heads that learn in turn; may be given several times",
        choices=HEADS,
    )
    steps_per_head: int | None = setting(
        None, "Steps that a head learns before the next one does.", at_least=1
    )
    entropy_weight: float = setting(
        1.0,
        "Above 1 asks for main groups of equal size, below 1 allows unequal ones.",
        at_least=0,
    )
    overcluster_entropy_weight: float = setting(
        1.0, "The same for the overclustering head.", at_least=0
    )
    restarts: int = setting(
        1,
        "Trainings from different seeds; the one of lowest loss is kept.",
        at_least=1,
        at_most=1000,
    )

    @property
    def groups(self) -> int | Literal["auto"]:
        """k of the main head, or "auto"."""
        groups: int | Literal["auto"] = getattr(self, self.groups_setting)
        return groups

    @property
    def finer(self) -> int:
        """K of the overclustering head, of a resolved configuration."""
        return int(getattr(self, self.finer_setting))

    @property
    def merged(self) -> bool:
        """Whether the groups are merged finer ones, and no head is trained; if resolved."""
        return False

    @property
    def views(self) -> BaseAugmentConfig:
        """How views are made, of a resolved configuration.

        Raises:
            FrugalsegError: an option does not fit.
        """
        raise NotImplementedError

    @property
    def maps(self) -> dict[str, Any]:
        """What :func:`frugalseg.models.backbone.build_backbone` is told of maps."""
        return {}


Config = TypeVar("Config", bound=IICConfig)


def not_none(value: Value | None) -> Value:
    """A setting of a resolved configuration, in which none is None."""
    assert value is not None, "the configuration is not resolved"
    return value


def fill_in(config: Config, **defaults: Any) -> Config:
    """Give the settings of a configuration that are None their defaults."""
    missing = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    return dataclasses.replace(config, **missing)


def resolve_backbone(config: Config, default: str) -> Config:
    """Fill in the backbone, whether it starts from pretrained weights, and whether it is frozen.

    Args:
        config: as given.
        default: the backbone if the configuration names none.

    Raises:
        FrugalsegError: the backbone has no pretrained weights, or the main head would not learn.
    """
    if "main" not in config.head_order:
        raise FrugalsegError("--head-order must name main at least once.")
    name = config.backbone or default
    has_weights = name not in BACKBONES and name != OWN
    if config.pretrained and not has_weights:
        raise FrugalsegError(f"There are no pretrained weights of {name}: leave out --pretrained.")
    config = fill_in(dataclasses.replace(config, backbone=name), pretrained=has_weights)
    return fill_in(config, frozen=config.pretrained)
