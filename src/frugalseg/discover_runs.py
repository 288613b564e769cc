"""A discovery: a run that divides images into regions without labels.

Its files are those of :mod:`frugalseg.task_runs`, and for the images it has learned from
``report.html``, ``labels/*.png``, ``overlays/*.jpg`` and ``regions.csv``.
"""

import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter

from frugalseg.options import Names, Options, option_value
from frugalseg.task_runs import WEIGHTS, read_finished, trunk_to_build
from frugalseg.weights import load_weights

if typing.TYPE_CHECKING:
    from torch import nn

    from frugalseg.networks.dense_heads import DiscoverNet

TASK = "discover"
Strides = typing.Annotated[tuple[int, ...], Parameter(negative="", show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class DiscoverConfig:
    """Everything that decides how images are divided into regions without labels.

    What is None is chosen by the data.

    Attributes:
        data: Folder of images, or of images and masks.
        classes: Number of kinds of region, or auto.
        masks: Folder of masks, or the word folder for those in the data folder; they name and score
            regions, no more.
        class_list: A classes.csv of the masks; by default the one in the folder.
        mapping: A mapping.csv that merges fine classes into coarse ones.
        ignore: Name or id of a class to ignore; may be given several times.
        split: Images to learn from: all, train, val or test.
        over_classes: Regions of the overclustering head; by default 5 times as many, 255 at most.
        sub_heads: Independent starts of each head on the same features; the best is taken.
        trunk: vgg-seg (the paper's), any timm model, or a segmenter such as unet or fpn.
        width: Features of the first layer of vgg-seg; 64 is the paper's.
        pretrained: Start from ImageNet weights.
        frozen: Train heads only, on features computed once.
        strides: Of the maps of a timm model that are joined, such as 8 16 32.
        published_borders: Trim and pad vgg-seg as published.
        hidden: Features of a hidden layer in each sub-head; 0 for linear heads.
        components: With frozen features: heads stand on so many principal components.
        channels: What the network sees: rgb, sobel, rgb+sobel or rgbi (colour and infrared).
        side: Images are resized to this shorter side; 0 leaves them as they are, the default for
            trunks without pretrained weights unless most are larger than 512.
        crop: Height and width of the pieces that are learned from.
        pictures: At most so many images are learned from, drawn by seed; by default as many as 8
            GiB of memory hold, 600 with frozen features.
        masked: Learn from labelled pixels only, as published; needs --masks.
        view_options: How views are made, such as --view-options.rotation 10.
        copies: With frozen features: transformed views of each image.
        displacement: Neighbours up to so many places away count as views of each other.
        per_displacement: A joint distribution for each displacement, as published, or one for all.
        loss_at: Where answers are compared: features, or pixels (as published).
        batch: Images a step.
        steps: Training steps.
        rate: Learning rate.
        decay: Share of the steps, at the end, over which the rate falls to 0.
        order: Heads by turns: main or over; several times.
        turn: Steps of a turn.
        entropy_weight: Above 1 asks for regions of equal size, below 1 allows unequal ones.
        over_entropy_weight: The same for the overclustering head.
        restarts: Trainings from different seeds; the one of lowest loss is kept.
        seed: Seeds everything: the same seed gives the same run on the same machine.
        precision: Number format of the training, such as bf16-mixed (Lightning's names).
        devices: Number of devices, or auto.
        nodes: Number of machines.
    """

    task: typing.ClassVar[str] = TASK

    data: typing.Annotated[str, Parameter(parse=False)] = ""
    classes: int | Literal["auto"] = 3
    masks: str | None = None
    class_list: str | None = None
    mapping: str | None = None
    ignore: typing.Annotated[Names, Parameter(show_default=False)] = ()
    split: str = "all"
    over_classes: int | None = None
    sub_heads: int | None = None
    trunk: str | None = None
    width: int = 64
    pretrained: bool | None = None
    frozen: bool | None = None
    strides: Strides = ()
    published_borders: bool = False
    hidden: int | None = None
    components: int = 64
    channels: Literal["rgb", "sobel", "rgb+sobel", "rgbi"] = "rgb"
    side: int | None = None
    crop: int | None = None
    pictures: int | None = None
    masked: bool = False
    view_options: Options = field(default_factory=dict)
    copies: int = 3
    displacement: int | None = None
    per_displacement: bool = True
    loss_at: Literal["features", "pixels"] = "features"
    batch: int | None = None
    steps: int | None = None
    rate: float | None = None
    decay: float = 0.2
    order: typing.Annotated[Names, Parameter(show_default=False)] = ("main", "over")
    turn: int | None = None
    entropy_weight: float = 1.0
    over_entropy_weight: float = 1.0
    restarts: int = 1
    seed: int = 0
    precision: str = "32-true"
    devices: str = "auto"
    nodes: int = 1

    def __post_init__(self) -> None:
        # options come as words from the command line, as values from YAML
        values = {k.replace("-", "_"): option_value(v) for k, v in self.view_options.items()}
        object.__setattr__(self, "view_options", values)
        for name in ("order", "ignore", "strides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))


@dataclass(frozen=True)
class DiscoverPlan:
    """What a configuration means for the images at hand: nothing is left open.

    Attributes:
        in_channels: of what the network sees.
        views: settings of the views, as ``DenseViews`` takes them.
        others: as in :class:`DiscoverConfig`; ``side`` is 0 where images stay as they are.
    """

    trunk: str
    width: int
    in_channels: int
    pretrained: bool
    frozen: bool
    strides: tuple[int, ...]
    published_borders: bool
    hidden: int
    components: int
    over_classes: int
    sub_heads: int
    side: int
    crop: int
    pictures: int
    copies: int
    displacement: int
    loss_at: str
    batch: int
    steps: int
    turn: int
    rate: float
    entropy_weight: float
    views: dict[str, Any]


@dataclass(frozen=True)
class DiscoverRun:
    """A finished discovery, loaded.

    Attributes:
        folder: where it lies.
        config: how it was trained.
        plan: the same with nothing left open.
        state: what was chosen on the way.
        classes: k, kinds of region.
        sub_head, over_sub_head: those of lowest loss.
        net: trunk and heads, in evaluation mode.
    """

    folder: Path
    config: DiscoverConfig
    plan: DiscoverPlan
    state: dict[str, Any]
    classes: int
    sub_head: int
    over_sub_head: int
    net: "DiscoverNet"

    @property
    def region_names(self) -> tuple[str, ...]:
        """Names of the regions: of the classes they were found to be, or "region 0", ..."""
        plain = tuple(f"region {i}" for i in range(self.classes))
        return tuple(self.state.get("region_names") or plain)


def build_discover_net(
    plan: DiscoverPlan,
    classes: int,
    pretrained: bool | None = None,
    trunk: "nn.Module | None" = None,
) -> "DiscoverNet":
    """The untrained networks of a plan.

    Args:
        plan: the plan.
        classes: k of the main head.
        pretrained: overrides the plan's.
        trunk: where the plan's was handed in: it, of which a copy is built in.

    Raises:
        FrugalsegError: no such trunk, its weights cannot be had, or it must be handed in.
    """
    from frugalseg.networks.dense import build_dense_trunk
    from frugalseg.networks.dense_heads import DiscoverNet

    built = build_dense_trunk(
        trunk_to_build(plan.trunk, trunk),
        plan.in_channels,
        plan.width,
        plan.pretrained if pretrained is None else pretrained,
        plan.strides,
        plan.published_borders,
    )
    return DiscoverNet(
        built,
        classes,
        plan.over_classes,
        plan.sub_heads,
        plan.hidden,
        plan.components,
        plan.published_borders,
    )


def load_discover_run(
    folder: Path | str, weights: str = "last", trunk: "nn.Module | None" = None
) -> DiscoverRun:
    """Load a finished discovery.

    Args:
        folder: the run's folder.
        weights: "last", or "lowest" for those of the lowest loss.
        trunk: where the run's was handed in: it again; a copy gets the weights of the run.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, its weights do not fit, or its trunk
            must be handed in.
    """
    folder = Path(folder)
    config, plan, state = read_finished(folder, DiscoverConfig, DiscoverPlan, weights)
    net = build_discover_net(plan, state["clusters"], pretrained=False, trunk=trunk)
    load_weights(net, folder / WEIGHTS[weights])
    chosen = state if weights == "last" else state["lowest"]
    heads = (chosen["sub_head"], chosen["over_sub_head"])
    return DiscoverRun(folder, config, plan, state, state["clusters"], *heads, net.eval())
