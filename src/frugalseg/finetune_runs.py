"""A fine-tuned run: a classifier taught with labels on the trunk of a clustering run.

config.yaml                 everything needed to train it again, with ``task: finetune``
state.json                  classes, networks, views, the score, and whether it finished
weights.safetensors         trunk and classifier
labels.csv                  file, label, and what the label was used for: training, score or nothing
metrics.jsonl, environment.json, results/*.json, checkpoints/: as in :mod:`frugalseg.runs`

The clustering run is not needed once the training has ended.
"""

import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from frugalseg.cluster_runs import Plan, build_net
from frugalseg.options import Options, option_value
from frugalseg.task_runs import WEIGHTS, read_finished
from frugalseg.weights import load_weights

if typing.TYPE_CHECKING:
    from frugalseg.networks.heads import SupervisedNet

TASK = "finetune"
NEEDS = frozenset({"finished", "plan", "views", "class_names"})


@Parameter(name="*")
@dataclass(frozen=True)
class FinetuneConfig:
    """Everything that decides how a classifier is taught.

    Attributes:
        run: Folder of a finished clustering run, whose trunk is taught further.
        data: Folder of images; by default the one the run was trained on.
        labels: A CSV file (file,label), or folders; by default the run's, or the data set's own.
        split: Images to learn from; by default train where the data have train and test, else all.
        test: Images to score on; by default test, else a part of the labelled ones held out.
        hold_out: Share of each class's labelled images held out to score on, where there is no
            test; 0 learns from all and scores nothing.
        share: Of the labels to learn from, keep so many, drawn by the seed.
        steps: Training steps.
        batch: Images a step.
        rate: Learning rate of the classifier; the trunk learns at a tenth of it.
        hidden: Features of the classifier's hidden layer.
        views: How views are made; by default as the run's, stl-supervised where those are stl.
        view_options: Further settings of the views, such as --view-options.cut 0.5.
        crops: Views that an answer is averaged over: 1 (centre) or 5 (corners too), and their
            mirror images where the views are flipped.
        untrained: Begin with the same network from nothing, for comparison.
        seed: Seeds everything.
    """

    task: typing.ClassVar[str] = TASK

    run: typing.Annotated[str, Parameter(parse=False)] = ""
    data: str | None = None
    labels: str | None = None
    split: str | None = None
    test: str | None = None
    hold_out: float = 0.2
    share: float = 1.0
    steps: int = 1000
    batch: int = 128
    rate: float = 1e-3
    hidden: int = 2048
    views: str | None = None
    view_options: Options = field(default_factory=dict)
    crops: int = 1
    untrained: typing.Annotated[bool, Parameter(negative="")] = False
    seed: int = 0

    def __post_init__(self) -> None:
        values = {k.replace("-", "_"): option_value(v) for k, v in self.view_options.items()}
        object.__setattr__(self, "view_options", values)


@dataclass(frozen=True)
class FinetuneRun:
    """A finished fine-tuned run, loaded.

    Attributes:
        folder: where it lies.
        config: how it was trained.
        plan: of the clustering run: its trunk.
        views: settings of the views, as ``Views`` takes them.
        class_names: what the answers mean.
        state: what was chosen on the way, and the score.
        net: trunk and classifier, in evaluation mode.
    """

    folder: Path
    config: FinetuneConfig
    plan: Plan
    views: dict[str, Any]
    class_names: tuple[str, ...]
    state: dict[str, Any]
    net: "SupervisedNet"


def build_supervised(plan: Plan, classes: int, size: int, hidden: int) -> "SupervisedNet":
    """The untrained network of a plan's trunk with a classifier on it.

    Args:
        plan: of the clustering run.
        classes: outputs.
        size: height and width of a view.
        hidden: features of the hidden layer.
    """
    from frugalseg.networks.heads import SupervisedNet
    from frugalseg.networks.trunks import third_stage

    trunk = build_net(plan, 2, pretrained=False).trunk
    return SupervisedNet(third_stage(trunk, plan.channels, size), classes, hidden)


def load_finetune_run(folder: Path | str) -> FinetuneRun:
    """Load a finished fine-tuned run.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, or its weights do not fit.
    """
    folder = Path(folder)
    config, plan, state = read_finished(folder, FinetuneConfig, Plan, needs=NEEDS)
    names = tuple(state["class_names"])
    net = build_supervised(plan, len(names), state["views"]["size"], config.hidden)
    load_weights(net, folder / WEIGHTS["last"])
    return FinetuneRun(folder, config, plan, state["views"], names, state, net.eval())
