"""STL-10, in the binary files of its makers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_sets import UNKNOWN, ImageSet, array_set
from frugalseg.errors import FrugalsegError

STL10 = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)
_BYTES = 3 * 96 * 96
_FILES = {"train": "train_X.bin", "test": "test_X.bin", "unlabelled": "unlabeled_X.bin"}


def open_stl10(root: Path) -> ImageSet | None:
    """Open a folder of STL-10's binary files; pixels are read when asked for (2.6 GB unlabelled).

    Args:
        root: the folder with the files, or with `stl10_binary`.

    Returns:
        The set with the splits train, test and unlabelled, as far as their files are there; None
        where there are none.

    Raises:
        FrugalsegError: a file is not whole, or labels are missing.
    """
    for place in (root, root / "stl10_binary"):
        files = {split: place / name for split, name in _FILES.items()}
        files = {split: path for split, path in files.items() if path.is_file()}
        if not files:
            continue
        pixels = {split: _pixels(path) for split, path in files.items()}
        labels = {split: _labels(path, len(pixels[split])) for split, path in files.items()}
        return array_set(root, pixels, labels, STL10)
    return None


def _pixels(path: Path) -> NDArray[np.uint8]:
    """(N, 96, 96, 3), mapped from the file, which holds planes column by column."""
    size = path.stat().st_size
    if size % _BYTES or not size:
        raise FrugalsegError(f"{path} is not whole. Fetch it again.")
    return np.memmap(path, np.uint8, "r").reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)


def _labels(path: Path, count: int) -> NDArray[np.int64]:
    """(N,) class indices; the files count from 1."""
    if path.name.startswith("unlabeled"):
        return np.full(count, UNKNOWN)
    listed = path.with_name(path.name.replace("_X", "_y"))
    if not listed.is_file() or listed.stat().st_size != count:
        raise FrugalsegError(f"{listed} is missing or not whole. Fetch it again.")
    return np.fromfile(listed, np.uint8).astype(np.int64) - 1
