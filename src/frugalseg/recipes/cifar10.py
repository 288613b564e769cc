"""CIFAR-10 without labels: the paper's recipe, and heads on a pretrained trunk in minutes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.cluster_runs import ClusterConfig, build_net
from frugalseg.recipes.clustering import (
    Say,
    all_results,
    score_groups,
    train_and_score,
    with_seed,
    write_table,
)

# Ji et al. 2019, run 640: 660 pairs a step, 70 and 10 clusters, epochs of heads in the order A B B
PAPER: dict[str, Any] = {
    "clusters": 10,
    "over_clusters": 70,
    "trunk": "resnet34-iic",
    "views": "cifar",
    "copies": 3,
    "batch": 220,
    "order": ("over", "main", "main"),
    "rate": 1e-4,
    "decay": 0.0,
    "turn": 273,
}


def run_cifar10_paper(
    data: Path,
    out: Path,
    runs: Path,
    seed: int = 0,
    width: int = 64,
    steps: int = 82_000,
    say: Say = lambda text: None,
) -> str:
    """The paper's recipe as far as the hardware allows; interrupted, it goes on, elsewhere too.

    Args:
        data: folder of CIFAR-10, as its makers ship it or as JPEG archives.
        out: folder of the result files and ``table.md``.
        runs: folder of the run; copy it to go on on another machine.
        seed: seed.
        width: features of the first layer; 64 is the paper's.
        steps: of training; an epoch of one head is 273.
        say: is told, in words, what begins.

    Returns:
        The table of all results there.
    """
    from frugalseg.training.cluster_plan import open_image_data

    config = ClusterConfig(data=str(data), width=width, steps=steps, seed=seed, **PAPER)
    images = open_image_data(config)
    train_and_score(config, images, f"iic-width{width}-{steps}-{seed}", runs, out, say)
    return write_table(all_results(out), out / "table.md")


def run_cifar10_features(
    data: Path,
    out: Path,
    runs: Path,
    seeds: Sequence[int] = (0, 1, 2),
    split: str = "test",
    say: Say = lambda text: None,
) -> str:
    """Heads on a pretrained trunk against k-means on the same features, standardised and reduced.

    Args:
        data: folder of CIFAR-10.
        out: folder of the result files and ``table.md``.
        runs: folder of the runs; features are computed once, in ``runs/features``.
        seeds: of the heads and of k-means, one each.
        split: all, train or test.
        say: is told, in words, what begins.

    Returns:
        The table of all results there.
    """
    from sklearn.cluster import KMeans

    from frugalseg.training.cluster import gather
    from frugalseg.training.cluster_plan import make_plan, open_image_data

    config = ClusterConfig(
        data=str(data), clusters=10, split=split, features=str(runs / "features"), restarts=1
    )
    images = open_image_data(config)
    for seed in seeds:
        one = with_seed(config, seed)
        train_and_score(one, images, f"iic-pretrained-{split}-{seed}", runs, out, say, ("last",))
    names = [f"k-means-{split}-{seed}" for seed in seeds]
    if not all((out / f"{name}.json").exists() for name in names):
        plan = make_plan(config, images)
        material = gather(config, plan, images, build_net(plan, 2).trunk, runs, False, say)
        assert material.plain is not None
        features = material.plain.numpy()
        for seed, name in zip(seeds, names, strict=True):
            say(f"== {name}")
            groups = KMeans(10, n_init=10, random_state=seed).fit_predict(features)
            told = {"split": split, "trunk": plan.trunk}
            path = out / f"{name}.json"
            score_groups(
                np.asarray(groups), images, material.indices, "k-means", seed, path, **told
            )
    return write_table(all_results(out), out / "table.md")
