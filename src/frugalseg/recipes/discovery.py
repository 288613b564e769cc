"""Regions without labels: discoveries learned on one split, scored on another, from several seeds.

Masks only count: they never choose a step, a head or a seed.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frugalseg.data.region_images import IN_FOLDER, RegionImages, open_region_images
from frugalseg.discover_runs import DiscoverConfig, load_discover_run
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.cluster_results import write_cluster_result
from frugalseg.evaluation.regions import read_region_result, region_table
from frugalseg.files import write_whole
from frugalseg.recipes.clustering import Say
from frugalseg.task_runs import WEIGHTS

# Ji et al. 2019, run 555 (COCO-Stuff-3): pieces of 128 pixels of images reduced to a third, 5
# clusters of the other head for each of this, weights 1 and 1.5; steps that a GPU takes in a minute
PAPER: dict[str, Any] = {
    "trunk": "vgg-seg",
    "width": 64,
    "channels": "rgb+sobel",
    "frozen": False,
    "side": 160,
    "crop": 128,
    "displacement": 10,
    "loss_at": "pixels",
    "entropy_weight": 1.5,
    "rate": 1e-4,
    "decay": 0.0,
    "batch": 16,
    "steps": 1500,
    "order": ("over", "main"),
    "turn": 20,
}
NETWORKS: dict[str, dict[str, Any]] = {"paper": PAPER, "pretrained": {}}


@dataclass(frozen=True)
class DiscoveryStudy:
    """What is learned from and scored.

    Attributes:
        data: folder of images and masks.
        out: folder of the result files and ``table.md``.
        runs: folder of the runs.
        mapping: a mapping.csv that merges fine classes into coarse ones.
        ignore: names or ids of classes to ignore.
        network: "paper", the paper's, for a GPU, or "pretrained", minutes on two cores.
        fit: split whose images are learned from.
        score: split that is scored, at the size of its masks.
        seeds: seeds.
        settings: of :class:`DiscoverConfig`, instead of those of the network.
    """

    data: Path
    out: Path
    runs: Path
    mapping: str | None = None
    ignore: tuple[str, ...] = ()
    network: str = "pretrained"
    fit: str = "train"
    score: str = "val"
    seeds: Sequence[int] = (0, 1, 2)
    settings: dict[str, Any] = field(default_factory=dict)


def run_discovery(study: DiscoveryStudy, say: Say = lambda text: None) -> str:
    """Train and score every seed; what is there already is not done again.

    Args:
        study: of what; its result files are ``NETWORK-SEED-SPLIT-WEIGHTS.json``.
        say: is told, in words, what begins.

    Returns:
        The table of all results there, with those of other methods.

    Raises:
        FrugalsegError: no such network, split or setting, or what ``train_discovery`` raises.
    """
    data = open_region_images(study.data, IN_FOLDER, mapping=study.mapping, ignore=study.ignore)
    data.indices(study.score)
    for seed in study.seeds:
        _train_and_score(discovery_config(study, data, seed), data, study, say)
    return write_region_table(study.out)


def discovery_config(study: DiscoveryStudy, data: RegionImages, seed: int) -> DiscoverConfig:
    """The configuration of a run: as many regions as the masks have classes.

    Raises:
        FrugalsegError: no such network or setting.
    """
    if study.network not in NETWORKS:
        raise FrugalsegError(
            f"No network {study.network!r}: there are {', '.join(sorted(NETWORKS))}."
        )
    assert data.classes is not None
    settings = {name.replace("-", "_"): value for name, value in study.settings.items()}
    unknown = set(settings) - {f.name for f in dataclasses.fields(DiscoverConfig)}
    if unknown:
        raise FrugalsegError(f"A discovery has no setting {sorted(unknown)[0]!r}.")
    fixed: dict[str, Any] = {
        "data": str(study.data),
        "classes": data.classes.num_classes,
        "masks": IN_FOLDER,
        "mapping": study.mapping,
        "ignore": study.ignore,
        "split": study.fit,
        "seed": seed,
    }
    return DiscoverConfig(**{**fixed, **NETWORKS[study.network], **settings})


def _train_and_score(
    config: DiscoverConfig, data: RegionImages, study: DiscoveryStudy, say: Say
) -> None:
    from frugalseg.reports.region_files import answer_regions
    from frugalseg.training.discover import train_discovery
    from frugalseg.training.restarts import read_history

    name = f"{study.network}-{config.seed}"
    for kind in WEIGHTS:
        path = study.out / f"{name}-{study.score}-{kind}.json"
        if path.exists():
            continue
        say(f"== {name}, {kind} weights")
        train_discovery(config, study.runs / name, progress=False, say=say, data=data)
        run = load_discover_run(study.runs / name, kind)
        result = answer_regions(run, data, study.score)
        losses = (run.state if kind == "last" else run.state["lowest"])["losses"]
        said = result["what"]["variant"]
        result["what"] |= {
            "run": f"{study.network}-{kind}",
            "variant": f"{kind} weights" + (f", {said}" if said else ""),
            "fit": study.fit,
        }
        seconds = sum(line["seconds"] for line in read_history(run.folder))
        told = {"losses": losses, "weights": kind, "oracle": run.state["oracle"]}
        told |= {"training_seconds": round(seconds, 1)}
        write_cluster_result({**result, **told, "lowest": run.state["lowest"]}, path)


def write_region_table(folder: Path) -> str:
    """The table of all results in a folder, however they were made; written as ``table.md``."""
    results = [read_region_result(path) for path in sorted(folder.glob("*.json"))]
    text = region_table(results)
    stops = [
        f"{result['what']['run']} {result['what']['seed']}: {result['oracle']['accuracy']:.3f} "
        f"at step {result['oracle']['step']}"
        for result in results
        if result.get("weights") == "last" and result.get("oracle")
    ]
    if stops:
        text += (
            "\nIf labels chose the step (used nowhere above; accuracy on pieces of some images "
            f"that were learned from): {'; '.join(stops)}.\n"
        )
    write_whole(text.encode(), folder / "table.md")
    return text
