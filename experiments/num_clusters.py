"""How many clusters: what ``--clusters auto`` says against the true number, over seeds."""

import dataclasses
from pathlib import Path

from experiments.published import Numbers
from frugalseg.console import log
from frugalseg.engine.environment import command_line, environment
from frugalseg.files import write_json
from frugalseg.tasks import base
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import open_data

DEFAULTS = ClusterConfig()


def num_clusters(
    data: Path,
    /,
    *,
    out: Path,
    runs: Path = Path("runs/auto"),
    seeds: Numbers = (0, 1, 2),
    config: ClusterConfig = DEFAULTS,
) -> str:
    """Let the number of clusters be chosen, with every seed.

    Args:
        data: Folder of labelled images, or a data set.
        out: The result file, JSON: for each seed the chosen number and the curve.
        runs: Folder of the runs.
        seeds: One run each.

    Returns:
        One line: the true number of classes and those chosen.

    Raises:
        FrugalsegError: a run there is of other settings, or what training raises.
    """
    config = dataclasses.replace(config, data=str(data), clusters="auto")
    images = open_data(config)
    counts = []
    for seed in seeds:
        one = dataclasses.replace(config, seed=seed)
        folder = runs / f"{images.name}-auto-{seed}"
        log.info(f"== {folder.name}")
        _, run, _ = base.train_only(one, folder, data=images)
        counts.append({"seed": seed, **run.state()["counts"]})
    result = {
        "command": command_line(),
        "environment": environment(),
        "data": images.name,
        "split": config.split,
        "images": len(images.indices(config.split)),
        "classes": len(images.class_names),
        "runs": counts,
    }
    write_json(result, out)
    return f"{result['classes']} classes; chosen: {[run['chosen'] for run in counts]}\n"
