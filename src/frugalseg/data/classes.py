"""The class list of a data set: names, ids, colours, targets, and what is ignored."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data._tables import read_table
from frugalseg.data.colours import Colour, distinct_colours
from frugalseg.data.strange_ids import (
    MAX_ID,
    outside,
    refuse_outside,
    unknown_colours,
    unknown_ids,
)
from frugalseg.data.targets import area_and_edge, small_or_thin
from frugalseg.errors import FrugalsegError
from frugalseg.files import replacing

IGNORE_INDEX = 255
MAX_CLASSES = 254  # index 254 marks ids that are in no list, 255 is ignored
ONLY_BINARY = (
    "The masks hold only 0 and 255, and 255 is ignored. Save the object as 1, or list it with id "
    "255 in classes.csv."
)
_UNKNOWN = 254
_IGNORED_NAMES = {"void", "ignore", "ignored"}
_COLUMNS = ("name", "id", "colour", "target")


@dataclass(frozen=True)
class SegmentationClass:
    """One class: its name, its id in the masks, its colour, and whether one mainly looks for it."""

    name: str
    id: int
    colour: Colour
    target: bool = False


@dataclass(frozen=True)
class FineClass:
    """An id that masks hold and that is merged into a coarser class (None: ignored)."""

    id: int
    into: int | None
    colour: Colour | None = None


@dataclass(frozen=True)
class ClassList:
    """The classes of a data set in their order.

    Networks and scores use indices: the position of a class among those that are not ignored.
    Masks and label images use ids. 255 is ignored in both, except where 255 is a class's id.

    Args:
        classes: all classes, also ignored ones.
        ignored_ids: ids left out of training and scoring, whether listed as a class or not.
        fine: where masks hold finer ids than these classes: what each is merged into. Masks are
            then read by these ids alone.
    """

    classes: tuple[SegmentationClass, ...]
    ignored_ids: frozenset[int] = frozenset()
    fine: tuple[FineClass, ...] = ()

    def __post_init__(self) -> None:
        for what, values in (
            ("name", [c.name for c in self.classes]),
            ("id", [str(c.id) for c in self.classes]),
            ("colour", [str(c.colour) for c in self.classes]),
        ):
            doubles = sorted({v for v in values if values.count(v) > 1})
            if doubles:
                raise FrugalsegError(
                    f"The class list has the {what} {doubles[0]} twice. Each class needs its own."
                )
        if not self.scored:
            raise FrugalsegError("The class list has no class that is not ignored. Add one.")
        if self.num_classes > MAX_CLASSES:
            raise FrugalsegError(
                f"The class list has {self.num_classes} classes; at most {MAX_CLASSES} are "
                "possible. Merge some (mapping.csv)."
            )

    @cached_property
    def scored(self) -> tuple[SegmentationClass, ...]:
        """The classes that are trained and scored, by index."""
        return tuple(c for c in self.classes if c.id not in self.ignored_ids)

    @property
    def num_classes(self) -> int:
        """How many classes are trained and scored."""
        return len(self.scored)

    @property
    def names(self) -> tuple[str, ...]:
        """Names by index."""
        return tuple(c.name for c in self.scored)

    @property
    def targets(self) -> list[int]:
        """Indices of the target classes."""
        return [index for index, c in enumerate(self.scored) if c.target]

    @property
    def colours(self) -> NDArray[np.uint8]:
        """(num_classes, 3) red, green, blue by index."""
        return np.array([c.colour for c in self.scored], np.uint8)

    @cached_property
    def _index_of_raw_id(self) -> NDArray[np.uint8]:
        """(65536,) the index of each id that a mask may hold."""
        index: dict[int | None, int] = {c.id: i for i, c in enumerate(self.scored)}
        table = np.full(MAX_ID + 1, _UNKNOWN, np.uint8)
        table[IGNORE_INDEX] = IGNORE_INDEX
        if self.fine:
            for fine in self.fine:
                table[fine.id] = index.get(fine.into, IGNORE_INDEX)
        else:
            table[list(self.ignored_ids)] = IGNORE_INDEX
            for i, c in enumerate(self.scored):
                table[c.id] = i
        return table

    @cached_property
    def _index_of_colour(self) -> NDArray[np.uint8]:
        """(2**24,) the index of each colour that a mask may hold, 16 MB, made when needed."""
        table = np.full(1 << 24, _UNKNOWN, np.uint8)
        known: Sequence[SegmentationClass | FineClass] = self.fine or self.classes
        for c in known:
            if c.colour is not None:
                red, green, blue = c.colour
                table[red << 16 | green << 8 | blue] = self._index_of_raw_id[c.id]
        return table

    def encode(self, raw: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Turn the ids of a mask into indices.

        Args:
            raw: ids of any shape.

        Returns:
            Indices of the same shape; 255 where the id is ignored.

        Raises:
            FrugalsegError: an id that is not in the list (which, and how many pixels of it).
        """
        if raw.dtype == np.bool_:
            raw = raw.astype(np.uint8)
        if raw.dtype == np.uint8:
            # bytes.translate is ten times faster than indexing
            coded = raw.tobytes().translate(self._index_of_raw_id[:256].tobytes())
            indices = np.frombuffer(bytearray(coded), np.uint8).reshape(raw.shape)
        else:
            strange = outside(raw)
            indices = self._index_of_raw_id[np.where(strange, 0, raw)]
            indices[strange] = _UNKNOWN
        unknown = indices == _UNKNOWN
        if unknown.any():
            raise FrugalsegError(unknown_ids(raw[unknown]))
        return indices

    def encode_colours(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn the colours of a mask into indices.

        Args:
            rgb: (H, W, 3) colours of the list.

        Returns:
            (H, W) indices; 255 where the colour's class is ignored.

        Raises:
            FrugalsegError: a colour that is not in the list (which, and how many pixels of it).
        """
        packed = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        indices = self._index_of_colour[packed]
        unknown = indices == _UNKNOWN
        if unknown.any():
            raise FrugalsegError(unknown_colours(packed[unknown]))
        return indices

    def decode(self, indices: NDArray[np.integer]) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Turn indices into ids.

        Args:
            indices: any shape; 0 to num_classes - 1, or 255 (ignored), which stays 255.

        Returns:
            Ids of the same shape, 16-bit where an id of the list is above 255.
        """
        ids = np.array([c.id for c in self.scored])
        table = np.full(256, IGNORE_INDEX, np.uint8 if ids.max() < 256 else np.uint16)
        table[: len(ids)] = ids
        wrong = (indices >= len(ids)) & (indices != IGNORE_INDEX)
        if wrong.any():
            raise ValueError(f"index {indices[wrong][0]} of {len(ids)} classes")
        ids_there: NDArray[np.uint8] | NDArray[np.uint16] = table[indices]
        return ids_there

    def with_targets(self, names: Iterable[str]) -> "ClassList":
        """The same list with exactly these classes as targets.

        Raises:
            FrugalsegError: a name that is not in the list, or that is ignored.
        """
        names = set(names)
        unknown = sorted(names - set(self.names))
        if unknown:
            raise FrugalsegError(
                f"The target class {unknown[0]!r} is not among the classes: "
                f"{', '.join(self.names)}."
            )
        return replace(
            self, classes=tuple(replace(c, target=c.name in names) for c in self.classes)
        )


def read_classes(path: Path | str, ignore: Sequence[str | int] = ()) -> ClassList:
    """Read a classes.csv with the columns name, id, colour (#rrggbb), target (yes, no or ignore).

    Args:
        path: the file.
        ignore: names or ids left out of training and scoring, beside those that the file marks
            and those named void, ignore or ignored.

    Raises:
        FrugalsegError: what is wrong in which line.
    """
    path = Path(path)
    rows = read_table(path, _COLUMNS)
    classes: list[SegmentationClass] = []
    ignored: set[int] = set()
    for line, row in rows:
        try:
            parsed, is_ignored = _parse_class(row, classes)
        except FrugalsegError as error:
            raise FrugalsegError(f"{path}, line {line}: {error}") from None
        classes.append(parsed)
        if is_ignored:
            ignored.add(parsed.id)
    if not classes:
        raise FrugalsegError(f"{path}: the class list is empty. Add a line for each class.")
    return ClassList(tuple(classes), frozenset(ignored | ignored_ids(classes, ignore)))


def ignored_ids(classes: Sequence[SegmentationClass], ignore: Sequence[str | int]) -> set[int]:
    """The ids meant by names or ids; an id may be one that is not listed, a name may not."""
    ids = {c.name: c.id for c in classes}
    found = set()
    for entry in ignore:
        if entry in ids:
            found.add(ids[str(entry)])
        elif str(entry).isdecimal() and int(entry) <= MAX_ID:
            found.add(int(entry))
        else:
            raise FrugalsegError(
                f"The class to ignore, {entry!r}, is not among the classes: {', '.join(ids)}."
            )
    return found


def _parse_class(
    row: dict[str, str], before: Sequence[SegmentationClass]
) -> tuple[SegmentationClass, bool]:
    """One line of classes.csv, and whether the class is ignored."""
    name, id_, colour, target = (row[column] for column in _COLUMNS)
    if not name:
        raise FrugalsegError("the class has no name.")
    if not id_.isdecimal() or int(id_) > MAX_ID:
        raise FrugalsegError(f"the id {id_!r} is not a whole number from 0 to {MAX_ID}.")
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise FrugalsegError(f"the colour {colour!r} is not of the form #rrggbb (like #ff8000).")
    if target.lower() not in ("yes", "no", "ignore"):
        raise FrugalsegError(f"target is {target!r}; it must be yes, no or ignore.")
    rgb = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    for other in before:
        for what, same, value in (
            ("name", other.name == name, name),
            ("id", other.id == int(id_), id_),
            ("colour", other.colour == rgb, colour),
        ):
            if same:
                raise FrugalsegError(
                    f"the {what} {value} is that of class {other.name!r} already. "
                    "Each class needs its own."
                )
    ignored = target.lower() == "ignore" or name.lower() in _IGNORED_NAMES
    return SegmentationClass(name, int(id_), rgb, target.lower() == "yes"), ignored


def write_classes(classes: ClassList, path: Path | str) -> None:
    """Write a classes.csv that `read_classes` reads again.

    Ids that are ignored without being a class are written as classes of their own.
    """
    rows = list(classes.classes)
    listed = {c.id for c in rows}
    used = {c.colour for c in rows}
    free = [colour for colour in distinct_colours(512) if colour not in used]
    for id_ in sorted(classes.ignored_ids - listed - {IGNORE_INDEX}):
        rows.append(SegmentationClass(f"ignored_{id_}", id_, free.pop()))
    with (
        replacing(Path(path)) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for c in rows:
            target = "ignore" if c.id in classes.ignored_ids else "yes" if c.target else "no"
            writer.writerow([c.name, c.id, "#{:02x}{:02x}{:02x}".format(*c.colour), target])


def infer_classes(masks: Iterable[NDArray[np.integer]]) -> ClassList:
    """Make a class list from the ids that masks hold; small and thin classes become targets.

    Args:
        masks: ids of each mask, (H, W); `read_raw` gives them.

    Returns:
        Classes named class_0, class_1, ... by id; 255 is ignored.

    Raises:
        FrugalsegError: no mask, no id but 255, too many ids, one outside 0 to 65535, or 0 and
            255 alone.
    """
    area = np.zeros(MAX_ID + 1, np.int64)
    edge = np.zeros(MAX_ID + 1, np.int64)
    sides = []
    for raw in masks:
        ids = raw.astype(np.uint8) if raw.dtype == np.bool_ else raw
        refuse_outside(ids)
        size = 256 if ids.dtype == np.uint8 else MAX_ID + 1
        one_area, one_edge = area_and_edge(ids, size)
        area[:size] += one_area
        edge[:size] += one_edge
        sides.append(ids.size**0.5)
    found = np.flatnonzero(area)
    refuse_binary(found)
    found = found[found != IGNORE_INDEX]
    if not 1 <= len(found) <= MAX_CLASSES:
        raise FrugalsegError(
            f"The masks hold {len(found)} different ids (from 1 to {MAX_CLASSES} are possible). "
            "Masks must be PNG files that hold the class id of each pixel."
        )
    pixels, side = float(area.sum()), float(np.mean(sides))
    classes = [
        SegmentationClass(
            f"class_{id_}",
            int(id_),
            colour,
            small_or_thin(float(area[id_]), float(edge[id_]), pixels, side) is not None,
        )
        for id_, colour in zip(found, distinct_colours(len(found)), strict=True)
    ]
    return ClassList(tuple(classes))


def refuse_binary(ids: NDArray[np.integer]) -> None:
    """Refuse masks of 0 and 255 alone: 255 would be ignored, and 1 was meant.

    Args:
        ids: all ids that the masks hold.

    Raises:
        FrugalsegError: there is nothing but 255, or but 0 and 255.
    """
    if {int(i) for i in ids} in ({0, IGNORE_INDEX}, {IGNORE_INDEX}):
        raise FrugalsegError(ONLY_BINARY)
