"""CIFAR-10 and CIFAR-100, as Python or binary batches, unpacked or in their makers' archives."""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_sets import ImageSet, array_set
from frugalseg.errors import FrugalsegError

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
# By the folder (and archive) they come in: files by split, and whether they are CIFAR-100.
_LAYOUTS: dict[str, tuple[dict[str, tuple[str, ...]], bool]] = {
    "cifar-10-batches-py": ({"train": _BATCHES, "test": ("test_batch",)}, False),
    "cifar-10-batches-bin": (
        {"train": tuple(f"{name}.bin" for name in _BATCHES), "test": ("test_batch.bin",)},
        False,
    ),
    "cifar-100-python": ({"train": ("train",), "test": ("test",)}, True),
    "cifar-100-binary": ({"train": ("train.bin",), "test": ("test.bin",)}, True),
}
_ARCHIVES = {
    "cifar-10-batches-py": "cifar-10-python.tar.gz",
    "cifar-10-batches-bin": "cifar-10-binary.tar.gz",
    "cifar-100-python": "cifar-100-python.tar.gz",
    "cifar-100-binary": "cifar-100-binary.tar.gz",
}

Fetch = Callable[[str], bytes]


def open_cifar(root: Path, classes: str = "coarse") -> ImageSet | None:
    """Open a folder of CIFAR batches.

    Args:
        root: the folder with the batches, or with the folder or the archive that holds them.
        classes: of CIFAR-100: "coarse" (20 superclasses, as in Ji et al. 2019) or "fine" (100).

    Returns:
        The set with the splits train and test; None where there are no such files.

    Raises:
        FrugalsegError: a batch is missing or damaged.
    """
    for folder, (files, hundred) in _LAYOUTS.items():
        fetch = _opened(root, folder, files)
        if fetch is None:
            continue
        pixels: dict[str, NDArray[np.uint8]] = {}
        labels: dict[str, NDArray[np.int64]] = {}
        for split, names in files.items():
            parts = [_batch(root, name, fetch, hundred, classes) for name in names]
            pixels[split] = np.concatenate([part[0] for part in parts])
            labels[split] = np.concatenate([part[1] for part in parts])
        return array_set(root, pixels, labels, _class_names(hundred, classes, fetch, folder))
    return None


def _opened(root: Path, folder: str, files: dict[str, tuple[str, ...]]) -> Fetch | None:
    """How to get the bytes of a batch, where the batches of this layout are there."""
    first = files["train"][0]
    for place in (root, root / folder):
        # "train" and "test" alone may be any files: the list of names must lie beside them
        if (place / first).is_file() and (first != "train" or (place / "meta").is_file()):
            return lambda name, place=place: (place / name).read_bytes()  # type: ignore[misc]
    archive = root / _ARCHIVES[folder]
    if not archive.is_file():
        return None
    wanted = {*sum(files.values(), ()), "meta", "fine_label_names.txt"}
    contents: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if name in wanted and (file := tar.extractfile(member)) is not None:
                    contents[name] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise FrugalsegError(f"{archive} cannot be read ({error}). Fetch it again.") from error

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
            f"{root}: the batch {name} is missing or not whole ({error}). Fetch it again."
        ) from error


class _Unpickler(pickle.Unpickler):
    """Arrays and plain values only: a pickle could otherwise run anything."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {("multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}
        if (module.rpartition(".")[2], name) in allowed and module.startswith("numpy"):
            if name == "_reconstruct":  # where this version of numpy has it
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
