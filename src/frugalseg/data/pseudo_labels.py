"""Open a folder that has no masks, with the regions of a discovery as pseudo labels.

The label images of the discovery (``labels/*.png`` and ``classes.csv`` in its folder) are used as
masks.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from frugalseg.data.class_lists.mapping import declared_classes
from frugalseg.data.headers import read_sizes
from frugalseg.data.image_mask_folder import ImageMaskFolder, draw_splits
from frugalseg.data.images import read_image, say_remarks
from frugalseg.data.layouts.layout import find_images, match_masks
from frugalseg.data.layouts.samples import NO_MASK, Sample, raise_problems
from frugalseg.data.layouts.splits import SPLITS, splits_by_name
from frugalseg.errors import FrugalsegError


def has_masks(root: Path | str) -> bool:
    """Whether a folder holds masks, or files that are meant to be masks.

    Raises:
        FrugalsegError: the folder is missing, unreadable, not a folder, or has no image.
    """
    contents = find_images(Path(root))
    return bool(contents.paired) or any(problem.kind != NO_MASK for problem in contents.problems)


def open_pseudo_labelled_folder(
    root: Path | str,
    discovery: Path | str,
    classes: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    seed: int = 0,
    targets: Sequence[str] | None = None,
    mapping: Path | str | None = None,
    val_share: float = 0.15,
) -> ImageMaskFolder:
    """Open a folder of images with the regions of a discovery as masks.

    Args:
        root: a folder of images, flat or nested, or images and empty folders of masks.
        discovery: folder of a discovery that has divided all these images into regions.
        classes: a classes.csv that names the regions by their ids; by default the discovery's.
        ignore, seed, targets, mapping, val_share: see
            :func:`frugalseg.data.image_mask_folder.open_folder`; the classes are regions here.

    Returns:
        The data set; its ``pseudo_labels`` is the discovery.

    Raises:
        FrugalsegError: there are no images, or some have no regions.
    """
    root, discovery = Path(root), Path(discovery)
    splits = {
        split: match_masks(root, samples, discovery / "labels")
        for split, samples in _samples(root).items()
    }
    samples = [sample for part in splits.values() for sample in part]
    _refuse_lacking(root, discovery, samples)
    sizes, problems, remarks = read_sizes(samples)
    raise_problems(root, problems)
    say_remarks(remarks)
    own = discovery / "classes.csv" if classes is None else classes
    class_list = declared_classes(root, own, ignore, targets, mapping)
    drawn = draw_splits(splits, seed, val_share, 0.0)
    return ImageMaskFolder(root, drawn, class_list, sizes, pseudo_labels=discovery)


def _samples(root: Path) -> dict[str, list[Sample]]:
    """The images of each split, or under ``""`` if no split is given."""
    contents = find_images(root)
    splits = {split: part for split, part in contents.lone.items() if part}
    if not contents.has_layout:
        images = splits[""]
        numbers, _ = splits_by_name([sample.name for sample in images])
        splits = {split: [images[i] for i in part] for split, part in numbers.items()} or splits
    # since there are no masks, images outside the splits can be used for training too
    rest = [sample for split in splits.keys() - set(SPLITS) for sample in splits.pop(split)]
    if rest:
        name = "train" if splits else ""
        splits[name] = sorted([*splits.get(name, []), *rest], key=lambda sample: sample.image)
    # named by paths below the folder, since names may be the same in different splits
    return {
        split: [replace(s, name=s.image.relative_to(root).with_suffix("").as_posix()) for s in part]
        for split, part in splits.items()
    }


def _refuse_lacking(root: Path, discovery: Path, samples: Sequence[Sample]) -> None:
    """Refuse images without a label image, with the reason if the first of them is unreadable."""
    lacking = [sample for sample in samples if sample.mask is None]
    if not lacking:
        return
    read_image(lacking[0].image)
    raise FrugalsegError(
        f"{discovery} has no regions of {len(lacking)} of the {len(samples)} images of {root} "
        f"(the first: {lacking[0].image}): give the 'frugalseg discover' command of the whole "
        "folder again, or masks."
    )
