"""A set of whole images with or without labels, as every reader in `formats` returns it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.images import square
from frugalseg.errors import FrugalsegError
from frugalseg.files import folder_name, in_threads

# Reads an image by its number, (H, W, 1 or 3) uint8. The second argument is a side in pixels: a
# file may be decoded at a reduced size as long as height and width are at least this.
PixelReader = Callable[[int, int], NDArray[np.uint8]]

UNKNOWN = -1  # the label of an image that has none
UNLABELLED = ("", "-1", "-1.0", "nan")  # words for it in a table, as numpy and pandas write them


@dataclass(frozen=True)
class ImageFormat:
    """How data of one format are recognised and read; `formats.FORMATS` lists the formats.

    Attributes:
        recognises: whether a path holds such data, judged by the names of its files.
        read: reads the data. The second argument is `labels` of :func:`open_images`, which may be a
            word that only this format knows.
    """

    recognises: Callable[[Path], bool]
    read: Callable[[Path, str | None], ImageSet]


@dataclass(frozen=True)
class ImageSet:
    """Images by number, read when needed.

    Attributes:
        root: where they come from.
        names: a unique name of each image: the path below `root`, or one like "train/00012".
        sizes: (N, 2) int64 heights and widths.
        reader: reads an image.
        labels: (N,) int64 class indices, -1 where unknown; None if there are no labels at all.
        class_names: what the labels mean.
        splits: indices by name: "all", and those of "train", "test", "val" and "unlabelled" that
            the source has.
        problems: what was left out, one sentence per file.
        digests: digest of each file's content; empty if the images are not files.
    """

    root: Path
    names: tuple[str, ...]
    sizes: NDArray[np.int64]
    reader: PixelReader = field(repr=False)
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    splits: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    digests: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        self.splits.setdefault("all", np.arange(len(self.names)))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def name(self) -> str:
        """The folder's name, for titles and files."""
        return folder_name(self.root)

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Indices of the images whose label is known."""
        return np.flatnonzero(self.labels >= 0) if self.labels is not None else np.arange(0)

    def indices(self, split: str) -> NDArray[np.int64]:
        """Indices of a split, or of several joined by "+", such as "train+unlabelled".

        Raises:
            FrugalsegError: there is no such split.
        """
        parts = [split] if split in self.splits else split.split("+")
        if not all(part in self.splits for part in parts):
            raise FrugalsegError(
                f"{self.root} has no split {split!r}: there are {', '.join(self.splits)}."
            )
        return np.unique(np.concatenate([self.splits[part] for part in parts]))

    def read(self, i: int) -> NDArray[np.uint8]:
        """Read image `i` at its own size: (H, W, 3), or (H, W, 1) if the source is grey.

        Raises:
            FrugalsegError: its file can no longer be read.
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
            FrugalsegError: a file can no longer be read.
        """
        chosen = range(len(self)) if indices is None else [int(i) for i in indices]
        if not len(chosen):
            return np.zeros((0, size, size, 3), np.uint8)
        first = square(self.reader(chosen[0], size), size)
        pixels = np.empty((len(chosen), *first.shape), np.uint8)

        def fill(place: int) -> None:
            pixels[place] = square(self.reader(chosen[place], size), size)

        for _ in in_threads(fill, range(len(chosen))):
            pass
        return pixels


def find_duplicates(images: ImageSet) -> tuple[tuple[int, ...], ...]:
    """Groups of equal files, by index, ordered by their first; none if images are not files."""
    groups: dict[bytes, list[int]] = {}
    for i, digest in enumerate(images.digests):
        groups.setdefault(digest, []).append(i)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def refuse_equal_images(images: ImageSet) -> None:
    """Refuse a set whose images all look the same: there is nothing to tell apart.

    Raises:
        FrugalsegError: every image has the same pixels when read as a square of 64 x 64.
    """
    if len(images) < 2:
        return
    if len(set(images.digests)) != 1:
        first = images.read_all(64, [0])
        # mostly the second image ends the search
        if any((images.read_all(64, [i]) != first).any() for i in range(1, len(images))):
            return
    raise FrugalsegError(
        f"{images.root}: all {len(images)} images look the same ({images.names[0]}, "
        f"{images.names[1]}, ...): there is nothing to group."
    )


def array_set(
    root: Path,
    pixels: dict[str, NDArray[np.uint8]],
    labels: dict[str, NDArray[Any]],
    class_names: tuple[str, ...],
) -> ImageSet:
    """Make a set from arrays by split.

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

    def read(i: int, least_side: int) -> NDArray[np.uint8]:
        array = int(np.searchsorted(ends, i, side="right"))
        image: NDArray[np.uint8] = arrays[array][i - int(ends[array])]  # counted from its end
        return image

    sizes = np.concatenate([np.tile(a.shape[1:3], (len(a), 1)) for a in arrays])
    values = np.concatenate([np.asarray(labels[split], np.int64) for split in pixels])
    splits = dict(zip(counts, np.split(np.arange(len(names)), ends[:-1]), strict=True))
    return ImageSet(root, tuple(names), sizes.astype(np.int64), read, values, class_names, splits)


def label_indices(words: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Turn words into class indices; those of `UNLABELLED`, in any case, mean unknown.

    Returns:
        (N,) indices, -1 where unknown, and the words in order: numerically if all are whole
        numbers, else alphabetically.
    """
    known = {word for word in words if word.lower() not in UNLABELLED}
    numbers = all(word.isdecimal() for word in known)
    # int refuses thousands of digits
    bare = {word: word.lstrip("0") if numbers else "" for word in known}
    names = sorted(known, key=lambda word: (len(bare[word]), bare[word], word))
    places = {name: i for i, name in enumerate(names)}
    return np.array([places.get(word, UNKNOWN) for word in words], np.int64), tuple(names)
