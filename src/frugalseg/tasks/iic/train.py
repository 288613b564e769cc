"""Train two heads: count the groups if asked to, from one seed or several, and keep the best."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from frugalseg.console import log
from frugalseg.engine.environment import default_device, is_main_process, seed_everything
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.engine.trainer import fit
from frugalseg.files import atomic_write
from frugalseg.metrics.clustering import mean_and_spread
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.iic.config import IICConfig
from frugalseg.tasks.iic.module import IICModule
from frugalseg.tasks.iic.number import choose_count

Build = Callable[[int], TwoHeadNet]  # the network, given k of the main head
# the training module, given the network, the seed and, unless they are those of the configuration,
# the heads that learn in turn
MakeModule = Callable[..., IICModule]


def build_first(config: IICConfig, build: Build) -> TwoHeadNet:
    """Build the network before anything is written: unknown backbones and missing weights fail.

    It draws a frozen backbone that has no weights: the same one for all restarts and whenever the
    training goes on.
    """
    seed_everything(config.seed)
    return build(2)


def train_heads(
    config: IICConfig,
    run: RunDir,
    groups: int | str,
    unit: str,
    build: Build,
    make: MakeModule,
    state: dict[str, Any],
) -> None:
    """Train from every seed, keep the training of lowest loss, and finish the run.

    Args:
        config: of the run, resolved.
        run: the run, begun.
        groups: k of the main head, or "auto".
        unit: name of the groups, such as "clusters".
        build: builds the network; random numbers are seeded before it is called.
        make: makes the training module of a network.
        state: further values for the state of the run.
    """
    if groups == "auto":
        state["counts"] = count_groups(config, run, unit, build, make)
        groups = int(state["counts"]["chosen"])
    outcomes = []
    for seed in range(config.seed, config.seed + config.restarts):
        name = f"{config.task}-{seed}" if config.restarts > 1 else config.task
        log.info(
            f"Training {'the heads' if config.frozen else 'backbone and heads'}: {groups} {unit}"
        )
        seed_everything(seed)
        module = make(build(int(groups)), seed)
        fit(module, run, name, config)
        outcomes.append({"seed": seed, "training": name, **select_head(module)})
        save_weights(module.net, run.checkpoints / name / "selected.st")
    if is_main_process():
        _finish(config, run, int(groups), outcomes, state)


def count_groups(
    config: IICConfig, run: RunDir, unit: str, build: Build, make: MakeModule
) -> dict[str, Any]:
    """Choose the number of groups from an overclustering that is trained first.

    Returns:
        As of :func:`frugalseg.tasks.iic.number.choose_count`.
    """
    log.info(f"Counting {unit}: an overclustering is trained and merged")
    seed_everything(config.seed)
    module = make(build(2), config.seed, ("overcluster",))
    fit(module, run, "count", config)
    select_head(module)  # settles batch norm
    outputs = module.compare("overcluster", module.monitored)
    counts = choose_count(outputs.p, outputs.q)
    log.info(counts["says"])
    return counts


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
