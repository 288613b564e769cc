"""Open a set of whole images: a folder, or one of the usual data sets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.formats import FORMATS
from frugalseg.data.image_set import ImageSet, label_indices
from frugalseg.data.layouts.listing import NAME_COLUMNS, normal_name, places_of, require_folder
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table

LABEL_WORDS = ("folders", "fine")  # all other labels are CSV files


def open_images(path: Path | str, labels: Path | str | None = None) -> ImageSet:
    """Open a set of images in the first of `FORMATS` that recognises the path.

    It may be a folder of images, flat or nested; one with `train/` and `test/` in it, or with
    `train.tar.gz` and `test.tar.gz` of images; MNIST and Fashion-MNIST as IDX files; CIFAR-10 and
    CIFAR-100 as Python or binary batches (CIFAR-100 with its 20 superclasses); STL-10 as binary
    files; and the word "digits", the 1,797 digits of scikit-learn.

    Args:
        path: the folder, or "digits".
        labels: "folders": the names of the sub-folders are the labels; "fine": CIFAR-100 with 100
            classes; else a CSV file (file,label). Without it a folder of images has no labels, and
            the data sets have their own.

    Returns:
        The set. Unreadable files are left out and named in `problems`, which also say how many
        images the given labels leave unlabelled.

    Raises:
        FrugalsegError: the path does not exist, no image can be read, or the labels do not fit or
            are all of one class.
    """
    path = Path(path)
    if not FORMATS["digits"].recognises(path):
        require_folder(path, "images")
    special = (FORMATS[name] for name in FORMATS if name != "folder")  # any folder may be that
    reader = next((each for each in special if each.recognises(path)), FORMATS["folder"])
    images: ImageSet = reader.read(path, None if labels is None else str(labels))
    if labels is not None and labels not in LABEL_WORDS:
        values, class_names = read_labels(Path(labels), images)
        images = replace(images, labels=values, class_names=class_names)
    if labels is None or images.labels is None:
        return images
    source = path if labels in LABEL_WORDS else labels
    if len(images.class_names) < 2:
        raise FrugalsegError(
            f"{source}: all labels are {images.class_names[0]!r}, so there is nothing to tell "
            "apart: label images of another class too (-1 and nan mean unlabelled)."
        )
    missing = len(images) - len(images.labelled)
    hint = f"{source}: {missing} of {len(images)} images are unlabelled."
    return replace(images, problems=(*images.problems, *[hint] * (missing > 0)))


def read_labels(path: Path, images: ImageSet) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Read a CSV file (file,label) for a set of images.

    A file is named as in the set, with or without its suffix, or by its last part alone if that
    is unique. Images that are not listed, or whose label is empty, -1 or nan, are unlabelled.

    Args:
        path: the CSV file.
        images: the set.

    Returns:
        (N,) class indices, -1 where unknown, and the class names.

    Raises:
        FrugalsegError: the file cannot be read, names files that are not in the set, gives one
            image two labels, or has no label.
    """
    places = places_of(images.names)
    words = [""] * len(images)
    lines: dict[int, int] = {}
    unknown: list[tuple[int, str]] = []
    reported = normal_name(" ".join(images.problems))
    for line, row in read_table(path, (("file", *NAME_COLUMNS), "label")):
        name = row["file"].removeprefix("./")
        place = places.get(name)
        if place is None:
            # unreadable files have been reported already
            if not name or name not in reported:
                unknown.append((line, row["file"]))
        elif place in lines and words[place] != row["label"]:
            raise FrugalsegError(
                f"{path}, line {line}: {name} has the label {words[place]!r} in line "
                f"{lines[place]} and {row['label']!r} here. Keep one."
            )
        else:
            words[place], lines[place] = row["label"], line
    _refuse_unknown(path, images.root, unknown)
    values, class_names = label_indices(words)
    if not class_names:
        raise FrugalsegError(f"{path} labels no image of {images.root}: fill its column 'label'.")
    return values, class_names


def _refuse_unknown(path: Path, root: Path, unknown: Sequence[tuple[int, str]]) -> None:
    """Refuse the files that a table names (with their lines) but the set does not hold."""
    if not unknown:
        return
    names = ", ".join(name for _, name in unknown[:3])
    raise FrugalsegError(
        f"{path} names {len(unknown)} file{'s' * (len(unknown) > 1)} that {root} does not have: "
        f"{names}{', ...' if len(unknown) > 3 else ''} (line {unknown[0][0]}). "
        "Write paths as below that folder."
    )
