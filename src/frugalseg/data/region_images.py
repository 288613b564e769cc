"""Images to be divided into regions, with masks where there are any to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.classes import ClassList
from frugalseg.data.folder import folder_classes, refuse_binary_masks
from frugalseg.data.image_folder import open_files, splits_by_name
from frugalseg.data.image_sets import ImageSet, Progress
from frugalseg.data.images import IMAGE_SUFFIXES
from frugalseg.data.layout import (
    NO_MASK,
    Found,
    Sample,
    files_below,
    find_pairs,
    plain_files,
    raise_problems,
    require_folder,
    size_problems,
)
from frugalseg.data.masks import MASK_SUFFIXES, read_mask
from frugalseg.errors import FrugalsegError

IN_FOLDER = "folder"  # masks are those of the data folder


@dataclass(frozen=True)
class RegionImages:
    """Images, and the masks of some of them.

    Attributes:
        images: by number; splits are those of the folder.
        paths: of the image files.
        masks: of each image; None where it has none, or none are asked for.
        classes: of the masks; None where none are asked for.
    """

    images: ImageSet
    paths: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    classes: ClassList | None = None

    def __len__(self) -> int:
        return len(self.images)

    def indices(self, split: str) -> NDArray[np.int64]:
        """Numbers of the images of a split.

        Raises:
            FrugalsegError: there is no such split, or nothing in it.
        """
        splits = self.images.splits
        if split not in splits:
            raise FrugalsegError(
                f"{self.images.root} has no split {split!r}: there are {', '.join(splits)}."
            )
        if not len(splits[split]):
            raise FrugalsegError(f"{self.images.root} has no image in its split {split!r}.")
        return splits[split]

    def truth(self, i: int) -> NDArray[np.uint8] | None:
        """(H, W) class indices of an image, 255 where ignored; None where it has no mask.

        Raises:
            FrugalsegError: its mask cannot be read, or holds an id outside the list.
        """
        mask = self.masks[i]
        return None if mask is None or self.classes is None else read_mask(mask, self.classes)


def open_region_images(
    root: Path | str,
    masks: Path | str | None = None,
    class_list: Path | str | None = None,
    mapping: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    progress: Progress = iter,
) -> RegionImages:
    """Open a folder of images, or a folder of images and masks.

    Args:
        root: a folder of images, flat or nested, or one of the layouts of
            :func:`frugalseg.data.folder.open_folder`.
        masks: "folder": those of the data folder; else a folder that holds masks under the paths
            of the images, with another suffix; None: none are wanted.
        class_list, mapping, ignore: of the masks, as of :func:`frugalseg.data.folder.open_folder`.
        progress: wraps the loop over images, which are all read once.

    Returns:
        The images, sorted by path. Those that cannot be read are left out and named in ``problems``
        of the set.

    Raises:
        FrugalsegError: there are no images, or the masks do not fit them.
    """
    root = Path(root)
    require_folder(root)
    found = find_pairs(root)
    images, samples = _images(root, found, progress)
    if masks is None:
        return RegionImages(images, tuple(s.image for s in samples), (None,) * len(samples))
    if str(masks) == IN_FOLDER and not Path(masks).exists():
        if found is None:
            raise FrugalsegError(
                f"{root} holds no masks beside its images: give their folder with --masks."
            )
        place = root
    else:
        place = Path(masks)
        samples = _with_masks(samples, images.names, place)
    masked = [sample for sample in samples if sample.mask is not None]
    if not masked:
        raise FrugalsegError(
            f"{place}: no mask there has the name of an image of {root} "
            "(a mask is NAME.png where the image is NAME.jpg)."
        )
    raise_problems(place, size_problems(masked))
    classes = folder_classes(place, masked, class_list, ignore, None, mapping)
    refuse_binary_masks(place, masked, classes)
    paths = tuple(sample.image for sample in samples)
    return RegionImages(images, paths, tuple(s.mask for s in samples), classes)


def _images(root: Path, found: Found | None, progress: Progress) -> tuple[ImageSet, list[Sample]]:
    """The images, and a sample of each (with its mask where the folder is one of pairs)."""
    if found is None:
        files = [(path, path.relative_to(root).as_posix()) for path in plain_files(root)]
        images = open_files(root, files, progress)
        images = replace(images, splits=splits_by_name(images.names)[0])
        return images, [Sample(name, root / name, None) for name in images.names]
    both = (*found.splits.items(), *found.lone.items())
    split_of = {s.image: split for split, some in both for s in some}
    samples = [s for some in found.splits.values() for s in some]
    lone = [Path(problem.file) for problem in found.problems if problem.kind == NO_MASK]
    if (root / "unlabelled").is_dir():
        lone += files_below(root / "unlabelled", IMAGE_SUFFIXES)
    samples += [Sample(path.with_suffix("").name, path, None) for path in lone]
    samples.sort(key=lambda sample: sample.image)
    named = {sample.image.relative_to(root).as_posix(): sample for sample in samples}
    images = open_files(root, [(s.image, name) for name, s in named.items()], progress)
    kept = [named[name] for name in images.names]
    for split in dict.fromkeys(split_of.values()):
        if split:
            inside = [split_of.get(sample.image) == split for sample in kept]
            images.splits[split] = np.flatnonzero(inside)
    return images, kept


def _with_masks(samples: Sequence[Sample], names: Sequence[str], folder: Path) -> list[Sample]:
    """Join images to the masks of a folder by their paths without suffix."""
    require_folder(folder)
    there = {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in files_below(folder, MASK_SUFFIXES | {".jpg", ".jpeg"})
    }
    found = []
    for sample, name in zip(samples, names, strict=True):
        stem = Path(name).with_suffix("").as_posix()
        found.append(Sample(sample.name, sample.image, there.get(stem, there.get(sample.name))))
    return found
