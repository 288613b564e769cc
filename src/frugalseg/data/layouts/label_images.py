"""Notice label images that lie among photographs."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from frugalseg.data.image_file import open_image
from frugalseg.data.layouts.listing import normal_name
from frugalseg.data.layouts.pairing import label_of
from frugalseg.data.masks import MASK_SUFFIXES
from frugalseg.errors import FrugalsegError

_GREY = ("1", "L", "P", "I", "I;16", "I;16B")  # modes of label images


def without_labels(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Tell photographs from label images.

    A label image is called like another image and a word for labels (``1_mask.png`` beside
    ``1_sat.jpg``, ``gt_1.png`` beside ``1.jpg``). Or it lies in a folder of nothing but indexed or
    grey images, each of which has the stem of a colour image of another folder.

    Args:
        files: images.

    Returns:
        The photographs and the label images, in the order of the files.
    """
    marked = _marked(files)
    rest = [file for file in files if file not in marked]
    labels = marked | _folders_of_labels(rest)
    return [f for f in rest if f not in labels], [f for f in files if f in labels]


def _marked(files: Sequence[Path]) -> set[Path]:
    """Files whose names say that they are the label images of others."""
    cores = {file: label_of(normal_name(file.stem)) for file in files}
    starts = set()  # all beginnings of other names that end where a word does
    for file, core in cores.items():
        if core is None:
            stem = normal_name(file.stem)
            starts |= {stem[:i] for i, sign in enumerate(stem) if sign in "_-"} | {stem}
    return {
        file
        for file, core in cores.items()
        if core in starts and core is not None and file.suffix.lower() in MASK_SUFFIXES
    }


def _folders_of_labels(files: Sequence[Path]) -> set[Path]:
    """The files of folders that hold label images alone."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    by_stem: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        folders[file.parent].append(file)
        by_stem[normal_name(file.stem)].append(file)
    labels: set[Path] = set()
    for folder, members in folders.items():
        others = [[o for o in by_stem[normal_name(m.stem)] if o.parent != folder] for m in members]
        lossless = all(member.suffix.lower() in MASK_SUFFIXES for member in members)
        if not (lossless and all(others) and all(map(_is_grey, members))):
            continue
        if not any(_is_grey(other[0]) for other in others):
            labels |= set(members)
    return labels


def _is_grey(path: Path) -> bool:
    """Whether an image holds one number a pixel; not if it cannot be read."""
    try:
        with open_image(path) as image:
            return image.mode in _GREY
    except FrugalsegError:
        return False
