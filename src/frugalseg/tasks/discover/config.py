"""The settings of a discovery, which divides images into regions without labels.

Beside the files of :mod:`frugalseg.engine.run_dir` a run has, of the images it has learned from,
``report.html``, ``labels/*.png``, ``overlays/*.jpg`` and ``regions.csv``.
"""

import typing
from dataclasses import dataclass
from typing import Any, Literal

from cyclopts import Parameter

from frugalseg.augment.config import DenseAugmentConfig, with_augment_options
from frugalseg.engine.config import Names, setting
from frugalseg.tasks.iic.config import IICConfig

Strides = typing.Annotated[tuple[int, ...], Parameter(negative="", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class DiscoverConfig(IICConfig):
    """Divide the images of a folder into kinds of region without labels.

    Writes RUN/report.html to look at, RUN/labels (PNG files of original size), RUN/overlays and
    RUN/regions.csv, the share of each region in each image. An interrupted training goes on if
    the same command is given again.
    """

    task: typing.ClassVar[str] = "discover"
    groups_setting: typing.ClassVar[str] = "classes"
    finer_setting: typing.ClassVar[str] = "overclasses"
    unit: typing.ClassVar[str] = "regions"
    default_run: typing.ClassVar[str] = "runs/DATA-regions-CLASSES-SEED"

    data: typing.Annotated[str, Parameter(parse=False)] = setting(
        "",
        "Folder of images, or of images and masks (of which only the images are used).",
    )
    classes: int | Literal["auto"] = setting(
        3, "Number of kinds of region, or auto.", at_least=2, at_most=254
    )
    method: Literal["ward", "iic"] | None = setting(
        None,
        "ward merges k-means centres of a frozen backbone's features, the default for pretrained "
        "ones; iic trains heads by mutual information, the default for backbones that learn.",
    )
    masks: str | None = setting(
        None,
        "Folder of masks, or the word folder for those in the data folder; they name and score "
        "regions, no more.",
    )
    class_list: str | None = setting(
        None, "A classes.csv of the masks; by default the one in the folder."
    )
    mapping: str | None = setting(None, "A mapping.csv that merges fine classes into coarse ones.")
    ignore: typing.Annotated[Names, Parameter(show_default=False)] = setting(
        (), "Name or id of a class to ignore; may be given several times."
    )
    overclasses: int | None = setting(
        None,
        "Finer regions: k-means centres, or outputs of the overclustering head; by default 40 "
        "centres, or 5 times as many outputs.",
        at_least=2,
        at_most=255,
    )
    strides: Strides = setting(
        (),
        "Of the maps of a timm model that are joined, such as 8 16 32.",
        at_least=1,
        at_most=1024,
    )
    channels: Literal["rgb", "sobel", "rgb+sobel", "rgbi"] = setting(
        "rgb", "What the network sees; rgbi is colour and infrared."
    )
    side: int | None = setting(
        None,
        "Images are resized to this shorter side; 0 leaves them as they are, the default for "
        "backbones without pretrained weights unless most are larger than 512.",
        at_least=0,
        at_most=65535,
    )
    crop: int | None = setting(
        None, "Height and width of the pieces that are learned from.", at_least=16, at_most=65535
    )
    max_images: int | None = setting(
        None,
        "At most so many images are learned from, drawn by seed; by default as many as 8 GiB of "
        "memory hold, 600 with frozen features, 200 if these are merged.",
        at_least=2,
    )
    masked: bool = setting(False, "Learn from labelled pixels only, as published; needs --masks.")
    max_displacement: int | None = setting(
        None,
        "Neighbours up to so many places away count as views of each other.",
        at_least=0,
        at_most=1000,
    )
    per_displacement: bool = setting(
        True, "A joint distribution for each displacement, as published, or one for all."
    )
    loss_at: Literal["features", "pixels"] = setting(
        "features", "Where answers are compared: features, or pixels (as published)."
    )

    @property
    def bands(self) -> int:
        """Values of a pixel in the image files."""
        return 4 if self.channels == "rgbi" else 3

    @property
    def merged(self) -> bool:
        return self.method == "ward"

    @property
    def views(self) -> DenseAugmentConfig:
        scale = (0.7, 1.3) if self.frozen else (1.0, 1.0)
        views = DenseAugmentConfig(channels=self.channels, scale=scale)
        return with_augment_options(views, self.augment_options, fixed={"channels"})

    @property
    def maps(self) -> dict[str, Any]:
        return {"maps": True, "strides": self.strides}


def method_in_words(config: DiscoverConfig) -> str:
    """What a method does, and which backbones it is the default for."""
    if config.merged:
        return (
            f"{config.finer} k-means centres of the features of a frozen backbone are merged by "
            "Ward's criterion, without a training; it is the default for a frozen pretrained "
            "backbone (--method iic trains heads on it)"
        )
    return (
        "heads are trained to agree on two views, by mutual information; it is the default for a "
        "backbone that learns"
    )
