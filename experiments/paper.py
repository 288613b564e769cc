"""The paper's clusterings (Ji et al. 2019), by the numbers of the authors' published runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.grid import Grid, run_grid
from experiments.label_efficiency import label_efficiency
from experiments.published import SETTINGS, load_settings
from frugalseg.errors import FrugalsegError
from frugalseg.reports.tables import markdown_table
from frugalseg.tasks import base
from frugalseg.tasks.cluster.config import ClusterConfig

EPOCHS = 100  # rounds of the heads; the authors' were 389 to 1447


def paper(
    number: str,
    data: Path,
    /,
    *,
    out: Path = Path("results/paper"),
    runs: Path = Path("runs/paper"),
    epochs: int = EPOCHS,
    seed: int = 0,
    width: int = 64,
) -> str:
    """Train as a published run was, and score; interrupted, it goes on.

    Without labels ("IID") on all images; or, semi-supervised ("IID+"), one overclustering head on
    train, whose clusters are named by labels of train and scored on test.

    Args:
        number: Of the run, such as 685 (MNIST) or 653 (STL10, IID+).
        data: Folder of its data set.
        out: Folder of the result files, and of table.md or of the label curves.
        runs: Folder of the runs.
        epochs: Rounds of the heads; theirs were 389 to 1447.
        seed: Seed.
        width: Features of the first layer; theirs is 64.

    Returns:
        The table of all results in ``out``; of semi-supervised runs accuracy by share of labels.
    """
    config = paper_config(number, str(data), epochs, {"seed": seed, "width": width})
    name = f"paper-{number}-width{width}-{epochs}"
    if "overcluster" in config.head_order:
        return run_grid(Grid(config, out, runs, seeds=(seed,), name=name))
    folder = runs / f"{name}-{seed}"
    base.train_only(config, folder)
    (curves,) = label_efficiency([folder], out=out / f"{folder.name}.json")
    rows = [
        [f"{row['share']:.1%}", row["labels"], f"{row['accuracy']['mean']:.3f}"]
        for row in curves["by_share"]
    ]
    return markdown_table(["share of labels", "labels", "test accuracy"], rows, words=0)


def paper_config(
    number: str, data: str, epochs: int = EPOCHS, changes: Mapping[str, Any] | None = None
) -> ClusterConfig:
    """The configuration of a published run.

    Args:
        number: of the run.
        data: folder of the data set that the name of its settings ends in.
        epochs: rounds of the order of heads, each of which learns for ``steps_per_head`` steps.
        changes: further settings.

    Raises:
        FrugalsegError: no such run.
    """
    config = load_settings(paper_settings(number), data)
    if not isinstance(config, ClusterConfig):
        raise FrugalsegError(f"Run {number} is no clustering: give its settings to 'grid'.")
    steps = epochs * len(config.head_order) * (config.steps_per_head or 1)
    values = {**config.plain(), "steps": steps, **(changes or {})}
    return ClusterConfig.from_values(values, f"Run {number}")


def paper_settings(number: str) -> str:
    """The name of the settings of a published run.

    Raises:
        FrugalsegError: no such run.
    """
    runs = {file.stem.split("-")[1]: file.stem for file in sorted(SETTINGS.glob("iic-*-*.yaml"))}
    if number not in runs:
        known = ", ".join(name.removeprefix("iic-") for name in runs.values())
        raise FrugalsegError(f"There is no published run {number!r} here, there are {known}.")
    return runs[number]
