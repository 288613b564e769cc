"""Labels of whole images: from a CSV file, or from names of folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from frugalseg.data._tables import read_table
from frugalseg.errors import FrugalsegError

if TYPE_CHECKING:
    from frugalseg.data.image_sets import ImageSet


def label_indices(words: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices from words, "" meaning unknown.

    Returns:
        (N,) indices, -1 where unknown, and the words in order: as numbers where all are whole
        numbers, else alphabetically.
    """
    found = {word for word in words if word}
    numbers = all(word.isdecimal() for word in found)
    names = sorted(found, key=lambda word: (int(word) if numbers else 0, word))
    places = {name: i for i, name in enumerate(names)}
    return np.array([places.get(word, -1) for word in words], np.int64), tuple(names)


def read_labels(
    path: Path, images: ImageSet
) -> tuple[NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Read a CSV file (file,label) for a set of images.

    A file is named as in the set, with or without its suffix, or by its last part alone where that
    is unmistakable. Images that are not listed, or with an empty label, are unlabelled.

    Args:
        path: the CSV file.
        images: the set.

    Returns:
        (N,) class indices, -1 where unknown; the class names; and a sentence where images lack
        labels.

    Raises:
        FrugalsegError: the file cannot be read, names files that are not in the set, gives one
            image two labels, or labels none.
    """
    places = _places(images.names)
    words = [""] * len(images)
    lines: dict[int, int] = {}
    unknown: list[tuple[int, str]] = []
    for line, row in read_table(path, ("file", "label")):
        name = row["file"].removeprefix("./")
        place = places.get(name)
        if place is None:
            # files that are there but broken are told already
            if not any(name and name in problem for problem in images.problems):
                unknown.append((line, row["file"]))
        elif place in lines and words[place] != row["label"]:
            raise FrugalsegError(
                f"{path}, line {line}: {name} has the label {words[place]!r} in line "
                f"{lines[place]} and {row['label']!r} here. Keep one."
            )
        else:
            words[place], lines[place] = row["label"], line
    _refuse_unknown(path, images.root, unknown)
    if not any(words):
        raise FrugalsegError(f"{path} labels no image of {images.root}: fill its column 'label'.")
    values, class_names = label_indices(words)
    lacking = int((values < 0).sum())
    said = (f"{path}: {lacking} of {len(words)} images have no label in it.",) if lacking else ()
    return values, class_names, said


def _refuse_unknown(path: Path, root: Path, unknown: Sequence[tuple[int, str]]) -> None:
    """Raise where a table names files (with their lines) that are not there."""
    if not unknown:
        return
    names = ", ".join(name for _, name in unknown[:3])
    raise FrugalsegError(
        f"{path} names {len(unknown)} file{'s' * (len(unknown) > 1)} that {root} does not have: "
        f"{names}{', ...' if len(unknown) > 3 else ''} (line {unknown[0][0]}). "
        "Write paths as below that folder."
    )


def _places(names: Sequence[str]) -> dict[str, int | None]:
    """Images by their names and by each shorter way to write them that means one alone."""
    places: dict[str, int | None] = {}
    paths = [PurePosixPath(name) for name in names]
    shorter = (
        [str(path.with_suffix("")) for path in paths],
        [path.name for path in paths],
        [path.stem for path in paths],
    )
    for keys in shorter:
        for i, key in enumerate(keys):
            places[key] = i if places.get(key, i) == i else None
    places |= {name: i for i, name in enumerate(names)}
    return {name: i for name, i in places.items() if i is not None}
