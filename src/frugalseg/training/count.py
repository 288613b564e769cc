"""Choose the number of clusters of a run from an overclustering trained first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from frugalseg.cluster_runs import ClusterConfig, Plan, build_net
from frugalseg.evaluation.count import choose_count


def count_clusters(
    config: ClusterConfig,
    plan: Plan,
    material: Any,
    folder: Path,
    progress: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train the overclustering head alone, merge its clusters, and choose their number.

    Args:
        config, plan, material: of the run.
        folder: of the run.
        progress: show a progress bar.
        say: is told, in words, what begins.

    Returns:
        As :func:`frugalseg.evaluation.count.choose_count` gives it.
    """
    import lightning

    from frugalseg.training.cluster import assign_in_parts, hardware, judge, make_task
    from frugalseg.training.fit import fit

    say(f"Counting: an overclustering of {plan.over_clusters}, to be merged")
    lightning.seed_everything(config.seed, verbose=False)
    net = build_net(plan, 2)
    task = make_task(config, plan, net, material, config.seed, order=("over",))
    fit(task, folder, "count", *hardware(config), progress)
    judge(task, material)  # settles batch norm
    p, q = assign_in_parts(task, "over", torch.split(task.watched, 200))
    counts = choose_count(p, q)
    say(counts["says"])
    return counts
