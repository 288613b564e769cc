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
)
from frugalseg.data.image_folder import splits_by_name
from frugalseg.data.images import read_image
from frugalseg.data.layout import (
    NO_MASK,
    SPLITS,
    Sample,
    find_pairs,
    plain_files,
    raise_problems,
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
    found = find_pairs(root)
    if found is None:
        return False
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
    _refuse_lacking(root, discovery, samples)
    raise_problems(root, size_problems(samples))
    own = discovery / "classes.csv" if classes is None else classes
    class_list = folder_classes(root, samples, own, ignore, targets, mapping)
    divided = divide(splits, seed, val_share, 0.0)
    return SegmentationFolder(root, class_list, divided, divided_by=discovery)


def _images(root: Path) -> dict[str, list[Path]]:
    """The images of each split, or under ``""`` where no split is given."""
    found = find_pairs(root)
    if found is not None:
        splits = {split: [s.image for s in some] for split, some in found.lone.items() if some}
    else:
        files = plain_files(root)
        numbers, _ = splits_by_name([path.relative_to(root).as_posix() for path in files])
        splits = {split: [files[i] for i in some] for split, some in numbers.items()}
        splits = splits or {"": files}
    # without masks, images of no split are as any others
    rest = [path for split in splits.keys() - set(SPLITS) for path in splits.pop(split)]
    if not splits:
        return {"": sorted(rest)}
    if rest:
        splits["train"] = sorted(splits.get("train", []) + rest)
    return splits


def _refuse_lacking(root: Path, discovery: Path, samples: Sequence[Sample]) -> None:
    """Raise where images have no label image: what cannot be read has none, and is named first."""
    lacking = [s for s in samples if s.mask is None or not s.mask.is_file()]
    if not lacking:
        return
    read_image(lacking[0].image)
    raise FrugalsegError(
        f"{discovery} has no regions of {len(lacking)} of the {len(samples)} images of {root} "
        f"(the first: {lacking[0].image}): give the 'frugalseg discover' command of the whole "
        "folder again, or masks."
    )


def _divided(root: Path, image: Path, labels: Path) -> Sample:
    """An image and its label image, whose name has the image's suffix where that is needed."""
    name = image.relative_to(root).as_posix()
    bare = PurePosixPath(name).with_suffix("").as_posix()
    full = labels / f"{name}.png"
    return Sample(bare, image, full if full.is_file() else labels / f"{bare}.png")
