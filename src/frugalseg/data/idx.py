"""MNIST and Fashion-MNIST, in the IDX files of their makers, gzip-compressed or not."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_sets import ImageSet, array_set
from frugalseg.errors import FrugalsegError

_SPLITS = {"train": "train", "test": "t10k"}
_FASHION = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
# The files of both sets have the same names; their first training labels tell them apart.
_FASHION_BEGINS = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)


def open_idx(root: Path) -> ImageSet | None:
    """Open a folder of IDX files.

    Args:
        root: the folder; also the one above `MNIST/raw` or `FashionMNIST/raw`.

    Returns:
        The set with the splits train and test; None where there are no such files.

    Raises:
        FrugalsegError: a file is missing or damaged.
    """
    for place in (root, *(root / name / "raw" for name in ("MNIST", "FashionMNIST"))):
        images = {split: _find(place, f"{word}-images") for split, word in _SPLITS.items()}
        if not any(images.values()):
            continue
        pixels: dict[str, NDArray[np.uint8]] = {}
        labels: dict[str, NDArray[np.uint8]] = {}
        for split, path in images.items():
            if path is None:
                continue
            listed = _find(place, f"{_SPLITS[split]}-labels")
            if listed is None:
                raise FrugalsegError(f"{path}: its labels are missing beside it.")
            pixels[split], labels[split] = read_idx(path)[..., None], read_idx(listed)
            if len(pixels[split]) != len(labels[split]) or pixels[split].ndim != 4:
                raise FrugalsegError(f"{path} and {listed.name} do not belong together.")
        fashion = tuple(labels.get("train", np.zeros(0))[:10].tolist()) == _FASHION_BEGINS
        count = 1 + max(int(values.max(initial=0)) for values in labels.values())
        digits = tuple(str(i) for i in range(count))
        return array_set(root, pixels, labels, _FASHION if fashion else digits)
    return None


def _find(place: Path, stem: str) -> Path | None:
    kind = "idx3" if stem.endswith("images") else "idx1"
    names = [f"{stem}{dot}{kind}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
    return next((place / name for name in names if (place / name).is_file()), None)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes.

    Args:
        path: the file; compressed if its name ends in .gz.

    Returns:
        An array of the dimensions that the file names.

    Raises:
        FrugalsegError: the file cannot be read or is no such file.
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
        raise FrugalsegError(f"{path} is no IDX file of bytes. Fetch it again.")
    shape = np.frombuffer(content, ">u4", dimensions, 4).astype(np.int64)
    if len(content) != head + int(shape.prod()):
        raise FrugalsegError(f"{path} is not whole. Fetch it again.")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
