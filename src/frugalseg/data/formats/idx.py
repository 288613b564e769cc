"""MNIST and Fashion-MNIST as the original IDX files, gzip-compressed or not."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_set import ImageFormat, ImageSet, array_set
from frugalseg.errors import FrugalsegError

_SPLITS = {"train": "train", "test": "t10k"}
_FASHION = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
# The files of both sets have the same names; their first training labels tell them apart.
_FASHION_BEGINS = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)


def recognises_idx(root: Path) -> bool:
    """Whether a folder, or `MNIST/raw` or `FashionMNIST/raw` in it, holds IDX files of images."""
    return _images(root) is not None


def read_idx_set(root: Path, labels: str | None = None) -> ImageSet:
    """Read a folder of IDX files, with the splits train and test.

    Args:
        root: the folder, or the one that holds `MNIST/raw` or `FashionMNIST/raw`.
        labels: not used: the set has its own.

    Raises:
        FrugalsegError: a file is missing or damaged.
    """
    pixels: dict[str, NDArray[np.uint8]] = {}
    values: dict[str, NDArray[np.uint8]] = {}
    for split, path in (_images(root) or {}).items():
        label_path = _find(path.parent, f"{_SPLITS[split]}-labels")
        if label_path is None:
            raise FrugalsegError(f"{path}: its labels are missing beside it.")
        pixels[split], values[split] = read_idx(path)[..., None], read_idx(label_path)
        if len(pixels[split]) != len(values[split]) or pixels[split].ndim != 4:
            raise FrugalsegError(f"{path} and {label_path.name} do not belong together.")
    fashion = tuple(values.get("train", np.zeros(0))[:10].tolist()) == _FASHION_BEGINS
    count = 1 + max(int(each.max(initial=0)) for each in values.values())
    digits = tuple(str(i) for i in range(count))
    return array_set(root, pixels, values, _FASHION if fashion else digits)


IDX = ImageFormat(recognises_idx, read_idx_set)


def _images(root: Path) -> dict[str, Path] | None:
    """The files of images by split; None if there are none."""
    for folder in (root, *(root / name / "raw" for name in ("MNIST", "FashionMNIST"))):
        files = {split: _find(folder, f"{word}-images") for split, word in _SPLITS.items()}
        if any(files.values()):
            return {split: path for split, path in files.items() if path is not None}
    return None


def _find(folder: Path, stem: str) -> Path | None:
    kind = "idx3" if stem.endswith("images") else "idx1"
    names = [f"{stem}{dot}{kind}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes.

    Args:
        path: the file; compressed if its name ends in .gz.

    Returns:
        An array of the shape that the file declares.

    Raises:
        FrugalsegError: the file cannot be read or is not such a file.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise FrugalsegError(f"{path} cannot be read ({error}). Fetch it again.") from error
    dimensions = content[3] if len(content) >= 4 else 0
    head = 4 + 4 * dimensions
    if content[:3] != b"\0\0\x08" or len(content) < head:
        raise FrugalsegError(f"{path} is not an IDX file of bytes. Fetch it again.")
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(np.int64)
    if len(content) != head + int(shape.prod()):
        raise FrugalsegError(f"{path} is incomplete. Fetch it again.")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
