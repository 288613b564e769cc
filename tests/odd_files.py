"""Small synthetic folders of images and masks, to be stored in odd ways."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]

CLASSES = """\
name,id,colour,target
ground,0,#6e6e64,no
sky,1,#3c5ac8,no
ball,2,#d22828,yes
"""
COLOURS = np.array([(110, 110, 100), (60, 90, 200), (210, 40, 40)], np.uint8)


def scene(seed: int, height: int = 96, width: int = 128) -> tuple[Bytes, Bytes]:
    """Grey ground (0), a blue band above it (1) and some red discs (2).

    Returns:
        The image (H, W, 3) and its mask (H, W) of class ids.
    """
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    band = int(height * random.uniform(0.25, 0.4))
    mask[:band] = 1
    rows, cols = np.mgrid[:height, :width]
    for _ in range(3):
        row, col = random.integers(band + 8, height - 8), random.integers(8, width - 8)
        mask[(rows - row) ** 2 + (cols - col) ** 2 <= random.integers(4, 9) ** 2] = 2
    noise = random.integers(-12, 13, (height, width, 3))
    return np.clip(COLOURS[mask] + noise, 0, 255).astype(np.uint8), mask


def write_folder(
    root: Path,
    count: int = 6,
    size: tuple[int, int] = (96, 128),
    seed: int = 0,
    suffix: str = ".png",
) -> Path:
    """Write scenes `s00`, `s01`, ... as `root/images/*suffix` and `root/masks/*.png`.

    Returns:
        `root`, which is made.
    """
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image, mask = scene(seed + i, *size)
        Image.fromarray(image).save(root / "images" / f"s{i:02d}{suffix}")
        Image.fromarray(mask).save(root / "masks" / f"s{i:02d}.png")
    return root
