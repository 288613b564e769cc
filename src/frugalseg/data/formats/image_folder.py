"""A folder of images of the user's own: flat or nested, of mixed sizes and modes."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_file import Remark, open_image, read_header
from frugalseg.data.image_set import ImageFormat, ImageSet, label_indices
from frugalseg.data.images import Size, read_image, say_remarks
from frugalseg.data.layouts.photographs import list_photographs
from frugalseg.data.layouts.splits import splits_by_name
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads

# a file is decoded with at least this shorter side, in pixels, only to see whether it is intact
_CHECKED_SIDE = 32


def recognises_image_folder(root: Path) -> bool:
    """Whether the path is a folder; whether it holds images is checked when it is read."""
    return root.is_dir()


def read_image_folder(root: Path, labels: str | None = None) -> ImageSet:
    """Open a folder of images, reading every file once.

    Args:
        root: the folder. If all images lie in its sub-folders train, test, val or unlabelled
            (which may be below ``images/``), those are the splits. Of a folder of images and masks
            only the images are taken.
        labels: "folders": the sub-folder (of the folder, or of the split) is the label.

    Returns:
        The set, sorted by path. Files that cannot be read and label images are left out and named
        in `problems`.

    Raises:
        FrugalsegError: there is no image, none can be read, or there are no sub-folders.
    """
    paths, notes = list_photographs(root)
    names = [path.relative_to(root).as_posix() for path in paths]
    images = open_files(root, list(zip(paths, names, strict=True)))
    images = replace(images, problems=(*notes, *images.problems))
    splits, below = splits_by_name(images.names)
    if labels != "folders":
        return replace(images, splits=splits)
    words = [PurePosixPath(name).parts[0] if "/" in name else "" for name in below]
    values, class_names = label_indices(words)
    if not class_names:
        raise FrugalsegError(
            f"{root} has no sub-folders whose names could be labels: "
            "sort the images into sub-folders, or give a CSV file (file,label)."
        )
    return replace(images, splits=splits, labels=values, class_names=class_names)


IMAGE_FOLDER = ImageFormat(recognises_image_folder, read_image_folder)


def open_files(root: Path, files: Sequence[tuple[Path, str]]) -> ImageSet:
    """Open image files, reading each once; unreadable ones are left out and named in `problems`.

    What reading them guesses or leaves out is logged.

    Args:
        root: the folder, for messages.
        files: paths and names.

    Returns:
        The set, without labels.

    Raises:
        FrugalsegError: none can be read.
    """
    looks = list(in_threads(_look_at, [path for path, _ in files], "images"))
    problems = tuple(look for look in looks if isinstance(look, str))
    readable = [(*file, *x) for file, x in zip(files, looks, strict=True) if not isinstance(x, str)]
    if not readable:
        raise FrugalsegError(f"{root}: none of {len(files)} images can be read. {problems[0]}")
    paths, names, sizes, digests, remarks = zip(*readable, strict=True)
    say_remarks(
        (path, each) for path, several in zip(paths, remarks, strict=True) for each in several
    )

    def read(i: int, side: int) -> NDArray[np.uint8]:
        return read_image(paths[i], _reduction(sizes[i], side))

    shape = np.array(sizes, np.int64)
    return ImageSet(root, names, shape, read, problems=problems, digests=digests)


def _look_at(path: Path) -> tuple[Size, bytes, tuple[Remark, ...]] | str:
    """Size and digest of a file that can be decoded and remarks on it, or what is wrong with it."""
    try:
        header = read_header(path)
        read_image(path, _reduction(header.size, _CHECKED_SIDE))
        with open_image(path):
            digest = hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
        return header.size, digest, header.remarks
    except FrugalsegError as error:
        return str(error)


def _reduction(size: Size, side: int) -> int:
    """How many times smaller a file may be read with both sides at least `side`."""
    return next((r for r in (8, 4, 2) if min(size) // r >= side), 1)
