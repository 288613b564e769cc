"""For each task: tiny data, settings that train in a second, and a network of one's own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

import frugalseg
from textures import TINY as DISCOVER
from textures import write_textures
from tiny import write_digits

SEGMENT: dict[str, Any] = {
    "size": (16, 32),
    "steps": 4,
    "sampler_steps": 4,
    "batch_size": 2,
    "segmenter": "unet-plain",
    "segmenter_options": {"widths": (4, 8)},
}
CLUSTER: dict[str, Any] = {
    "clusters": 3,
    "overclusters": 6,
    "sub_heads": 2,
    "augment": "digits",
    "backbone": "vgg-iic",
    "width": 2,
    "steps": 4,
    "batch_size": 12,
    "num_views": 2,
}
FINETUNE: dict[str, Any] = {"labels": "folders", "steps": 4, "batch_size": 8, "hidden": 8}


def own_segmenter(classes: int) -> nn.Module:
    """A network from images to scores of the same size."""
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1))


def own_backbone(channels: int) -> nn.Module:
    """A network from images to vectors of 6 features."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(channels, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 6, 3))
    network.num_features = 6  # type: ignore[assignment]
    return network


def own_dense_backbone() -> nn.Module:
    """A network from images to maps of 6 features, a quarter of their size."""
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.ReLU())
    network.num_features, network.stride = 6, 4  # type: ignore[assignment]
    return network


@dataclass(frozen=True)
class Kit:
    """What the contract needs of a task.

    Attributes:
        make: makes the source of a run (a folder of images, or a run) below a folder.
        settings: that train in a second.
        other: a setting with another value, which makes it another run.
        image: the path of one of the images, below the source's folder.
        network: a network of one's own; None for tasks that take none.
        without: settings to leave out when a network is handed in.
        task: if it is not the kit's name.
        step: module and function that an interrupted training reaches, if it has no steps.
    """

    make: Callable[[Path], Path]
    settings: dict[str, Any]
    other: dict[str, Any]
    image: str
    network: Callable[[], nn.Module] | None = None
    without: tuple[str, ...] = field(default=())
    task: str = ""
    step: str = ""


def _scenes(folder: Path) -> Path:
    from frugalseg.demo.scenes import write_scenes

    write_scenes(folder / "scenes", 4, 2, 1, (64, 128))
    return folder / "scenes"


def _digits(folder: Path) -> Path:
    write_digits(folder / "digits")
    return folder / "digits"


def _clustering(folder: Path) -> Path:
    digits = _digits(folder)
    frugalseg.train("cluster", digits, folder / "clustering", **CLUSTER)
    return folder / "clustering"


def _discovery(folder: Path) -> Path:
    textures = write_textures(folder / "textures", 24)
    settings = DISCOVER | {"masks": "folder"}
    frugalseg.train("discover", textures, folder / "discovery", **settings)
    return folder / "discovery"


KITS = {
    "segment": Kit(
        _scenes,
        SEGMENT,
        {"steps": 5},
        "scenes/images/val",
        lambda: own_segmenter(9),
        ("segmenter", "segmenter_options"),
    ),
    "cluster": Kit(
        _digits, CLUSTER, {"steps": 5}, "digits/1", lambda: own_backbone(1), ("backbone", "width")
    ),
    "discover": Kit(
        lambda folder: write_textures(folder / "textures", 6),
        DISCOVER,
        {"steps": 5},
        "textures/images",
        own_dense_backbone,
        ("backbone", "width"),
    ),
    "finetune": Kit(_clustering, FINETUNE, {"steps": 5}, "digits/1"),
    "finetune of masks": Kit(
        _discovery,
        {"share": 0.3},
        {"balanced": True},
        "textures/images",
        task="finetune",
        step="frugalseg.tasks.finetune.train_places.learn",
    ),
}


@dataclass(frozen=True)
class Trained:
    """A finished run of a task. Not to be changed."""

    kit: Kit
    source: Path
    run: Path

    @property
    def images(self) -> Path:
        return self.source.parent / self.kit.image


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
