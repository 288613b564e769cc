"""A folder of images of the user's own: flat or nested, of mixed sizes and modes."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.duplicates import Glance, Survey, digest_file, glance
from frugalseg.data.image_labels import label_indices
from frugalseg.data.image_sets import ImageSet, Progress
from frugalseg.data.images import IMAGE_SUFFIXES, image_size, read_image
from frugalseg.data.layout import files_below
from frugalseg.errors import FrugalsegError

_SPLITS = {"train": "train", "test": "test", "val": "val"} | dict.fromkeys(
    ("unlabelled", "unlabeled"), "unlabelled"
)
_GLANCE = 32  # pixels of the shorter side that a first look needs


def open_image_folder(
    root: Path, labelled_by_folder: bool = False, progress: Progress = iter
) -> ImageSet:
    """Open a folder of images, reading every file once.

    Args:
        root: the folder. Where it (or ``images/`` in it, if all lie there) holds folders named
            train, test, val or unlabelled and no other image, those are splits.
        labelled_by_folder: the sub-folder (of the folder, or of the split) is the label.
        progress: wraps the loop over files.

    Returns:
        The set, sorted by path. Files that cannot be read are left out and named in `problems`.

    Raises:
        FrugalsegError: no image is there, none can be read, or there are no sub-folders.
    """
    paths = list(files_below(root, IMAGE_SUFFIXES))
    if not paths:
        raise FrugalsegError(f"{root}: there is no image in it or below it.")
    names = [path.relative_to(root).as_posix() for path in paths]
    images = open_files(root, list(zip(paths, names, strict=True)), progress)
    splits, below = splits_by_name(images.names)
    if not labelled_by_folder:
        return replace(images, splits=splits)
    words = [PurePosixPath(name).parts[0] if "/" in name else "" for name in below]
    labels, class_names = label_indices(words)
    if not class_names:
        raise FrugalsegError(
            f"{root} has no sub-folders whose names could be labels: "
            "sort the images into some, or give a CSV file (file,label)."
        )
    return replace(images, splits=splits, labels=labels, class_names=class_names)


def open_files(
    root: Path, files: Sequence[tuple[Path, str]], progress: Progress = iter
) -> ImageSet:
    """Open image files, reading each once; those that cannot be read are left out and named.

    Args:
        root: what they have in common, for messages.
        files: paths, and the names they shall have.
        progress: wraps the loop over files.

    Returns:
        The set, without labels.

    Raises:
        FrugalsegError: none can be read.
    """
    kept: list[tuple[Path, str]] = []
    sizes: list[tuple[int, int]] = []
    digests: list[bytes] = []
    glances: list[Glance] = []
    problems: list[str] = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        looks = pool.map(lambda file: _look(file[0]), files)
        for file, seen in zip(files, progress(_Counted(looks, len(files))), strict=True):
            if isinstance(seen, str):
                problems.append(seen)
                continue
            kept.append(file)
            sizes.append(seen[0])
            digests.append(seen[1])
            glances.append(seen[2])
    if not kept:
        raise FrugalsegError(f"{root}: none of {len(files)} images can be read. {problems[0]}")
    shape = np.array(sizes, np.int64)

    def read(i: int, least: int) -> NDArray[np.uint8]:
        return read_image(kept[i][0], _reduction(shape[i], least))

    names = tuple(name for _, name in kept)
    survey = Survey.of(digests, glances)
    return ImageSet(root, names, shape, read, problems=tuple(problems), survey=survey)


class _Counted:
    """An iterator with a length, for progress bars."""

    def __init__(self, items: Iterator[Any], length: int):
        self.items, self.length = items, length

    def __iter__(self) -> Iterator[Any]:
        return self.items

    def __len__(self) -> int:
        return self.length


def _look(path: Path) -> tuple[tuple[int, int], bytes, Glance] | str:
    """Size, digest and first look of a file, or what is wrong with it."""
    try:
        size = image_size(path)
        return size, digest_file(path), glance(read_image(path, _reduction(size, _GLANCE)))
    except FrugalsegError as error:
        return str(error)


def _reduction(size: Sequence[int] | NDArray[np.int64], least: int) -> int:
    """How many times smaller a file may be read with no side below `least`."""
    return next((r for r in (8, 4, 2) if min(size) // r >= least), 1)


def splits_by_name(names: Sequence[str]) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Indices by split, and the names below the split's folder.

    Args:
        names: paths below a folder. Where all begin with train, val, test or unlabelled (below
            ``images/``, where that holds all), that is their split; else there are no splits.
    """
    inside = all(name.startswith("images/") for name in names)
    inner = [name.removeprefix("images/") if inside else name for name in names]
    firsts = [PurePosixPath(name).parts[0] if "/" in name else "" for name in inner]
    if not set(firsts) <= _SPLITS.keys():
        return {}, list(names)
    found = np.array([_SPLITS[first] for first in firsts])
    below = [name.partition("/")[2] for name in inner]
    return {str(split): np.flatnonzero(found == split) for split in np.unique(found)}, below
