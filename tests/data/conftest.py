"""Tiny data folders for the tests of readers and bad input."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CLASSES_CSV = "name,id,colour,target\nground,0,#000000,no\nthing,1,#ff0000,yes\nvoid,5,#808080,no\n"


def save_pair(images: Path, masks: Path, name: str, size: tuple[int, int] = (8, 10)) -> None:
    """An image of noise and a mask whose right half is class 1."""
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(name.encode()))
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(images / f"{name}.jpg")
    mask = np.zeros(size, np.uint8)
    mask[:, size[1] // 2 :] = 1
    Image.fromarray(mask).save(masks / f"{name}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder of six pairs, images/ beside masks/, with a class list."""
    root = tmp_path / "data"
    for i in range(6):
        save_pair(root / "images", root / "masks", f"p{i}")
    (root / "classes.csv").write_text(CLASSES_CSV)
    return root


@pytest.fixture
def pair() -> Callable[..., None]:
    """Writes one more pair: `pair(images, masks, name, size)`."""
    return save_pair
