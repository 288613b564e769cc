"""CIFAR-10 and CIFAR-100 as Python or binary batches, unpacked or in the original archives."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.formats.archives import read_archive
from frugalseg.data.image_set import ImageFormat, ImageSet, array_set
from frugalseg.errors import FrugalsegError
from frugalseg.files import regular_file

CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
SUPERCLASSES = (
    *("aquatic mammals", "fish", "flowers", "food containers", "fruit and vegetables"),
    *("household electrical devices", "household furniture", "insects", "large carnivores"),
    *("large man-made outdoor things", "large natural outdoor scenes"),
    *("large omnivores and herbivores", "medium-sized mammals", "non-insect invertebrates"),
    *("people", "reptiles", "small mammals", "trees", "vehicles 1", "vehicles 2"),
)
_BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
# By folder: its files by split, and whether they are CIFAR-100.
_LAYOUTS: dict[str, tuple[dict[str, tuple[str, ...]], bool]] = {
    "cifar-10-batches-py": ({"train": _BATCHES, "test": ("test_batch",)}, False),
    "cifar-10-batches-bin": (
        {"train": tuple(f"{name}.bin" for name in _BATCHES), "test": ("test_batch.bin",)},
        False,
    ),
    "cifar-100-python": ({"train": ("train",), "test": ("test",)}, True),
    "cifar-100-binary": ({"train": ("train.bin",), "test": ("test.bin",)}, True),
}

Fetch = Callable[[str], bytes]


def recognises_cifar(root: Path) -> bool:
    """Whether a folder holds batches of CIFAR, the folder of them, or the archive of them."""
    return any(_batches(root, folder) or _archive(root, folder).is_file() for folder in _LAYOUTS)


def read_cifar(root: Path, labels: str | None = None) -> ImageSet:
    """Read a folder of CIFAR batches, with the splits train and test.

    Args:
        root: the folder with the batches, or with the folder or the archive that holds them.
        labels: "fine": CIFAR-100 with 100 classes; else with 20 superclasses (as in Ji et al.
            2019).

    Raises:
        FrugalsegError: a batch is missing or damaged.
    """
    classes = "fine" if labels == "fine" else "coarse"
    folder, fetch = next(
        (folder, fetch) for folder in _LAYOUTS if (fetch := _opened(root, folder)) is not None
    )
    files, hundred = _LAYOUTS[folder]
    pixels: dict[str, NDArray[np.uint8]] = {}
    values: dict[str, NDArray[np.int64]] = {}
    for split, names in files.items():
        parts = [_batch(root, name, fetch, hundred, classes) for name in names]
        pixels[split] = np.concatenate([part[0] for part in parts])
        values[split] = np.concatenate([part[1] for part in parts])
    return array_set(root, pixels, values, _class_names(hundred, classes, fetch, folder))


CIFAR = ImageFormat(recognises_cifar, read_cifar)


def _archive(root: Path, folder: str) -> Path:
    """The archive of a folder: cifar-10-python.tar.gz of cifar-10-batches-py."""
    name = folder.replace("batches-py", "python").replace("batches-bin", "binary")
    return root / f"{name}.tar.gz"


def _batches(root: Path, folder: str) -> Path | None:
    """The folder that holds the batches of a layout."""
    first = _LAYOUTS[folder][0]["train"][0]
    for place in (root, root / folder):
        # files "train" and "test" may be anything; CIFAR's have the list of class names beside them
        if (place / first).is_file() and (first != "train" or (place / "meta").is_file()):
            return place
    return None


def _opened(root: Path, folder: str) -> Fetch | None:
    """A function that reads a batch by its name; None if there are no batches of this layout."""
    place = _batches(root, folder)
    if place is not None:
        return lambda name: regular_file(place / name).read_bytes()
    archive = _archive(root, folder)
    if not archive.is_file():
        return None
    wanted = {*sum(_LAYOUTS[folder][0].values(), ()), "meta", "fine_label_names.txt"}
    members = read_archive(archive, lambda place: place.name in wanted)
    contents = {place.name: content for place, content in members.items()}

    def fetch(name: str) -> bytes:
        if name not in contents:
            raise FileNotFoundError(f"no {name} in {archive.name}")
        return contents[name]

    return fetch


def _batch(
    root: Path, name: str, fetch: Fetch, hundred: bool, classes: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (N, 32, 32, 3) and labels (N,) of a batch."""
    try:
        content = fetch(name)
        if name.endswith(".bin"):
            head = 2 if hundred else 1
            rows = np.frombuffer(content, np.uint8).reshape(-1, head + 3072)
            # of CIFAR-100 the first byte is the coarse label, the second the fine one
            which = 1 if hundred and classes == "fine" else 0
            data, labels = rows[:, head:], rows[:, which]
        else:
            batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
            key = f"{classes}_labels".encode() if hundred else b"labels"
            data, labels = np.asarray(batch[b"data"], np.uint8), batch[key]
        pixels = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return pixels, np.asarray(labels, np.int64)
    except (OSError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise FrugalsegError(
            f"{root}: the batch {name} is missing or incomplete ({error}). Fetch it again."
        ) from error


class _Unpickler(pickle.Unpickler):
    """Loads arrays and plain values only, since a pickle could otherwise run any code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}
        if (module.rpartition(".")[2], name) in allowed and module.startswith("numpy"):
            if name == "_reconstruct":  # its module depends on the version of numpy
                return np.ndarray(0).__reduce__()[0]
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            import _codecs

            return _codecs.encode
        raise pickle.UnpicklingError(f"it holds {module}.{name}")


def _class_names(hundred: bool, classes: str, fetch: Fetch, folder: str) -> tuple[str, ...]:
    if not hundred:
        return CIFAR10
    if classes == "coarse":
        return SUPERCLASSES
    try:
        if folder.endswith("python"):
            meta = _Unpickler(io.BytesIO(fetch("meta")), encoding="bytes").load()
            return tuple(name.decode() for name in meta[b"fine_label_names"])
        return tuple(fetch("fine_label_names.txt").decode().split())
    except (OSError, ValueError, KeyError, EOFError, pickle.UnpicklingError):
        return tuple(f"class {i}" for i in range(100))
