"""MNIST without labels: the paper's recipe, and a narrower trunk for two cores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import ClusterConfig
from frugalseg.recipes.clustering import Say, all_results, train_and_score, with_seed, write_table

# Ji et al. 2019, run 685: 700 pairs a step, 50 and 10 clusters, epochs of heads in the order B B A
PAPER: dict[str, Any] = {"width": 64, "rate": 1e-4, "decay": 0.0, "turn": 500, "steps": 250_000}
# The same with a quarter of the features, a rate ten times as high that falls at the end, and
# shorter turns: what fits an hour of two cores. Random batches, five copies and the overclustering
# head are what keeps it from grouping by width and slant of the strokes.
NARROW: dict[str, Any] = {"width": 16, "rate": 1e-3, "decay": 0.2, "turn": 50, "steps": 4000}
BOTH: dict[str, Any] = {
    "clusters": 10,
    "over_clusters": 50,
    "trunk": "vgg-iic",
    "views": "mnist",
    "copies": 5,
    "batch": 140,
    "order": ("main", "main", "over"),
}


def mnist_config(data: str, paper: bool = False, **changes: Any) -> ClusterConfig:
    """The configuration of either recipe.

    Args:
        data: folder of the four IDX files.
        paper: the paper's recipe (for a GPU).
        changes: further settings.
    """
    return ClusterConfig(**{"data": data, **BOTH, **(PAPER if paper else NARROW), **changes})


def run_mnist(
    data: Path,
    out: Path,
    runs: Path,
    seeds: Sequence[int] = (0, 1, 2),
    paper: bool = False,
    steps: int | None = None,
    width: int | None = None,
    say: Say = lambda text: None,
) -> str:
    """Train with every seed, all 70,000 images, and score; interrupted, it goes on.

    Args:
        data: folder of MNIST or Fashion-MNIST.
        out: folder of the result files and ``table.md``.
        runs: folder of the runs.
        seeds: one run each.
        paper: the paper's recipe (for a GPU).
        steps, width: other than the recipe's.
        say: is told, in words, what begins.

    Returns:
        The table of all results there.
    """
    from frugalseg.training.cluster_plan import open_image_data

    given = {"steps": steps, "width": width}
    config = mnist_config(str(data), paper, **{k: v for k, v in given.items() if v is not None})
    images = open_image_data(config)
    name = f"iic{'-paper' if paper else ''}-width{config.width}-{config.steps}"
    for seed in seeds:
        train_and_score(with_seed(config, seed), images, f"{name}-{seed}", runs, out, say)
    return write_table(all_results(out), out / "table.md")
