"""Count the pixels of each id in masks; infer class lists and small or thin classes from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.class_lists.classes import (
    IGNORE_INDEX,
    MAX_CLASSES,
    MAX_ID,
    ClassList,
    SegmentationClass,
    ignored_ids,
    refuse_outside,
)
from frugalseg.data.class_lists.palette import distinct_colours
from frugalseg.data.image_file import Remark
from frugalseg.errors import FrugalsegError

ONLY_BINARY = (
    "The masks hold only 0 and 255, and 255 is ignored. Save the object as 1, or list it with id "
    "255 in classes.csv."
)

# Set on street scenes, leaves, facades and car parts whose targets are known.
LARGEST_SHARE = 0.06  # of all pixels
LARGEST_WIDTH = 0.085  # of the image's side (the square root of its area)


@dataclass(frozen=True)
class MaskStatistics:
    """What one mask holds.

    Attributes:
        content: what it holds beside 0, as :func:`mask_content` says; None if not determined.
        ids: (n,) ids that occur in it, ascending; of the mask itself, or indices of a class list.
        area: (n,) pixels of each id.
        edge: (n,) those of these pixels that touch another id.
        remark: what was guessed to read it, if anything.
    """

    content: str | None
    ids: NDArray[np.int64]
    area: NDArray[np.int64]
    edge: NDArray[np.int64]
    remark: Remark | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels of the mask."""
        return int(self.area.sum())

    def encoded(self, classes: ClassList) -> "MaskStatistics":
        """The same by class index, for a list that merges only ignored ids."""
        indices = classes.encode(self.ids).astype(np.int64)
        area, edge = sum_statistics([MaskStatistics(None, indices, self.area, self.edge)], 256)
        present = np.flatnonzero(area)
        return MaskStatistics(self.content, present, area[present], edge[present], self.remark)


def count_ids(
    ids: NDArray[np.integer], content: str | None = None, remark: Remark | None = None
) -> MaskStatistics:
    """Count the ids of a mask, or its class indices.

    Args:
        ids: (H, W), from 0 to 65535.
        content: what :func:`mask_content` says of the mask; determined by default.
        remark: what was guessed to read it.

    Raises:
        FrugalsegError: an id is below 0 or above 65535.
    """
    refuse_outside(ids)
    whole = ids.astype(np.uint8) if ids.dtype == np.bool_ else ids
    area, edge = area_and_edge(whole, 256 if whole.dtype == np.uint8 else MAX_ID + 1)
    present = np.flatnonzero(area)
    content = mask_content(present) if content is None else content
    return MaskStatistics(content, present, area[present], edge[present], remark)


def sum_statistics(
    masks: Iterable[MaskStatistics], num_ids: int = MAX_ID + 1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(num_ids,) pixels of each id in all masks, and (num_ids,) those that touch another id."""
    area, edge = np.zeros(num_ids, np.int64), np.zeros(num_ids, np.int64)
    for mask in masks:
        np.add.at(area, mask.ids, mask.area)
        np.add.at(edge, mask.ids, mask.edge)
    return area, edge


def mask_content(raw: NDArray[np.integer]) -> str:
    """Name what a mask holds beside 0.

    Args:
        raw: a mask as `read_raw` reads it, or the ids that occur in one.

    Returns:
        "binary": 0 and 255; "blank": only 255; "void": 255 and an id other than 0; "plain": ids
        without 255; "empty": only 0; "colours".
    """
    if raw.ndim == 3:
        return "colours"
    if raw.dtype == np.uint8:
        ids = set(np.flatnonzero(np.bincount(raw.ravel(), minlength=256)).tolist())
    else:
        ids = set(np.unique(raw).tolist())
    if ids - {0, IGNORE_INDEX}:
        return "void" if IGNORE_INDEX in ids else "plain"
    if IGNORE_INDEX in ids:
        return "binary" if 0 in ids else "blank"
    return "empty"


def infer_classes(
    masks: Sequence[MaskStatistics],
    ignore: Sequence[str | int] = (),
    targets: Sequence[str] | None = None,
) -> ClassList:
    """Make a class list from the ids that masks hold; small and thin classes become targets.

    Args:
        masks: the ids of each, as :func:`count_ids` counts them.
        ignore: names or ids of classes to leave out.
        targets: names of the targets, in place of small and thin classes.

    Returns:
        Classes named class_0, class_1, ... by id; 255 is ignored.

    Raises:
        FrugalsegError: there is no mask, no id but 255, too many ids, or only 0 and 255; or a name
            is not among the classes.
    """
    area, edge = sum_statistics(masks)
    ids = np.flatnonzero(area)
    if {int(i) for i in ids} in ({0, IGNORE_INDEX}, {IGNORE_INDEX}):
        raise FrugalsegError(ONLY_BINARY)
    ids = ids[ids != IGNORE_INDEX]
    if not 1 <= len(ids) <= MAX_CLASSES:
        raise FrugalsegError(
            f"The masks hold {len(ids)} different ids (from 1 to {MAX_CLASSES} are possible). "
            "Masks must be PNG files that hold the class id of each pixel."
            + "".join(f" {hint}" for hint in instance_hint(masks))
        )
    pixels, side = float(area.sum()), float(np.mean([mask.pixels**0.5 for mask in masks]))
    listed = tuple(
        SegmentationClass(
            f"class_{id_}",
            int(id_),
            colour,
            small_or_thin(float(area[id_]), float(edge[id_]), pixels, side) is not None,
        )
        for id_, colour in zip(ids, distinct_colours(len(ids)), strict=True)
    )
    classes = ClassList(listed, frozenset(ignored_ids(listed, ignore)))
    return classes if targets is None else classes.with_targets(targets)


def instance_hint(masks: Sequence[MaskStatistics]) -> list[str]:
    """A sentence if ids seem to number objects, each of which would become a class of its own.

    That is class * base + number, the numbers of a class without gaps from 0 or 1; or numbers
    without gaps in each mask, not the same in all, and altogether many or with gaps.

    Args:
        masks: the ids of each, as :func:`count_ids` counts them.
    """
    each = [mask.ids[mask.ids > 0].tolist() for mask in masks]
    # among ids above 255, 255 is an object
    each = [[i for i in ids if i != IGNORE_INDEX or ids[-1] > i] for ids in each if ids]
    each = [ids for ids in each if ids]
    every = sorted({i for ids in each for i in ids})
    for base in (1000, 256) if every and not (every[0] < 256 and _run(every)) else ():
        numbers: dict[int, list[int]] = {}
        for id_ in every:
            if id_ >= base:
                numbers.setdefault(id_ // base, []).append(id_ % base)
        objects = [c * base + k for c, several in numbers.items() for k in several]
        if len(objects) > len(numbers) and all(_run(ks) and ks[0] < 2 for ks in numbers.values()):
            listed = ", ".join(map(str, objects[:3]))
            return [
                f"The ids {listed}{', ...' * (len(objects) > 3)} look like numbers of objects, "
                f"class * {base} + number: each would be a class of its own. Save the classes: "
                f"divide these ids by {base} and round down."
            ]
    several = [ids for ids in each if len(ids) > 1]
    too_many = len(every) > MAX_CLASSES
    differ = too_many or (len({ids[-1] for ids in each}) > 1 and len(several) > 3)
    many = len(every) > 9 or (len(every) > 1 and not _run(every))
    if differ and many and len(several) > 0.7 * len(each) and all(map(_run, several)):
        return [
            f"The ids {every[0]} to {every[-1]} look like numbers of objects, since each mask "
            "holds some without gaps: each would be a class of its own. Save the class of each "
            "object, such as 1 for all."
        ]
    return []


def _run(ids: Sequence[int]) -> bool:
    """Whether ascending ids follow each other without gaps."""
    return ids[-1] - ids[0] == len(ids) - 1


def area_and_edge(
    ids: NDArray[np.integer], num_ids: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels of each id, and those of them that touch another id.

    Args:
        ids: (H, W) whole numbers from 0 to `num_ids` - 1.
        num_ids: length of the results.

    Returns:
        area: (num_ids,) pixels of each id.
        edge: (num_ids,) pixels of each id with another id to the left, right, above or below.
    """
    edge = np.zeros(ids.shape, bool)
    beside = ids[:, 1:] != ids[:, :-1]
    above = ids[1:] != ids[:-1]
    edge[:, 1:] |= beside
    edge[:, :-1] |= beside
    edge[1:] |= above
    edge[:-1] |= above
    area = np.bincount(ids.ravel(), minlength=num_ids)
    return area, np.bincount(ids[edge], minlength=num_ids)


def only_at_edges(area: NDArray[np.int64], edge: NDArray[np.int64]) -> int:
    """Count the ids that look like values between two others, as smoothing produces them.

    Such an id is rare (under 1 % of the pixels), and 9 of 10 of its pixels touch another id.

    Args:
        area: (n,) pixels of each id.
        edge: (n,) those of them that touch another id.

    Returns:
        Their number if there are at least 8 and they are more than half of the ids that occur; else
        0, since a few such ids may be classes of thin or tiny things.
    """
    between = (area > 0) & (area < 0.01 * area.sum()) & (edge >= 0.9 * area)
    count = int(between.sum())
    return count if count >= 8 and 2 * count > (area > 0).sum() else 0


def small_or_thin(area: float, edge: float, pixels: float, side: float) -> str | None:
    """Say why a class looks like a target, or None if it does not.

    A strip `w` pixels wide has two edge pixels for every `w` pixels of its area, so twice the area
    divided by the edge is its width; for a disc this gives half the diameter.

    Args:
        area: pixels of the class in all images.
        edge: those of them that touch another class.
        pixels: all pixels of all images.
        side: mean of the images' sides in pixels (square root of height times width).

    Returns:
        A few words with both numbers, or None if the class is large, wide or absent.
    """
    if area == 0 or edge == 0 or pixels == 0:
        return None
    share, width = area / pixels, 2 * area / edge
    if share > LARGEST_SHARE or width > LARGEST_WIDTH * side:
        return None
    return f"{100 * share:.2f} % of the pixels, about {width:.0f} pixels wide"
