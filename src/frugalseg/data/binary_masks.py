"""Masks of 0 and 255 where 0 and 1 were meant: 255 is ignored, and the object with it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.classes import IGNORE_INDEX, ONLY_BINARY, ClassList

BINARY = "masks of 0 and 255 alone"
ADVICE = (
    "Save the object as 1, or list it with id 255 in classes.csv; "
    "if 255 is to be ignored, list it there as void,255,#808080,ignore."
)


def kind_of_mask(raw: NDArray[np.integer]) -> str:
    """What a mask holds beside 0.

    Args:
        raw: as `read_raw` reads it.

    Returns:
        "binary": 255, and 0; "blank": nothing but 255; "void": 255 and another id; "plain": other
        ids alone; "empty": nothing but 0; "colours".
    """
    if raw.ndim != 2:
        return "colours"
    if raw.dtype == np.uint8:
        there = set(np.flatnonzero(np.bincount(raw.ravel(), minlength=256)).tolist())
    else:
        there = set(np.unique(raw).tolist())
    if there - {0, IGNORE_INDEX}:
        return "void" if IGNORE_INDEX in there else "plain"
    if IGNORE_INDEX in there:
        return "binary" if 0 in there else "blank"
    return "empty"


@dataclass
class BinaryMasks:
    """The masks of a folder that hold 0 and 255 alone, and whether that is a slip.

    255 means void, except where it is a listed class; an object saved as 255 would silently be
    none. It is taken for that where no mask holds anything but 0 and 255; and where both

    - no mask holds 255 beside another id than 0, which would show that it is void here, and
    - of the masks that hold 0 or 255 with an id that is not 0, more than half hold 0 and 255 alone.

    So a few masks of background and void are no slip, nor are many of them where void comes beside
    objects too, nor are masks of 255 alone, of images that nobody has labelled.
    """

    files: list[Path] = field(default_factory=list)
    kinds: Counter[str | None] = field(default_factory=Counter)

    @classmethod
    def among(cls, masks: Iterable[tuple[Path | None, str | None]]) -> "BinaryMasks":
        """Look through masks: the file of each, and what `kind_of_mask` says, None where unread."""
        found = cls()
        for path, kind in masks:
            found.kinds[kind] += 1
            if kind == "binary" and path is not None:
                found.files.append(path)
        return found

    @property
    def alone(self) -> bool:
        """Whether nothing but 0 and 255 is in any mask, and 255 is."""
        return not (self._sound or self.kinds["void"]) and bool(self.files or self.kinds["blank"])

    @property
    def _sound(self) -> int:
        """How many masks hold classes in another way."""
        return self.kinds["plain"] + self.kinds["colours"]

    @property
    def suspect(self) -> bool:
        """Whether 255 may be an object: nowhere is it void beside one."""
        return bool(self.files) and not self.kinds["void"]

    @property
    def slip(self) -> bool:
        """Whether 255 is taken for an object."""
        return self.alone or (self.suspect and len(self.files) > self._sound)

    def sentence(self) -> str:
        """What is wrong, where it is a slip."""
        if self.alone:
            return ONLY_BINARY
        shown = len(self.files) + self._sound
        return (
            f"{len(self.files)} of the {shown} masks looked at that are not empty hold 0 and 255 "
            f"alone, such as {self.files[0].name}, and 255 is ignored. {ADVICE}"
        )


def may_be_slips(classes: ClassList) -> bool:
    """Whether 255 is ignored without anybody having said so."""
    listed = any(c.id == IGNORE_INDEX for c in classes.classes)
    return not (listed or classes.fine or IGNORE_INDEX in classes.ignored_ids)
