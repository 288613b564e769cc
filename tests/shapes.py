"""Images of three simple shapes, and clusterings of them that take a second."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.image_set import ImageSet, array_set
from frugalseg.tasks.base import train_only
from frugalseg.tasks.cluster.config import ClusterConfig


def shapes(count: int = 60, side: int = 16, channels: int = 1, seed: int = 0) -> ImageSet:
    """Noisy images of a vertical bar, a horizontal bar or a blob, with labels."""
    rng = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    pixels = np.zeros((count, side, side, channels))
    middle = slice(side // 2 - 2, side // 2 + 2)
    pixels[kind == 0, :, middle] = 1
    pixels[kind == 1, middle, :] = 1
    pixels[kind == 2, middle, middle] = 1
    pixels = (200 * pixels + 40 * rng.random(pixels.shape)).astype(np.uint8)
    return array_set(Path("shapes"), {"train": pixels}, {"train": kind}, ("|", "-", "o"))


TINY: dict[str, Any] = {"data": "shapes", "clusters": 3, "width": 2, "augment": "digits"}
TINY |= {
    "augment_options": {"side": 16, "rotation": 5.0},
    "batch_size": 20,
    "num_views": 2,
    "steps": 3,
}
TINY |= {"steps_per_head": 1, "sub_heads": 2}


def train(folder: Path, images: ImageSet | None = None, **changes: Any) -> dict[str, Any]:
    """Train a clustering; its state."""
    train_only(ClusterConfig(**TINY | changes), folder, data=images or shapes())
    return json.loads((folder / "state.json").read_text())
