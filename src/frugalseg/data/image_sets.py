"""Sets of whole images, with labels or without: folders of the user's own and the usual data sets.

:func:`open_images` says what a path holds; each format has a file of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frugalseg.data.layout import require_folder

if TYPE_CHECKING:
    from frugalseg.data.duplicates import Survey

# An image by its number, (H, W, 1 or 3) uint8; the second number is the least height and width
# that is of use: files may be decoded at a smaller size that is no smaller than this.
Reader = Callable[[int, int], NDArray[np.uint8]]
Progress = Callable[[Iterable[Any]], Iterable[Any]]

UNKNOWN = -1  # the label of an image that has none


@dataclass(frozen=True)
class ImageSet:
    """Images by number, read when asked for.

    Attributes:
        root: where they come from.
        names: of each image, all different: the path below `root`, or such as "train/00012".
        sizes: (N, 2) int64 heights and widths.
        reader: reads an image.
        labels: (N,) int64 class indices, -1 where unknown; None where there are no labels at all.
        class_names: what the labels mean.
        splits: indices by name: "all", and as the source gives them "train", "test", "val",
            "unlabelled".
        problems: what was left out, one sentence a file.
        survey: of files, their digests and thumbnails, from which duplicates are found.
    """

    root: Path
    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    reader: Reader = field(repr=False)
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    splits: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    survey: Survey | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.splits.setdefault("all", np.arange(len(self.names)))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def name(self) -> str:
        """The folder's name, for titles and files."""
        return self.root.resolve().name

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Indices of the images whose label is known."""
        return np.flatnonzero(self.labels >= 0) if self.labels is not None else np.arange(0)

    def read(self, i: int) -> NDArray[np.uint8]:
        """Image `i` as it is: (H, W, 3), or (H, W, 1) where the source is grey.

        Raises:
            FrugalsegError: its file cannot be read any more.
        """
        return self.reader(i, 1 << 30)

    def read_all(
        self, size: int, indices: Sequence[int] | NDArray[Any] | None = None
    ) -> NDArray[np.uint8]:
        """Read images as squares: the shorter side resized to `size`, the centre cut out.

        Args:
            size: height and width in pixels.
            indices: which images; by default all.

        Returns:
            (N, size, size, C) uint8, C as in :meth:`read`.

        Raises:
            FrugalsegError: a file cannot be read any more.
        """
        chosen = range(len(self)) if indices is None else [int(i) for i in indices]
        if not len(chosen):
            return np.zeros((0, size, size, 3), np.uint8)
        first = square(self.reader(chosen[0], size), size)
        pixels = np.empty((len(chosen), *first.shape), np.uint8)

        def fill(place: int) -> None:
            pixels[place] = square(self.reader(chosen[place], size), size)

        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for _ in pool.map(fill, range(len(chosen))):
                pass
        return pixels


def square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize the shorter side to `size` and cut out the centre.

    Args:
        image: (H, W, 1 or 3).
        size: pixels.

    Returns:
        (size, size, 1 or 3).
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    box = (left, top, left + side, top + side)
    small = picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(small).reshape(size, size, -1)


def open_images(
    path: Path | str, labels: Path | str | None = None, progress: Progress = iter
) -> ImageSet:
    """Open a set of images.

    Understood are: a folder of images, flat or nested; one with `train/` and `test/` in it, or with
    `train.tar.gz` and `test.tar.gz` of images; MNIST and Fashion-MNIST as IDX files; CIFAR-10 and
    CIFAR-100 as Python or binary batches (CIFAR-100 with its 20 superclasses); STL-10 as binary
    files; and the word "digits", the 1,797 digits of scikit-learn.

    Args:
        path: the folder, or "digits".
        labels: "folders": the names of the sub-folders are the labels; "fine": CIFAR-100 with 100
            classes; else a CSV file (file,label). Without it a folder of images has no labels, and
            the data sets have their own.
        progress: wraps the loop over files, which are all read once.

    Returns:
        The set. Files that cannot be read are left out and named in `problems`.

    Raises:
        FrugalsegError: there is nothing there, no image can be read, or the labels do not fit.
    """
    from frugalseg.data import cifar, idx, image_archives, image_folder, stl10
    from frugalseg.data.image_labels import read_labels

    path = Path(path)
    if str(path) == "digits" and not path.exists():
        found: ImageSet | None = open_digits()
    else:
        require_folder(path, "images")
        classes = "fine" if labels == "fine" else "coarse"
        found = (
            idx.open_idx(path)
            or cifar.open_cifar(path, classes)
            or stl10.open_stl10(path)
            or image_archives.open_archives(path)
        )
    if found is None:
        found = image_folder.open_image_folder(path, labels == "folders", progress)
    elif labels == "folders" and found.labels is not None:
        labels = None  # known already
    if labels in (None, "folders", "fine"):
        return found
    values, names, missing = read_labels(Path(labels or ""), found)
    return replace(found, labels=values, class_names=names, problems=(*found.problems, *missing))


def open_digits() -> ImageSet:
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = (digits.images * (255 / 16)).round().astype(np.uint8)[..., None]
    root, names = Path("digits"), tuple("0123456789")
    images = array_set(root, {"digits": pixels}, {"digits": digits.target}, names)
    return replace(images, splits={})


def array_set(
    root: Path,
    pixels: dict[str, NDArray[np.uint8]],
    labels: dict[str, NDArray[Any]],
    class_names: tuple[str, ...],
) -> ImageSet:
    """A set from arrays by split.

    Args:
        root: where they come from.
        pixels: (N, H, W, C) by split.
        labels: (N,) by split.
        class_names: what the labels mean.
    """
    counts = {split: len(array) for split, array in pixels.items()}
    names = [f"{split}/{i:05d}" for split, count in counts.items() for i in range(count)]
    arrays = list(pixels.values())
    ends = np.cumsum([len(array) for array in arrays])

    def read(i: int, least: int) -> NDArray[np.uint8]:
        which = int(np.searchsorted(ends, i, side="right"))
        image: NDArray[np.uint8] = arrays[which][
            i - int(ends[which])
        ]  # counted from that array's end
        return image

    sizes = np.concatenate([np.tile(a.shape[1:3], (len(a), 1)) for a in arrays])
    values = np.concatenate([np.asarray(labels[split], np.int64) for split in pixels])
    splits = dict(zip(counts, np.split(np.arange(len(names)), ends[:-1]), strict=True))
    return ImageSet(root, tuple(names), sizes.astype(np.int64), read, values, class_names, splits)
