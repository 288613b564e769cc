"""STL-10 as the original binary files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_set import UNKNOWN, ImageFormat, ImageSet, array_set
from frugalseg.errors import FrugalsegError

CLASSES = (
    *("airplane", "bird", "car", "cat", "deer"),
    *("dog", "horse", "monkey", "ship", "truck"),
)
_BYTES = 3 * 96 * 96
_FILES = {"train": "train_X.bin", "test": "test_X.bin", "unlabelled": "unlabeled_X.bin"}


def recognises_stl10(root: Path) -> bool:
    """Whether a folder, or `stl10_binary` in it, holds STL-10's binary files."""
    return bool(_files(root))


def read_stl10(root: Path, labels: str | None = None) -> ImageSet:
    """Open STL-10's binary files; pixels are read when needed (2.6 GB unlabelled).

    Args:
        root: the folder with the files, or with `stl10_binary`.
        labels: not used: the set has its own.

    Returns:
        The set, with those of the splits train, test and unlabelled whose files exist.

    Raises:
        FrugalsegError: a file is incomplete, or labels are missing.
    """
    files = _files(root)
    pixels = {split: _pixels(path) for split, path in files.items()}
    values = {split: _labels(path, len(pixels[split])) for split, path in files.items()}
    return array_set(root, pixels, values, CLASSES)


STL10 = ImageFormat(recognises_stl10, read_stl10)


def _files(root: Path) -> dict[str, Path]:
    """The files of images that exist, by split."""
    for folder in (root, root / "stl10_binary"):
        files = {split: folder / name for split, name in _FILES.items()}
        files = {split: path for split, path in files.items() if path.is_file()}
        if files:
            return files
    return {}


def _pixels(path: Path) -> NDArray[np.uint8]:
    """(N, 96, 96, 3), mapped from the file, which holds planes column by column."""
    size = path.stat().st_size
    if size % _BYTES or not size:
        raise FrugalsegError(f"{path} is incomplete. Fetch it again.")
    return np.memmap(path, np.uint8, "r").reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1)


def _labels(path: Path, count: int) -> NDArray[np.int64]:
    """(N,) class indices; the files count from 1."""
    if path.name.startswith("unlabeled"):
        return np.full(count, UNKNOWN)
    label_path = path.with_name(path.name.replace("_X", "_y"))
    if not label_path.is_file() or label_path.stat().st_size != count:
        raise FrugalsegError(f"{label_path} is missing or incomplete. Fetch it again.")
    return np.fromfile(label_path, np.uint8).astype(np.int64) - 1
