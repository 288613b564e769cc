"""Train two heads: count the groups if asked to, from one seed or several, and keep the best."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frugalseg.console import log
from frugalseg.engine.environment import default_device, is_main_process, seed_everything
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.engine.trainer import fit
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_write
from frugalseg.metrics.clustering import mean_and_spread
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.iic.config import IICConfig, not_none
from frugalseg.tasks.iic.model import build_net, share_frozen
from frugalseg.tasks.iic.module import IICModule
from frugalseg.tasks.iic.number import choose_count
from frugalseg.tasks.iic.schedule import HeadSchedule


@dataclass(frozen=True)
class TrainingData:
    """What a training learns from: images, or features of a frozen backbone.

    Attributes:
        heads: the images of each head, counted among those of the training.
        module: the class of the training modules.
        values: the attributes of these that hold images or features, and labels.
        frozen: the network whose backbone computed these features and whose components reduced
            them.
        shuffle: see :class:`HeadSchedule`.
        state: further values for the state of the run.
    """

    heads: dict[str, NDArray[np.int64]]
    module: type[IICModule]
    values: dict[str, Any]
    frozen: TwoHeadNet | None = None
    shuffle: bool = True
    state: dict[str, Any] = field(default_factory=dict)


def train_heads(
    config: IICConfig,
    run: RunDir,
    backbone: nn.Module | None,
    read: Callable[[TwoHeadNet], TrainingData],
) -> None:
    """Train a run from every seed, or go on with it; keep the training of lowest loss.

    Args:
        config: of the run, resolved.
        run: its folder.
        backbone: a network of one's own in place of a named one; a copy is trained, from its
            weights. :func:`frugalseg.models.backbone.build_backbone` says what it must take,
            return and have.
        read: reads the images, or computes features with the backbone of a network and sets its
            components.

    Raises:
        FrugalsegError: the settings, the backbone or the images do not allow the training. The
            folder is made once they have been read, or before features are kept in it.
    """
    # built before anything is written: unknown backbones and missing weights fail. It draws a
    # frozen backbone that has no weights: the same one for all restarts and whenever the training
    # goes on.
    seed_everything(config.seed)
    data = read(build_net(config, 2, backbone))
    run.begin()
    state, groups = data.state, config.groups
    if groups == "auto":
        log.info(f"Counting {config.unit}: an overclustering is trained and merged")
        module, _ = train_once(config, run, backbone, data, 2, config.seed, "count")
        outputs = module.compare("overcluster", module.monitored)
        counts = choose_count(outputs.p, outputs.q, config.unit)
        log.info(counts["says"])
        state, groups = {**state, "counts": counts}, int(counts["chosen"])
    outcomes = []
    for seed in range(config.seed, config.seed + config.restarts):
        name = f"{config.task}-{seed}" if config.restarts > 1 else config.task
        what = "the heads" if config.frozen else "backbone and heads"
        log.info(f"Training {what}: {groups} {config.unit}")
        module, selected = train_once(config, run, backbone, data, groups, seed, name)
        outcomes.append({"seed": seed, "training": name, **selected})
        save_weights(module.net, run.checkpoints / name / "selected.st")
    if is_main_process():
        _finish(config, run, groups, outcomes, state)


def train_once(
    config: IICConfig,
    run: RunDir,
    backbone: nn.Module | None,
    data: TrainingData,
    groups: int,
    seed: int,
    name: str,
) -> tuple[IICModule, dict[str, Any]]:
    """Train from one seed.

    Args:
        config, run, backbone: as in :func:`train_heads`.
        data: what is learned from.
        groups: k of the main head.
        seed: of the training.
        name: of the training; "count" trains the overclustering head alone.

    Returns:
        The trained module, and what :func:`select_head` says of it.
    """
    seed_everything(seed)
    order = ("overcluster",) if name == "count" else config.head_order
    module = make_module(config, data, build_net(config, groups, backbone), seed, order)
    fit(module, run, name, config)
    return module, select_head(module)


def make_module(
    config: IICConfig,
    data: TrainingData,
    net: TwoHeadNet,
    seed: int,
    head_order: tuple[str, ...] | None = None,
) -> IICModule:
    """The training module of a network.

    Args:
        config: resolved.
        data: what it learns from.
        net: the network.
        seed: of the training.
        head_order: the heads that learn in turn; by default those of the configuration.
    """
    schedule = HeadSchedule(
        data.heads,
        head_order or config.head_order,
        not_none(config.steps_per_head),
        not_none(config.batch_size),
        seed,
        data.shuffle,
    )
    if data.frozen is not None:
        share_frozen(net, data.frozen)
    return data.module(net, schedule, config, seed, **data.values)


def refuse_equal(config: IICConfig, parts: Iterable[Tensor], what: str) -> None:
    """Refuse images of which nothing can be learned.

    Args:
        config: names the data.
        parts: (n, F) values of some images or pixels each.
        what: what all images are if all these rows are equal.

    Raises:
        FrugalsegError: they are.
    """
    first: Tensor | None = None
    for part in parts:
        first = part[0] if first is None else first
        if not bool((part == first).all()):
            return
    raise FrugalsegError(f"{config.data}: all images are {what}, there is nothing to tell apart.")


def select_head(module: IICModule) -> dict[str, Any]:
    """Settle batch norm, and compare sub-heads without labels, on images of the training.

    Returns:
        Of the main head "sub_head" (that of lowest loss), its "diagnostics", and the "losses" of
        all sub-heads; of the overclustering head "overcluster_sub_head" and "overcluster_losses".
        Losses and diagnostics are given for heads that the module trains.
    """
    module.to(default_device())  # Lightning has taken it off the device
    heads = dict.fromkeys(module.schedule.head_order)
    indices = module.schedule.indices[next(iter(heads))]
    order = np.random.default_rng((0, 11)).permutation(indices)
    chosen = torch.from_numpy(order[: module.num_judged])
    module.settle(chosen)
    module.net.eval()
    selected: dict[str, Any] = {"overcluster_sub_head": 0}
    for head in heads:
        outputs = module.compare(head, chosen)
        losses = [float(loss) for loss in outputs.losses]
        if head == "main":
            selected |= {"sub_head": outputs.best, "losses": losses}
            selected["diagnostics"] = outputs.diagnostics()
        else:
            selected |= {"overcluster_sub_head": outputs.best, "overcluster_losses": losses}
    return selected


def _finish(
    config: IICConfig,
    run: RunDir,
    groups: int,
    outcomes: Sequence[dict[str, Any]],
    state: dict[str, Any],
) -> None:
    """Keep the training of lowest loss and finish the run."""
    best = min(outcomes, key=lambda outcome: min(outcome["losses"]))
    weights = run.checkpoints / best["training"] / "selected.st"
    atomic_write(weights.read_bytes(), run.weights)
    run.finish(
        {
            "resolved": config.plain(),
            "clusters": groups,
            **best,
            "restarts": list(outcomes),
            "spread_over_restarts": mean_and_spread([min(o["losses"]) for o in outcomes]),
            "oracle": _oracle_stop(run, best["training"]),
            **state,
        }
    )


def _oracle_stop(run: RunDir, training: str) -> dict[str, Any] | None:
    """The step of highest labelled accuracy, as published figures were chosen; for comparison only.

    Returns:
        "step", and "accuracy" of its best sub-head on the monitored images; None without labels.
    """
    lines = [line for line in run.history() if line["training"] == training and "accuracy" in line]
    if not lines:
        return None
    best = max(lines, key=lambda line: max(line["accuracy"]))
    return {"step": best["step"], "accuracy": max(best["accuracy"])}
