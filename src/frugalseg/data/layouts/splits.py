"""The splits of a data set: how they are called, and the files that list them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.layouts.listing import NAME_COLUMNS, normal_name
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table, read_text

SPLITS = ("train", "val", "test")
IMAGE_FOLDERS = (
    *("images", "image", "imgs", "img", "img_dir", "jpegimages", "leftimg8bit", "image_2"),
    *("images_png", "rgb"),
)
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "unlabelled": "unlabelled",
    "unlabeled": "unlabelled",
}
_LISTS = ("", "ImageSets", "ImageSets/Segmentation")  # folders


def splits_by_name(names: Sequence[str]) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Indices by split, and the names below the split's folder.

    Args:
        names: paths below a folder. If the first folder of each (after ``images/``, if all lie
            there) is called like a split, it is the split; else there are no splits.
    """
    parts = [PurePosixPath(name).parts for name in names]
    outer = {each[0].lower() for each in parts}
    inside = len(outer) == 1 and outer <= set(IMAGE_FOLDERS)
    inner = [each[inside:] for each in parts]
    firsts = [each[0].lower() if len(each) > 1 else "" for each in inner]
    if not set(firsts) <= SPLIT_WORDS.keys():
        return {}, list(names)
    splits = np.array([SPLIT_WORDS[first] for first in firsts])
    below = ["/".join(each[1:]) for each in inner]
    return {str(split): np.flatnonzero(splits == split) for split in np.unique(splits)}, below


def read_splits(root: Path) -> tuple[list[Path], list[tuple[Path, int, str, str]]]:
    """Read the file or files of a folder that divide its images.

    They are ``split.csv`` (a name and ``split`` in each line), or else lists such as ``train.txt``
    and ``val.txt`` (a name in each line), also below ``ImageSets/``.

    Returns:
        The files, none if there are none; and file, line, name and split of each entry.

    Raises:
        FrugalsegError: a file cannot be read, or a split is not called like one.
    """
    table = root / "split.csv"
    if table.is_file():
        entries = []
        for line, row in read_table(
            table, (("stem", "file", *NAME_COLUMNS), ("split", "subset", "set"))
        ):
            split = SPLIT_WORDS.get(row["split"].lower())
            if split not in SPLITS:
                raise FrugalsegError(
                    f"{table}, line {line}: the split {row['split']!r} must be one of "
                    f"{', '.join(SPLITS)}."
                )
            entries.append((table, line, row["stem"], split))
        return [table], entries
    for folder in _LISTS:
        lists = _lists(root / folder)
        if lists:
            return list(lists), [
                (path, line, name, split)
                for path, split in lists.items()
                for line, name in _lines(path)
            ]
    return [], []


def _lists(folder: Path) -> dict[Path, str]:
    """Lists of names in a folder, with their splits."""
    if not folder.is_dir():
        return {}
    files = [path for path in sorted(folder.glob("*.txt")) if path.is_file()]
    return {p: s for s in SPLITS for p in files if SPLIT_WORDS.get(p.stem.lower()) == s}


def _lines(path: Path) -> list[tuple[int, str]]:
    """The names in a list, with their lines."""
    names = [normal_name(line.strip()) for line in read_text(path).splitlines()]
    return [(number, name) for number, name in enumerate(names, 1) if name]
