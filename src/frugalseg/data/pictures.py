"""Images at the size at which a network sees them, with infrared where it is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frugalseg.data.images import read_bands, read_image, read_with_infrared
from frugalseg.errors import FrugalsegError

Pixels = NDArray[np.uint8]


def scaled_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width of an image whose shorter side is brought to `side`; 0 leaves it as it is.

    Args:
        size: height and width.
        side: pixels.
    """
    if not side:
        return size
    height, width = (max(1, round(length * side / min(size))) for length in size)
    return height, width


def read_picture(path: Path | str, bands: int = 3) -> Pixels:
    """Read an image.

    Args:
        path: the file.
        bands: 3 for colour; 4 for colour and infrared: a file of four bands, or an image whose
            infrared band lies beside it (`infrared/NAME.png` beside `images/NAME.png`).

    Returns:
        (H, W, bands).

    Raises:
        FrugalsegError: it cannot be read, or has no four bands.
    """
    if bands == 3:
        return read_image(path)
    beside = any((above.parent / "infrared").is_dir() for above in Path(path).parents[:-1])
    return read_with_infrared(path) if beside else read_bands(path, bands)


def check_picture(image: NDArray[np.generic], bands: int = 3) -> Pixels:
    """An image given as an array, as :func:`read_picture` returns it.

    Raises:
        FrugalsegError: it is not (H, W, bands) uint8.
    """
    if image.ndim != 3 or image.shape[2] != bands or image.dtype != np.uint8:
        raise FrugalsegError(
            f"An image is (height, width, {bands}) of uint8, not {tuple(image.shape)} of "
            f"{image.dtype}."
        )
    pixels: Pixels = np.ascontiguousarray(image)
    return pixels


def resize_picture(image: Pixels, size: tuple[int, int]) -> Pixels:
    """Resize, averaging where it becomes smaller; each band on its own.

    Args:
        image: (H, W, C).
        size: height and width.

    Returns:
        (*size, C).
    """
    if image.shape[:2] == tuple(size):
        return image
    # Pillow would weigh colours by a fourth band, taking it for transparency
    parts = [image[..., :3], image[..., 3]] if image.shape[2] == 4 else [image]
    resized = [
        np.asarray(Image.fromarray(part).resize(size[::-1], Image.Resampling.BILINEAR))
        for part in parts
    ]
    return np.dstack(resized)
