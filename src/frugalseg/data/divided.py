"""Folders without a single mask, to whose images a discovery has given regions.

The label images of the discovery (``labels/*.png`` and ``classes.csv`` in its folder) then stand
where masks would.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from frugalseg.data.folder import (
    SegmentationFolder,
    divide,
    folder_classes,
    raise_problems,
)
from frugalseg.data.image_folder import splits_by_name
from frugalseg.data.images import IMAGE_SUFFIXES
from frugalseg.data.layout import (
    NO_MASK,
    Sample,
    files_below,
    find_samples,
    is_paired,
    require_folder,
    size_problems,
)
from frugalseg.errors import FrugalsegError


def has_masks(root: Path | str) -> bool:
    """Whether a folder holds masks, or what is meant as such.

    Raises:
        FrugalsegError: the folder is missing, unreadable, or no folder.
    """
    root = Path(root)
    require_folder(root)
    if not is_paired(root):
        return False
    found = find_samples(root)
    others = [problem for problem in found.problems if problem.kind != NO_MASK]
    return any(found.splits.values()) or bool(others)


def open_divided_folder(
    root: Path | str,
    discovery: Path | str,
    classes: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    seed: int = 0,
    targets: Sequence[str] | None = None,
    mapping: Path | str | None = None,
    val_share: float = 0.15,
) -> SegmentationFolder:
    """Open a folder of images with the regions of a discovery in place of masks.

    Args:
        root: a folder of images, flat or nested, or images and empty folders of masks.
        discovery: folder of a discovery that has divided all of them.
        classes: a classes.csv that names the regions by their ids; by default the discovery's.
        ignore, seed, targets, mapping, val_share: as of
            :func:`frugalseg.data.folder.open_folder`; their classes are regions here.

    Returns:
        The data set; its ``divided_by`` says whose regions they are.

    Raises:
        FrugalsegError: there are no images, or some have not been divided.
    """
    root, discovery = Path(root), Path(discovery)
    splits = {
        split: [_divided(root, image, discovery / "labels") for image in images]
        for split, images in _images(root).items()
    }
    samples = [sample for some in splits.values() for sample in some]
    lacking = [s for s in samples if s.mask is None or not s.mask.is_file()]
    if lacking:
        raise FrugalsegError(
            f"{discovery} has no regions of {len(lacking)} of the {len(samples)} images of {root} "
            f"(the first: {lacking[0].image}): give a discovery of this whole folder, or masks."
        )
    raise_problems(root, size_problems(samples))
    own = discovery / "classes.csv" if classes is None else classes
    class_list = folder_classes(root, samples, own, ignore, targets, mapping)
    divided = divide(splits, seed, val_share, 0.0)
    return SegmentationFolder(root, class_list, divided, divided_by=discovery)


def _images(root: Path) -> dict[str, list[Path]]:
    """The images of each split, or under ``""`` where no split is given."""
    if is_paired(root):
        lone = find_samples(root).lone
        return {split: [s.image for s in some] for split, some in lone.items() if some}
    paths = list(files_below(root, IMAGE_SUFFIXES))
    if not paths:
        raise FrugalsegError(f"{root}: there is no image in it or below it.")
    numbers, _ = splits_by_name([path.relative_to(root).as_posix() for path in paths])
    if not numbers:
        return {"": paths}
    splits: dict[str, list[Path]] = {}
    for split, some in numbers.items():  # without masks, unlabelled images are as any others
        key = "train" if split == "unlabelled" else split
        splits.setdefault(key, []).extend(paths[i] for i in some)
    return {split: sorted(some) for split, some in splits.items()}


def _divided(root: Path, image: Path, labels: Path) -> Sample:
    """An image and its label image, whose name has the image's suffix where that is needed."""
    name = image.relative_to(root).as_posix()
    bare = PurePosixPath(name).with_suffix("").as_posix()
    full = labels / f"{name}.png"
    return Sample(bare, image, full if full.is_file() else labels / f"{bare}.png")
