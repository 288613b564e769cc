"""The paper's trainings of each data set, by the numbers of its authors' published runs."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import ClusterConfig
from frugalseg.errors import FrugalsegError
from frugalseg.recipes.clustering import Say, all_results, train_and_score, write_table

EPOCHS = 100


@dataclass(frozen=True)
class Published:
    """One published run (Ji et al. 2019, Adam, no weight decay, 5 sub-heads).

    Attributes:
        data: what its name is there.
        turn: steps of an epoch of the head with the shortest one.
        settings: of ``ClusterConfig``. Where an epoch of one head is longer (STL10: 113,000 images
            against 13,000), its name comes several times in the order.
        semi: trained on the training images with one overclustering head, named by labels of these,
            scored on test ("IID+").
    """

    data: str
    turn: int
    settings: dict[str, Any] = field(default_factory=dict)
    semi: bool = False


_ALL: dict[str, Any] = {"width": 64, "rate": 1e-4, "decay": 0.0, "sub_heads": 5}
_RESNET: dict[str, Any] = {**_ALL, "trunk": "resnet34-iic"}
_MNIST: dict[str, Any] = {**_ALL, "trunk": "vgg-iic", "views": "mnist"}
# 700 pairs: 140 images in 5 copies; 93 steps of the main head, 808 of the other one
_STL: dict[str, Any] = {**_RESNET, "views": "stl", "clusters": 10, "over_clusters": 70}
_STL |= {"batch": 140, "copies": 5, "order": ("over",) * 9 + ("main",)}
_STL_SEMI: dict[str, Any] = {**_RESNET, "views": "stl", "copies": 5}
_STL_SEMI |= {"split": "train+unlabelled", "order": ("main",)}
_CIFAR: dict[str, Any] = {**_RESNET, "views": "cifar"}
_SEMI: dict[str, Any] = {"split": "train", "order": ("main",)}

PUBLISHED: dict[str, Published] = {
    "569": Published("STL10", 93, _STL),
    "570": Published("STL10", 93, {**_STL, "order": ("main", "main") + ("over",) * 9}),
    "640": Published(
        "CIFAR10",
        273,
        {
            **_CIFAR,
            "clusters": 10,
            "over_clusters": 70,
            "batch": 220,
            "copies": 3,
            "order": ("over", "main", "main"),
        },
    ),
    "579": Published(
        "CIFAR20",
        300,
        {
            **_CIFAR,
            "clusters": 20,
            "over_clusters": 140,
            "batch": 200,
            "copies": 5,
            "order": ("main", "over"),
        },
    ),
    "685": Published(
        "MNIST",
        500,
        {
            **_MNIST,
            "clusters": 10,
            "over_clusters": 50,
            "batch": 140,
            "copies": 5,
            "order": ("main", "main", "over"),
        },
    ),
    # one overclustering head, named by labels afterwards
    "653": Published("STL10", 375, {**_STL_SEMI, "clusters": 140, "batch": 280}, True),
    "650": Published("STL10", 750, {**_STL_SEMI, "clusters": 70, "batch": 140}, True),
    "652": Published(
        "CIFAR10", 114, {**_CIFAR, **_SEMI, "clusters": 140, "batch": 440, "copies": 3}, True
    ),
    "654": Published(
        "CIFAR20",
        90,
        {
            **_CIFAR,
            **_SEMI,
            "trunk": "vgg-iic",
            "clusters": 280,
            "batch": 560,
            "copies": 5,
            "view_options": {"size": 24, "sobel": "beside"},
        },
        True,
    ),
    "665": Published(
        "MNIST", 858, {**_MNIST, **_SEMI, "clusters": 25, "batch": 70, "copies": 5}, True
    ),
    # 569 without one ingredient each
    "692": Published("STL10", 93, {**_STL, "over_clusters": 10}),
    "693": Published("STL10", 93, {**_STL, "sub_heads": 1}),
    "694": Published("STL10", 19, {**_STL, "batch": 700, "copies": 1}),
    "695": Published("STL10", 93, {**_STL, "split": "train+test", "order": ("over", "main")}),
}


def paper_config(
    run: str, data: str, epochs: int = EPOCHS, seed: int = 0, **changes: Any
) -> ClusterConfig:
    """The configuration of a published run.

    Args:
        run: its number, one of ``PUBLISHED``.
        data: folder of the data set that it names.
        epochs: rounds of the order of heads; theirs were 389 to 1447.
        seed: seed.
        changes: further settings.

    Raises:
        FrugalsegError: no such run.
    """
    if run not in PUBLISHED:
        known = ", ".join(f"{name} ({one.data})" for name, one in PUBLISHED.items())
        raise FrugalsegError(f"There is no published run {run!r} here, there are {known}.")
    one = PUBLISHED[run]
    rounds = len(one.settings["order"]) * one.turn
    settings = {"turn": one.turn, "steps": epochs * rounds, "seed": seed, **one.settings}
    return ClusterConfig(data=data, **{**settings, **changes})


def run_paper(
    number: str,
    data: Path,
    out: Path,
    runs: Path,
    epochs: int = EPOCHS,
    seed: int = 0,
    width: int = 64,
    say: Say = lambda text: None,
) -> str:
    """Train as a published run was, and score; interrupted, it goes on.

    Args:
        number: of the run.
        data: folder of its data set.
        out: folder of the result files, and of ``table.md`` or of the label curves.
        runs: folder of the runs.
        epochs: see :func:`paper_config`.
        seed: seed.
        width: features of the first layer; 64 is the paper's.
        say: is told, in words, what begins.

    Returns:
        The table of all results in ``out``; of semi-supervised runs accuracy by share of labels.
    """
    from frugalseg.recipes.semi import run_label_curves
    from frugalseg.training.cluster import train_clustering
    from frugalseg.training.cluster_plan import open_image_data

    config = paper_config(number, str(data), epochs, seed, width=width)
    images = open_image_data(config)
    name = f"paper-{number}-width{width}-{epochs}-{seed}"
    if not PUBLISHED[number].semi:
        train_and_score(config, images, name, runs, out, say)
        return write_table(all_results(out), out / "table.md")
    say(f"== {name}")
    train_clustering(config, runs / name, sys.stderr.isatty(), say, images)
    (curves,) = run_label_curves([runs / name], out / f"{name}.json", say=say)
    lines = ["| share of labels | labels | test accuracy |", "| ---: | ---: | ---: |"]
    for row in curves["by_share"]:
        lines.append(f"| {row['share']:.1%} | {row['labels']} | {row['accuracy']['mean']:.3f} |")
    return "\n".join(lines) + "\n"
