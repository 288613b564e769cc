"""The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from frugalseg.data.image_set import ImageFormat, ImageSet, array_set


def recognises_digits(path: Path) -> bool:
    """Whether the path is the word "digits" and not a folder of that name."""
    return str(path) == "digits" and not path.exists()


def read_digits(path: Path, labels: str | None = None) -> ImageSet:
    """Read the digits, in one split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)[..., None]
    images = array_set(path, {"digits": pixels}, {"digits": digits.target}, tuple("0123456789"))
    return replace(images, splits={})


DIGITS = ImageFormat(recognises_digits, read_digits)
