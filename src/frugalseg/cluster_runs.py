"""A clustering run: a folder that loads with nothing but itself.

Its files are those of :mod:`frugalseg.task_runs`; the state holds the names of classes, if any.
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

    from frugalseg.networks.heads import ClusterNet

TASK = "cluster"


@Parameter(name="*")
@dataclass(frozen=True)
class ClusterConfig:
    """Everything that decides how images are clustered. What is None is chosen by the data.

    Attributes:
        data: Folder of images, a data set as its makers ship it, or "digits".
        clusters: Number of clusters, or auto.
        labels: A CSV file (file,label), or "folders"; they name and score clusters, no more.
        split: Images to train on: all, train, test or another split of the data set, or several
            joined by a plus: train+unlabelled.
        over_clusters: Clusters of the overclustering head; by default 5 times as many.
        sub_heads: Independent starts of each head on the same features; the best is taken.
        trunk: resnet34-iic, vgg-iic or any timm model; by default a pretrained one for photographs.
        width: Features of the first layer of resnet34-iic and vgg-iic; 64 is the paper's.
        pretrained: Start from ImageNet weights.
        frozen: Train heads only, on features computed once.
        hidden: Features of a hidden layer in each sub-head; 0 for linear heads.
        components: With frozen features: heads stand on so many principal components.
        neighbours: With frozen features: that many nearest images count as views of each other.
        views: How views are made: mnist, cifar, stl, photo or digits.
        view_options: Further settings of the views, such as --view-options.rotation 10.
        copies: Transformed views of each image.
        batch: Images a step.
        part: Images that are computed at once; the result is that of the whole batch.
        steps: Training steps.
        rate: Learning rate.
        decay: Share of the steps, at the end, over which the rate falls to 0.
        order: Heads by turns: main or over; several times.
        turn: Steps of a turn.
        entropy_weight: Above 1 asks for main clusters of equal size.
        over_entropy_weight: The same for the overclustering head.
        restarts: Trainings from different seeds; the one of lowest loss is kept.
        seed: Seeds everything: the same seed gives the same run on the same machine.
        shuffle: Draw batches at random, not in the order of the files, as the published code does.
        features: Folder that keeps computed features for other runs.
        precision: Number format of the training, such as bf16-mixed (Lightning's names).
        devices: Number of devices, or auto.
        nodes: Number of machines.
    """

    task: typing.ClassVar[str] = TASK

    data: typing.Annotated[str, Parameter(parse=False)] = ""
    clusters: int | Literal["auto"] = 10
    labels: str | None = None
    split: str = "all"
    over_clusters: int | None = None
    sub_heads: int = 5
    trunk: str | None = None
    width: int = 16
    pretrained: bool | None = None
    frozen: bool | None = None
    hidden: int | None = None
    components: int = 128
    neighbours: int | None = None
    views: str | None = None
    view_options: Options = field(default_factory=dict)
    copies: int | None = None
    batch: int | None = None
    part: int | None = None
    steps: int | None = None
    rate: float | None = None
    decay: float = 0.2
    order: typing.Annotated[Names, Parameter(show_default=False)] = ("main", "main", "over")
    turn: int | None = None
    entropy_weight: float | None = None
    over_entropy_weight: float = 1.0
    restarts: int = 1
    seed: int = 0
    shuffle: bool = True
    features: str | None = None
    precision: str = "32-true"
    devices: str = "auto"
    nodes: int = 1

    def __post_init__(self) -> None:
        # options come as words from the command line, as values from YAML
        values = {k.replace("-", "_"): option_value(v) for k, v in self.view_options.items()}
        object.__setattr__(self, "view_options", values)
        object.__setattr__(self, "order", tuple(self.order))


@dataclass(frozen=True)
class Plan:
    """What a configuration means for the data at hand: nothing is left open.

    Attributes:
        views: settings of the views, as ``Views`` takes them.
        others: as in :class:`ClusterConfig`.
    """

    trunk: str
    width: int
    channels: int
    pretrained: bool
    frozen: bool
    hidden: int
    components: int
    neighbours: int
    over_clusters: int
    sub_heads: int
    copies: int
    batch: int
    steps: int
    turn: int
    rate: float
    entropy_weight: float
    views: dict[str, Any]


@dataclass(frozen=True)
class ClusterRun:
    """A finished clustering run, loaded.

    Attributes:
        folder: where it lies.
        config: how it was trained.
        plan: the same with nothing left open.
        state: what was chosen on the way.
        clusters: k.
        sub_head, over_sub_head: those of lowest loss.
        net: trunk and heads, in evaluation mode.
    """

    folder: Path
    config: ClusterConfig
    plan: Plan
    state: dict[str, Any]
    clusters: int
    sub_head: int
    over_sub_head: int
    net: "ClusterNet"


def build_net(
    plan: Plan,
    clusters: int,
    pretrained: bool | None = None,
    trunk: "nn.Module | None" = None,
) -> "ClusterNet":
    """The untrained networks of a plan.

    Args:
        plan: the plan.
        clusters: k of the main head.
        pretrained: overrides the plan's.
        trunk: where the plan's was handed in: it, of which a copy is built in.

    Raises:
        FrugalsegError: no such trunk, its weights cannot be had, or it must be handed in.
    """
    from frugalseg.networks.heads import ClusterNet
    from frugalseg.networks.trunks import build_trunk

    given = plan.pretrained if pretrained is None else pretrained
    chosen = trunk_to_build(plan.trunk, trunk)
    built = build_trunk(chosen, plan.channels, plan.width, given)
    return ClusterNet(
        built, clusters, plan.over_clusters, plan.sub_heads, plan.hidden, plan.components
    )


def load_cluster_run(
    folder: Path | str, weights: str = "last", trunk: "nn.Module | None" = None
) -> ClusterRun:
    """Load a finished clustering run.

    Args:
        folder: the run's folder.
        weights: "last", or "lowest" for those of the lowest loss.
        trunk: where the run's was handed in: it again; a copy gets the weights of the run.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, its weights do not fit, or its trunk
            must be handed in.
    """
    folder = Path(folder)
    config, plan, state = read_finished(folder, ClusterConfig, Plan, weights)
    net = build_net(plan, state["clusters"], pretrained=False, trunk=trunk)
    load_weights(net, folder / WEIGHTS[weights])
    chosen = state if weights == "last" else state["lowest"]
    heads = (chosen["sub_head"], chosen["over_sub_head"])
    return ClusterRun(folder, config, plan, state, state["clusters"], *heads, net.eval())
