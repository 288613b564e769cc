"""The class list of a data set: names, ids, colours, targets, and what is ignored."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import log
from frugalseg.data.class_lists.files import COLUMNS, class_rows
from frugalseg.data.class_lists.palette import Colour, distinct_colours
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_csv

IGNORE_INDEX = 255
MAX_CLASSES = 254
MAX_ID = 65535
UNKNOWN = 254  # marks ids and colours that are in no list
IGNORED_NAMES = {"void", "ignore", "ignored"}


@dataclass(frozen=True)
class SegmentationClass:
    """One class: its name, its id in the masks, its colour, and whether it is a target."""

    name: str
    id: int
    colour: Colour
    target: bool = False


@dataclass(frozen=True)
class FineClass:
    """An id in the masks that is merged into a coarser class (None: ignored)."""

    id: int
    into: int | None
    colour: Colour | None = None


@dataclass(frozen=True)
class ClassList:
    """The classes of a data set in their order.

    Networks and scores use indices: the position of a class among those that are not ignored.
    Masks and label images use ids. 255 is ignored in both, unless 255 is a class's id.

    Args:
        classes: all classes, also ignored ones.
        ignored_ids: ids left out of training and scoring, whether listed as a class or not.
        fine: the class that each id is merged into, if masks hold finer ids than these classes.
            Masks are then read by these ids alone.
    """

    classes: tuple[SegmentationClass, ...]
    ignored_ids: frozenset[int] = frozenset()
    fine: tuple[FineClass, ...] = ()

    def __post_init__(self) -> None:
        for field, values in (
            ("name", [c.name for c in self.classes]),
            ("id", [str(c.id) for c in self.classes]),
            ("colour", [str(c.colour) for c in self.classes]),
        ):
            doubles = sorted({v for v in values if values.count(v) > 1})
            if doubles:
                raise FrugalsegError(
                    f"The class list has the {field} {doubles[0]} twice. Each class needs its own."
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
        """Number of classes that are trained and scored."""
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
        table = np.full(MAX_ID + 1, UNKNOWN, np.uint8)
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
    def ids_of_colours(self) -> dict[Colour, int]:
        """The id that each listed colour has in masks."""
        known: Sequence[SegmentationClass | FineClass] = self.fine or self.classes
        return {c.colour: c.id for c in known if c.colour is not None}

    def knows(self, ids: NDArray[np.integer]) -> bool:
        """Whether masks may hold all of these ids, from 0 to 65535."""
        return not (self._index_of_raw_id[ids] == UNKNOWN).any()

    @cached_property
    def _index_of_colour(self) -> NDArray[np.uint8]:
        """(2**24,) the index of each colour that a mask may hold, 16 MB, made when needed."""
        table = np.full(1 << 24, UNKNOWN, np.uint8)
        for (red, green, blue), id_ in self.ids_of_colours.items():
            table[red << 16 | green << 8 | blue] = self._index_of_raw_id[id_]
        return table

    def encode(self, raw: NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Turn the ids of a mask into indices.

        Args:
            raw: ids of any shape.

        Returns:
            Indices of the same shape; 255 where the id is ignored.

        Raises:
            FrugalsegError: an id is not in the list (which one, and on how many pixels).
        """
        if raw.dtype == np.bool_:
            raw = raw.astype(np.uint8)
        if raw.dtype == np.uint8:
            # bytes.translate is ten times faster than indexing
            coded = raw.tobytes().translate(self._index_of_raw_id[:256].tobytes())
            indices = np.frombuffer(bytearray(coded), np.uint8).reshape(raw.shape)
        else:
            refuse_outside(raw)
            indices = self._index_of_raw_id[raw]
        unknown = indices == UNKNOWN
        if unknown.any():
            listed, number = _list_ids(raw[unknown])
            hint = (
                "The mask may have been scaled, smoothed or saved as JPEG"
                if number > 5
                else "Add it to classes.csv, or ignore it"
            )
            raise FrugalsegError(f"id {listed} is not in the class list. {hint}.")
        return indices

    def encode_colours(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn the colours of a mask into indices.

        Args:
            rgb: (H, W, 3) colours of the list.

        Returns:
            (H, W) indices; 255 where the colour's class is ignored.

        Raises:
            FrugalsegError: a colour is not in the list (which one, and on how many pixels).
        """
        indices = self.index_colours(rgb)
        unknown = indices == UNKNOWN
        if unknown.any():
            values, counts = np.unique(_packed(rgb[unknown]), return_counts=True)
            order = np.argsort(-counts, kind="stable")[:3]
            listed = ", ".join(f"#{values[i]:06x} ({counts[i]} pixels)" for i in order)
            more = f" and {len(values) - 3} more" if len(values) > 3 else ""
            raise FrugalsegError(
                f"colour {listed}{more} is not in the class list. Add it to classes.csv, "
                "or save masks without smoothing and not as JPEG."
            )
        return indices

    def index_colours(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Indices of colours like :meth:`encode_colours`, but 254 for colours not in the list."""
        indices: NDArray[np.uint8] = self._index_of_colour[_packed(rgb)]
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
        decoded: NDArray[np.uint8] | NDArray[np.uint16] = table[indices]
        return decoded

    def with_targets(self, names: Iterable[str]) -> "ClassList":
        """The same list with exactly these classes as targets.

        Raises:
            FrugalsegError: a name is not in the list, or is ignored.
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

    What the file does not say is filled in, and logged.

    Args:
        path: the file, or a class list of another tool, see
            :func:`frugalseg.data.class_lists.files.class_rows`.
        ignore: names or ids left out of training and scoring, in addition to those that the file
            marks and those named void, ignore or ignored.

    Raises:
        FrugalsegError: a line is wrong (which one, and how).
    """
    path = Path(path)
    rows, notes = class_rows(path)
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
    for note in notes:
        log.info(note)
    return ClassList(tuple(classes), frozenset(ignored | ignored_ids(classes, ignore)))


def ignored_ids(classes: Sequence[SegmentationClass], ignore: Sequence[str | int]) -> set[int]:
    """The ids of names or ids to ignore; an id need not be among the classes, a name must be."""
    ids = {c.name: c.id for c in classes}
    ignored = set()
    for entry in ignore:
        if entry in ids:
            ignored.add(ids[str(entry)])
        elif (id_ := parse_id(str(entry))) is not None:
            ignored.add(id_)
        else:
            raise FrugalsegError(
                f"The class to ignore, {entry!r}, is not among the classes: {', '.join(ids)}."
            )
    return ignored


def parse_id(text: str) -> int | None:
    """The id that a text writes; None if it is not a whole number from 0 to 65535."""
    # int refuses thousands of digits
    id_ = int(text) if re.fullmatch(r"0*\d{1,5}", text) and len(text) < 99 else MAX_ID + 1
    return id_ if id_ <= MAX_ID else None


def _parse_class(
    row: dict[str, str], before: Sequence[SegmentationClass]
) -> tuple[SegmentationClass, bool]:
    """One line of classes.csv, and whether the class is ignored."""
    name, written, colour, target = (row[column] for column in COLUMNS)
    id_ = parse_id(written)
    if not name:
        raise FrugalsegError("the class has no name.")
    if id_ is None:
        shown = written if len(written) < 20 else f"{written[:20]}..."
        raise FrugalsegError(f"the id {shown!r} is not a whole number from 0 to {MAX_ID}.")
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise FrugalsegError(f"the colour {colour!r} is not of the form #rrggbb (like #ff8000).")
    if target.lower() not in ("yes", "no", "ignore"):
        raise FrugalsegError(f"target is {target!r}; it must be yes, no or ignore.")
    rgb = (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))
    for other in before:
        for field, same, value in (
            ("name", other.name == name, name),
            ("id", other.id == id_, written),
            ("colour", other.colour == rgb, colour),
        ):
            if same:
                raise FrugalsegError(
                    f"the {field} {value} is that of class {other.name!r} already. "
                    "Each class needs its own."
                )
    ignored = target.lower() == "ignore" or name.lower() in IGNORED_NAMES
    return SegmentationClass(name, id_, rgb, target.lower() == "yes"), ignored


def write_classes(classes: ClassList, path: Path | str) -> None:
    """Write a classes.csv that `read_classes` can read.

    Ignored ids that are not a class are written as classes of their own.
    """
    listed = list(classes.classes)
    used = {c.colour for c in listed}
    free = [colour for colour in distinct_colours(512) if colour not in used]
    for id_ in sorted(classes.ignored_ids - {c.id for c in listed} - {IGNORE_INDEX}):
        listed.append(SegmentationClass(f"ignored_{id_}", id_, free.pop()))
    rows: list[Sequence[Any]] = [COLUMNS]
    for c in listed:
        target = "ignore" if c.id in classes.ignored_ids else "yes" if c.target else "no"
        rows.append((c.name, c.id, "#{:02x}{:02x}{:02x}".format(*c.colour), target))
    write_csv(rows, path)


def lack_of_classes(names: Sequence[str], areas: Iterable[float], masks: str) -> str | None:
    """What is wrong if fewer than two classes occur in masks; None if there are two or more.

    Args:
        names: of the classes.
        areas: pixels of each class, or its share.
        masks: which masks, for the sentence.
    """
    present = [name for name, area in zip(names, areas, strict=True) if area]
    if not present:
        return f"no pixel of {masks} has a class."
    if len(present) > 1:
        return None
    return (
        f"all pixels of {masks} that are not ignored are {present[0]}, so there is nothing to tell "
        "apart: give the background, or whatever else the images show, an id of its own in the "
        "masks, and do not ignore it (255 is ignored)."
    )


def refuse_outside(ids: NDArray[Any]) -> None:
    """Refuse ids that no class can have, below 0 or above 65535; 32-bit masks may hold such ids.

    Raises:
        FrugalsegError: there are such ids (which ones, and on how many pixels).
    """
    if ids.size and (ids.min() < 0 or ids.max() > MAX_ID):
        listed, _ = _list_ids(ids[(ids < 0) | (ids > MAX_ID)])
        raise FrugalsegError(
            f"id {listed} is not from 0 to {MAX_ID}. Save the mask with such ids, "
            "255 where a pixel is to be ignored."
        )


def _list_ids(ids: NDArray[Any]) -> tuple[str, int]:
    """The first five ids with their numbers of pixels, and how many ids there are."""
    values, counts = np.unique(ids, return_counts=True)
    pairs = list(zip(values, counts, strict=True))
    listed = ", ".join(f"{value} ({count} pixels)" for value, count in pairs[:5])
    more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
    return listed + more, len(pairs)


def _packed(rgb: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(..., 3) colours as one number each."""
    return rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
