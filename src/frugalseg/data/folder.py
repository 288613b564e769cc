"""A folder of images and masks as a data set: classes, splits, and everything checked first."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from glob import glob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.binary_masks import BinaryMasks, kind_of_mask, may_be_slips
from frugalseg.data.classes import (
    ClassList,
    ignored_ids,
    infer_classes,
    read_classes,
)
from frugalseg.data.images import IMAGE_SUFFIXES
from frugalseg.data.layout import (
    NO_MASK,
    Found,
    Sample,
    files_below,
    find_samples,
    raise_problems,
    require_folder,
    size_problems,
)
from frugalseg.data.masks import only_ids, read_raw
from frugalseg.data.merging import mapping_path, merge_classes
from frugalseg.errors import FrugalsegError

_BINARY_PROBE = 64  # masks looked at for 0 and 255 alone; check looks at all


@dataclass(frozen=True)
class SegmentationFolder:
    """A data set: `splits` holds the samples under `train`, `val` and `test`, sorted by name.

    Images without a mask, where they are wanted, are under `unlabelled`. Where there is no mask at
    all, `divided_by` is the discovery whose regions stand in their place.
    """

    root: Path
    classes: ClassList
    splits: dict[str, tuple[Sample, ...]]
    divided_by: Path | None = None


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
) -> SegmentationFolder:
    """Open a folder of images and masks, checking all names and sizes before any work starts.

    Layouts: `train/` beside `trainannot/` (and `val`, `test`); `train/images/` with
    `train/masks/`; `images/train/` with `masks/train/`; `images/` with `masks/`, with a
    `split.csv` (stem,split) or without. Images and masks have the same stems; sub-folders are
    followed. Where no split is given, or none called val, one is drawn by `hold_out`.

    Args:
        root: the folder.
        classes: a classes.csv; by default the one in the folder, else the list is made from the
            ids in the masks.
        ignore: names or ids of classes left out of training and scoring.
        seed: draws the splits that the folder does not give.
        targets: names of the classes one mainly looks for, in place of those marked.
        mapping: a CSV file (fine_id,fine_name,coarse_id,coarse_name), also looked for in the
            folder, or the name of one that is supplied (camvid-3): the masks hold fine ids, the
            data set has the coarse classes.
        val_share: share of the training images held out for validation where there is no val.
        test_share: share of all images held out for testing where no split at all is given.
        unlabelled: training images without a mask are wanted too, where some have one; else an
            error, as it is for images of val and test.

    Returns:
        The data set.

    Raises:
        FrugalsegError: what is wrong, with the first files concerned and how many there are.
    """
    root = Path(root)
    found = find_samples(root)
    lone = _take_lone(found) if unlabelled else ()
    samples = [sample for split in found.splits.values() for sample in split]
    raise_problems(root, found.problems or size_problems(samples))
    if not samples:
        raise FrugalsegError(f"{root}: there is no image with a mask.")
    class_list = folder_classes(root, samples, classes, ignore, targets, mapping)
    refuse_binary_masks(root, samples, class_list)
    splits = divide(found.splits, seed, val_share, test_share)
    if lone:
        splits["unlabelled"] = lone
    return SegmentationFolder(root, class_list, splits)


def _take_lone(found: Found) -> tuple[Sample, ...]:
    """The training images without a mask, which then are no problem any more."""
    # those of val and test are not to be learned from, and cannot be scored either
    samples = [s for split in ("train", "") for s in found.lone.get(split, [])]
    lone = tuple(sorted(samples, key=lambda sample: sample.image))
    files = {str(sample.image) for sample in lone}
    found.problems = [p for p in found.problems if p.kind != NO_MASK or p.file not in files]
    raise_problems(Path(), size_problems(list(lone)))
    return lone


def refuse_binary_masks(root: Path, samples: Sequence[Sample], classes: ClassList) -> None:
    """Look at some masks for 0 and 255 alone, where 0 and 1 were meant; at all before refusing.

    Raises:
        FrugalsegError: so many are like that that it is a slip, as :class:`BinaryMasks` says.
    """
    if not may_be_slips(classes):
        return
    found = _binary_masks(samples[:: -(-len(samples) // _BINARY_PROBE)])
    if found.slip:  # a few may mislead
        found = _binary_masks(samples)
    if found.slip:
        raise FrugalsegError(f"{root}: {found.sentence()}")


def _binary_masks(samples: Sequence[Sample]) -> BinaryMasks:
    kinds = (kind_of_mask(raw) for raw in _read_raws(samples))
    return BinaryMasks.among(zip((sample.mask for sample in samples), kinds, strict=True))


def _read_raws(samples: Sequence[Sample]) -> Iterator[NDArray[np.integer]]:
    """The masks as they are, read a few at a time in threads."""
    masks = [sample.mask for sample in samples if sample.mask is not None]
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(masks), 16):
            yield from pool.map(read_raw, masks[start : start + 16])


def folder_classes(
    root: Path,
    samples: Sequence[Sample],
    path: Path | str | None,
    ignore: Sequence[str | int],
    targets: Sequence[str] | None,
    mapping: Path | str | None,
) -> ClassList:
    """The class list of a folder: given, found there, or made from the masks."""
    if path is None and (root / "classes.csv").exists():
        path = root / "classes.csv"
    if path is not None:
        classes = read_classes(path, ignore if mapping is None else ())
    elif mapping is None:
        inferred = infer_classes(_ids_only(samples))
        classes = ClassList(inferred.classes, frozenset(ignored_ids(inferred.classes, ignore)))
    else:
        classes = None
    if mapping is not None:
        classes = merge_classes(classes, mapping_path(root, mapping), ignore)
    assert classes is not None
    return classes if targets is None else classes.with_targets(targets)


def _ids_only(samples: Sequence[Sample]) -> Iterator[NDArray[np.integer]]:
    """The masks' ids; colours need a class list."""
    for sample, raw in zip(samples, _read_raws(samples), strict=True):
        assert sample.mask is not None
        yield only_ids(raw, sample.mask)


def hold_out(
    samples: Sequence[Sample], share: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Draw a part of the samples by seed.

    Single images are drawn: where neighbouring ones look alike (frames of a video), give the split
    in a `split.csv` instead, or the part held out is easier than new images are.

    Args:
        samples: at least 2.
        share: of them to hold out, above 0 and below 1; at least one is held out and one stays.
        seed: the same seed and names give the same parts.

    Returns:
        kept, held: both sorted by name.

    Raises:
        FrugalsegError: fewer than 2 samples, or no such share.
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


def divide(
    splits: dict[str, list[Sample]], seed: int, val_share: float, test_share: float
) -> dict[str, tuple[Sample, ...]]:
    """Draw the splits that a folder does not give."""
    result = {name: tuple(samples) for name, samples in splits.items() if name}
    if "" in splits:
        result["train"] = tuple(splits[""])
        if test_share > 0:
            result["train"], result["test"] = hold_out(result["train"], test_share, seed)
    if "train" in result and not result.get("val"):
        result["train"], result["val"] = hold_out(result["train"], val_share, seed)
    return {name: result[name] for name in ("train", "val", "test") if name in result}


def list_images(path: Path | str) -> list[Path]:
    """The images meant by a file, a folder (with its sub-folders) or a pattern, sorted.

    Args:
        path: like `photo.jpg`, `photos/`, `photos/*.jpg` or `photos/**/*.png`.

    Raises:
        FrugalsegError: there is nothing there, or no image among it.
    """
    path = Path(path)
    if path.is_dir():
        require_folder(path)
        images = list(files_below(path, IMAGE_SUFFIXES))
    elif path.exists():
        images = [path]
    else:
        matches = [Path(match) for match in glob(str(path), recursive=True)]  # noqa: PTH207
        images = sorted(m for m in matches if m.is_file() and m.suffix.lower() in IMAGE_SUFFIXES)
        if not matches:
            raise FrugalsegError(f"{path}: there is no such file or folder.")
    if not images:
        raise FrugalsegError(
            f"{path}: no image there (looked for {' '.join(sorted(IMAGE_SUFFIXES))})."
        )
    return images
