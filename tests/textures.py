"""Images of two textures side by side, and discoveries of them that take seconds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frugalseg.tasks.base import train_only
from frugalseg.tasks.discover.config import DiscoverConfig


def texture(
    seed: int, size: tuple[int, int] = (48, 64)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image and its mask: bright noise (1) beside dark noise (0), parted by a slanting line."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    slope = rng.uniform(-0.3, 0.3)
    line = size[1] * rng.uniform(0.35, 0.65) + slope * (rows - size[0] / 2)
    mask = columns < line if seed % 2 else columns >= line
    values = rng.normal(np.where(mask, 170, 70), 20, (3, *size)).transpose(1, 2, 0)
    return values.clip(0, 255).astype(np.uint8), mask.astype(np.uint8)


def write_textures(folder: Path, count: int = 12, size: tuple[int, int] = (48, 64)) -> Path:
    """Write images/ and masks/ with a classes.csv."""
    for place in ("images", "masks"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image, mask = texture(i, size)
        Image.fromarray(image).save(folder / "images" / f"{i:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i:02d}.png")
    (folder / "classes.csv").write_text(
        "name,id,colour,target\ndark,0,#202020,no\nbright,1,#f0f0f0,no\n"
    )
    return folder


# a backbone of two features a layer, on pieces of 24 pixels
TINY: dict[str, Any] = {
    "classes": 2,
    "backbone": "vgg-seg",
    "width": 2,
    "crop": 24,
    "batch_size": 4,
}
TINY |= {"steps": 4, "max_displacement": 1, "sub_heads": 2, "overclasses": 4, "steps_per_head": 1}
WORDS = [word for k, v in TINY.items() for word in (f"--{k.replace('_', '-')}", str(v))]


def train(data: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """Train a discovery; its state."""
    train_only(DiscoverConfig(data=str(data), **TINY | changes), folder)
    return json.loads((folder / "state.json").read_text())
