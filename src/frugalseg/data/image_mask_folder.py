"""Open a folder of images and masks as a data set with classes and splits, checked first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import log
from frugalseg.data.class_lists.classes import ClassList
from frugalseg.data.class_lists.mapping import declared_classes
from frugalseg.data.class_lists.statistics import infer_classes, instance_hint
from frugalseg.data.formats.image_folder import open_files
from frugalseg.data.headers import read_sizes
from frugalseg.data.image_file import Remark
from frugalseg.data.images import Pixels, Size, read_image, say_remarks
from frugalseg.data.layouts.layout import all_samples, find_images, find_samples, match_masks
from frugalseg.data.layouts.listing import require_folder
from frugalseg.data.layouts.samples import NO_MASK, FolderContents, Sample, raise_problems
from frugalseg.data.layouts.splits import splits_by_name
from frugalseg.data.masks import (
    BinaryMasks,
    look_at_mask,
    may_be_slips,
    read_mask,
    read_statistics,
)
from frugalseg.errors import FrugalsegError
from frugalseg.files import folder_name, in_threads

IN_FOLDER = "folder"  # in place of a path: the masks in the data folder itself
_BINARY_PROBE = 64  # masks first read to see whether they hold 0 and 255 alone


@dataclass(frozen=True)
class ImageMaskFolder:
    """Images, with masks for all, some or none of them.

    Attributes:
        root: the folder.
        splits: samples by split, such as `train`, `val` and `test`, sorted by name; `unlabelled`
            are training images without a mask.
        class_list: classes of the masks; None if the folder was opened without masks.
        sizes: height and width of each image, by its file.
        problems: what was left out or guessed, one sentence each.
        bands: how images are read: 3, or 4 with infrared.
        pseudo_labels: the discovery whose regions are used as masks, if there are no masks.
        given: the splits that the folder itself gives; the others were drawn.
        find_regions: finds the region of each pixel of an image; if given, samplers learn the
            boundaries of these regions, not those of the masks.
    """

    root: Path
    splits: dict[str, tuple[Sample, ...]]
    class_list: ClassList | None = None
    sizes: dict[Path, Size] = field(default_factory=dict, repr=False)
    problems: tuple[str, ...] = ()
    bands: int = 3
    pseudo_labels: Path | None = None
    given: tuple[str, ...] = ()
    find_regions: Callable[[Path], NDArray[np.uint8]] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The folder's name, for titles and files."""
        return folder_name(self.root)

    @property
    def classes(self) -> ClassList:
        """The class list of a folder that was opened with its masks."""
        if self.class_list is None:
            raise ValueError(f"{self.root} was opened without masks")
        return self.class_list

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """All images, sorted by path; methods number the images in this order."""
        by_image = {sample.image: sample for part in self.splits.values() for sample in part}
        return tuple(by_image[image] for image in sorted(by_image))

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Path of each image below the folder."""
        return tuple(s.image.relative_to(self.root).as_posix() for s in self.samples)

    def indices(self, split: str) -> NDArray[np.int64]:
        """Numbers of the images of a split.

        Raises:
            FrugalsegError: there is no such split, or it is empty.
        """
        if split not in self.splits:
            raise FrugalsegError(
                f"{self.root} has no split {split!r}: there are {', '.join(self.splits)}."
            )
        if not self.splits[split]:
            raise FrugalsegError(f"{self.root} has no image in its split {split!r}.")
        places = {sample.image: i for i, sample in enumerate(self.samples)}
        return np.array(sorted(places[sample.image] for sample in self.splits[split]))

    def image_sizes(self, split: str) -> NDArray[np.int64]:
        """(N, 2) heights and widths of the images of a split, in the order of :meth:`indices`."""
        return np.array([self.sizes[self.samples[i].image] for i in self.indices(split)])

    def read(self, i: int) -> Pixels:
        """An image, (H, W, bands).

        Raises:
            FrugalsegError: the file cannot be read, or its size has changed.
        """
        path = self.samples[i].image
        image = read_image(path, bands=self.bands)
        if image.shape[:2] != self.sizes[path]:
            raise FrugalsegError(f"{path} has changed its size: give the command again.")
        return image

    def truth(self, i: int) -> NDArray[np.uint8] | None:
        """(H, W) class indices of an image, 255 where ignored; None if it has no mask.

        Raises:
            FrugalsegError: the mask cannot be read, or holds an id that is not in the list.
        """
        mask = self.samples[i].mask
        return None if mask is None else read_mask(mask, self.classes)


def open_folder(
    root: Path | str,
    classes: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    seed: int = 0,
    targets: Sequence[str] | None = None,
    mapping: Path | str | None = None,
    val_share: float = 0.15,
    test_share: float = 0.0,
    unlabelled: bool = False,
    images: Path | str | None = None,
    masks: Path | str | None = None,
) -> ImageMaskFolder:
    """Open a folder of images and masks, checking all names and sizes before any work starts.

    Layouts: `train/` beside `trainannot/` (and `val`, `test`); `train/images/` with
    `train/masks/`; `images/train/` with `masks/train/`; `images/` with `masks/`, with a
    `split.csv` (stem,split), with `train.txt` and `val.txt`, or without. Images and masks have the
    same stems, or stems that differ by a constant part; sub-folders are followed. If there are no
    splits, or none called val, `hold_out` draws it.

    Args:
        root: the folder.
        classes: a classes.csv; by default the one in the folder. If there is none, classes are
            inferred from the ids in the masks, each of which is then decoded once.
        ignore: names or ids of classes left out of training and scoring.
        seed: draws the splits that the folder does not give.
        targets: names of the target classes, in place of those that the list marks.
        mapping: a CSV file (fine_id,fine_name,coarse_id,coarse_name), also looked for in the
            folder, or the name of a supplied one (camvid-3): the masks hold fine ids, the data set
            has the coarse classes.
        val_share: share of the training images held out for validation if there is no val; 0 holds
            out none.
        test_share: share of all images held out for testing if no split at all is given.
        unlabelled: accept training images without a mask, as the split `unlabelled`. Otherwise
            they are an error, as images of val and test without a mask always are.
        images, masks: the folders of both, if the folder has no known layout; see `find_samples`.

    Returns:
        The data set.

    Raises:
        FrugalsegError: something is wrong; names the first files concerned and how many there are.
    """
    root = Path(root)
    contents = find_samples(root, images, masks)
    lone = _take_lone(contents) if unlabelled else ()
    raise_problems(root, contents.problems, contents.notes)
    sizes, problems, remarks = read_sizes([*contents.paired, *lone])
    raise_problems(root, problems)
    say_remarks(remarks)
    if not contents.paired:
        raise FrugalsegError(f"{root}: there is no image with a mask.")
    class_list = usable_classes(root, contents.paired, classes, ignore, targets, mapping)
    splits = draw_splits(contents.splits, seed, val_share, test_share)
    if lone:
        splits["unlabelled"] = lone
    given = tuple(name for name in contents.splits if name)
    notes = tuple(contents.notes)
    return ImageMaskFolder(root, splits, class_list, sizes, notes, given=given)


def open_any_folder(
    root: Path | str,
    masks: Path | str | None = None,
    classes: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    mapping: Path | str | None = None,
    bands: int = 3,
) -> ImageMaskFolder:
    """Open any folder of images, with masks for all, some or none of them.

    Args:
        root: a folder of images, flat or nested, or in one of the layouts of
            :func:`open_folder`. All images are read once.
        masks: "folder": the masks in the data folder; a path: a folder that holds masks under the
            paths of the images, with another suffix; None: open no masks.
        classes, ignore, mapping: of the masks, see :func:`open_folder`.
        bands: values of a pixel, see :func:`frugalseg.data.images.read_image`.

    Returns:
        The images: all of them as the split `all`, and the splits that the folder gives. Unreadable
        images are left out and named in ``problems``.

    Raises:
        FrugalsegError: there are no images, or the masks do not fit them.
    """
    root = Path(root)
    contents = find_images(root)
    samples = all_samples(root, contents, masks == IN_FOLDER)
    by_name = {sample.image.relative_to(root).as_posix(): sample for sample in samples}
    images = open_files(root, [(sample.image, name) for name, sample in by_name.items()])
    kept = [by_name[name] for name in images.names]
    sizes = {s.image: (int(h), int(w)) for s, (h, w) in zip(kept, images.sizes, strict=True)}
    class_list = None
    if masks is None:
        kept = [Sample(sample.name, sample.image, None) for sample in kept]
    else:
        own = str(masks) == IN_FOLDER and not Path(masks).exists()
        if own and not contents.has_layout:
            raise FrugalsegError(
                f"{root} holds no masks beside its images: give their folder with --masks."
            )
        folder = root if own else Path(masks)
        require_folder(folder)
        kept = kept if own else match_masks(root, kept, folder, contents.notes)
        masked = [sample for sample in kept if sample.mask is not None]
        if not masked:
            raise FrugalsegError(
                f"{folder}: no mask in it has the name of an image of {root} "
                "(the mask of NAME.jpg is NAME.png, or all differ by a constant part)."
            )
        _, problems, remarks = read_sizes(masked)
        raise_problems(folder, problems)
        say_remarks(remark for remark in remarks if remark[0] not in sizes)  # those are said
        class_list = usable_classes(folder, masked, classes, ignore, None, mapping)
    splits = {"all": tuple(kept), **_given_splits(contents, kept, images.names)}
    notes = (*contents.notes, *images.problems)
    return ImageMaskFolder(root, splits, class_list, sizes, notes, bands)


def _take_lone(contents: FolderContents) -> tuple[Sample, ...]:
    """Take the training images without a mask out of the problems."""
    # those of val and test must not be learned from, and cannot be scored
    samples = [s for split in ("train", "") for s in contents.lone.get(split, [])]
    lone = tuple(sorted(samples, key=lambda sample: sample.image))
    files = {str(sample.image) for sample in lone}
    contents.problems = [p for p in contents.problems if p.kind != NO_MASK or p.file not in files]
    return lone


def _given_splits(
    contents: FolderContents, samples: Sequence[Sample], names: Sequence[str]
) -> dict[str, tuple[Sample, ...]]:
    """The samples of each split that the folder gives."""
    if not contents.has_layout:
        numbers, _ = splits_by_name(names)
        return {split: tuple(samples[i] for i in part) for split, part in numbers.items()}
    both = (*contents.splits.items(), *contents.lone.items())
    split_of = {s.image: split for split, part in both for s in part if split}
    return {
        split: tuple(s for s in samples if split_of.get(s.image) == split)
        for split in dict.fromkeys(split_of.values())
    }


def usable_classes(
    root: Path,
    samples: Sequence[Sample],
    path: Path | str | None,
    ignore: Sequence[str | int],
    targets: Sequence[str] | None,
    mapping: Path | str | None,
) -> ClassList:
    """The class list of a folder: from `path`, from the folder, or inferred from the masks.

    A mask is decoded at most once: all of them if classes are inferred; otherwise some, and the
    others only if 255 may be a slip, and is one in those. What reading them guesses is logged.

    Args:
        root: the folder of the masks.
        samples: images with masks.
        path, ignore, targets, mapping: `classes` and the other arguments of :func:`open_folder`.

    Raises:
        FrugalsegError: there is no usable list, or so many masks hold 0 and 255 alone that
            :class:`BinaryMasks` takes 255 for a slip.
    """
    paths = [sample.mask for sample in samples if sample.mask is not None]
    classes = declared_classes(root, path, ignore, targets, mapping)
    looks: dict[Path, tuple[str | None, Remark | None]] = {}
    if classes is None:
        masks = list(in_threads(read_statistics, paths))
        classes = infer_classes(masks, ignore, targets)
        for line in instance_hint(masks):
            log.warning(line)
        looks = {path: (x.content, x.remark) for path, x in zip(paths, masks, strict=True)}
    for probe in (paths[:: -(-len(paths) // _BINARY_PROBE)], paths):  # a few may mislead
        unread = [path for path in probe if path not in looks]
        read = in_threads(lambda path: look_at_mask(path, classes), unread)
        looks |= zip(unread, read, strict=True)
        binary = BinaryMasks((path, looks[path][0]) for path in paths if path in looks)
        if not (binary.slip and may_be_slips(classes)):
            say_remarks((path, remark) for path, (_, remark) in looks.items() if remark)
            return classes
    raise FrugalsegError(f"{root}: {binary.sentence()}")


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Hold out a part of the samples, drawn by seed.

    Images are drawn one by one: if neighbours look alike (frames of a video), write a `split.csv`
    instead, or the part held out is easier than new images are.

    Args:
        samples: at least 2.
        share: share to hold out, above 0 and below 1; at least one is held out and one is kept.
        seed: the same seed and names give the same parts.

    Returns:
        kept, held: both sorted by name.

    Raises:
        FrugalsegError: there are fewer than 2 samples, or the share is out of range.
    """
    if not 0 < share < 1:
        raise FrugalsegError(f"The share to hold out is {share}; it must lie between 0 and 1.")
    if len(samples) < 2:
        raise FrugalsegError(
            f"{len(samples)} image is too few to hold one out for validation. Add images."
        )
    ordered = sorted(samples, key=lambda sample: sample.name)
    count = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    drawn = set(np.random.default_rng(seed).permutation(len(ordered))[:count].tolist())
    kept = tuple(s for i, s in enumerate(ordered) if i not in drawn)
    return kept, tuple(s for i, s in enumerate(ordered) if i in drawn)


def draw_splits(
    splits: dict[str, list[Sample]], seed: int, val_share: float, test_share: float
) -> dict[str, tuple[Sample, ...]]:
    """Draw the splits that a folder does not give.

    Args:
        splits: samples by split, under ``""`` if none is given.
        seed, val_share, test_share: see :func:`open_folder`.

    Raises:
        FrugalsegError: as `hold_out` does.
    """
    result = {name: tuple(samples) for name, samples in splits.items() if name}
    if "" in splits:
        result["train"] = tuple(splits[""])
        if test_share > 0:
            result["train"], result["test"] = hold_out(result["train"], test_share, seed)
    if "train" in result and not result.get("val") and val_share > 0:
        result["train"], result["val"] = hold_out(result["train"], val_share, seed)
    return {name: result[name] for name in ("train", "val", "test") if name in result}
