"""Read masks as class indices, write label images, and detect masks of 0 and 255 by mistake."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from frugalseg.data.class_lists.classes import IGNORE_INDEX, ClassList
from frugalseg.data.class_lists.statistics import (
    ONLY_BINARY,
    MaskStatistics,
    count_ids,
    mask_content,
)
from frugalseg.data.image_file import Remark, is_deep, open_image, raw_mode
from frugalseg.data.png import write_png
from frugalseg.errors import FrugalsegError

MASK_SUFFIXES = frozenset([".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm"])
BINARY = "masks of 0 and 255 alone"
ADVICE = (
    "Save the object as 1, or list it with id 255 in classes.csv; "
    "if 255 is to be ignored, list it there as void,255,#808080,ignore."
)


_LOSSY = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WebP", "JPEG2000": "JPEG 2000", "AVIF": "AVIF"}
_LOSSY |= {"jpeg": "JPEG in TIFF", "tiff_jpeg": "JPEG in TIFF", "webp": "WebP in TIFF"}
_BY_COLOUR = Remark(
    "Indexed masks whose colours have other numbers than in the class list",
    "their colours decide, not their numbers",
)
_BY_NUMBER = Remark(
    "Indexed masks with a colour of the class list under another number, and with others",
    "their numbers are read as ids; for their colours to decide, all must be in the list",
)
_BACKWARDS = Remark(
    "Indexed masks whose numbers and greys are in different orders",
    "their numbers are read as ids; save them as grey images if the greys are ids",
)
_EQUAL_CHANNELS = Remark("Masks of three equal channels", "their values are read as ids")


def read_raw(path: Path | str, classes: ClassList | None = None) -> NDArray[np.integer]:
    """Read a mask as it is: ids, or colours.

    Args:
        path: a losslessly compressed image: 1, 2, 4, 8, 16 or 32 bits grey, palette, or colour.
        classes: the class list, if there is one: its colours may decide what palettes mean.

    Returns:
        (H, W) ids as they are stored, or (H, W, 3) colours. Ids of palette images are the indices
        into the palette, unless its colours have other ids in the class list. Three equal channels
        hold ids, unless these are colours of the class list.

    Raises:
        FrugalsegError: the file is missing, truncated, not an image, of a format that changes ids,
            or holds 16 bits a channel.
    """
    return _read(Path(path), classes)[0]


def _read(path: Path, classes: ClassList | None) -> tuple[NDArray[np.integer], Remark | None]:
    """Read a mask as :func:`read_raw` does, with a remark if something was guessed."""
    with open_image(path) as image:
        compression = str(image.info.get("compression"))
        lossy = _LOSSY.get(image.format or "") or _LOSSY.get(compression)
        if lossy:
            raise FrugalsegError(
                f"{path}: a mask must not be stored as {lossy}, whose compression may change ids. "
                "Make it again as PNG."
            )
        if is_deep(image) and image.mode[0] != "I":
            raise FrugalsegError(
                f"{path} has 16 bits a channel, of which half would be lost. "
                "Save it with 8 bits a channel, or as ids in one channel."
            )
        if image.mode == "F":
            raise ValueError("pixels are floating-point numbers; ids are whole numbers")
        stored = raw_mode(image)
        turned = ImageOps.exif_transpose(image)
        if turned.mode in ("1", "L", "I") or turned.mode.startswith("I;16"):
            return _as_stored(np.array(turned), *stored), None
        if turned.mode == "LA":
            return np.array(turned.getchannel(0)), None
        if turned.mode in ("P", "PA"):
            palette = np.reshape(turned.getpalette() or [], (-1, 3))
            return _by_palette(np.array(turned.getchannel(0)), palette, classes)
        return _ids_or_colours(np.array(turned.convert("RGB")), classes)


def _as_stored(grey: NDArray[Any], raw: str, white: int) -> NDArray[np.integer]:
    """Undo that Pillow stretches values of few bits over 0 to 255, and inverts some.

    Args:
        grey: (H, W) as Pillow gives it.
        raw, white: as `raw_mode` gives them.
    """
    if white:
        top = 255 if grey.dtype == np.uint8 else 65535
        return np.rint(grey * (white / top)).astype(np.uint8 if white < 256 else np.uint16)
    if raw[0] not in "1L":
        return grey
    bits = 1 if raw[0] == "1" else int(raw[2:3]) if raw[2:3] in ("2", "4") else 8
    values = grey.astype(np.uint8) * np.uint8(255 if bits == 1 else 1)
    values = 255 - values if "I" in raw else values
    return np.asarray(values // (255 // (2**bits - 1)), np.uint8)


def _by_palette(
    numbers: NDArray[np.uint8], palette: NDArray[Any], classes: ClassList | None
) -> tuple[NDArray[np.integer], Remark | None]:
    """The ids in an indexed mask: its numbers, or what its colours are in the class list."""
    used = np.flatnonzero(np.bincount(numbers.ravel(), minlength=256))
    if not used.size or used[-1] >= len(palette):
        return numbers, None
    colours = [(red, green, blue) for red, green, blue in palette[used].tolist()]
    if classes is None:
        grey = all(len({*colour}) == 1 for colour in colours)
        return numbers, _BACKWARDS if grey and colours != sorted(colours) else None
    listed = classes.ids_of_colours
    ids = [listed.get(colour) for colour in colours]
    if all(id_ in (None, number) for id_, number in zip(ids, used, strict=True)):
        return numbers, None
    # A mask of one class shows little. Black fills places of a palette that are not used.
    others = {tuple(colour) for colour in palette.tolist()} - {(0, 0, 0)}
    certain = len({*colours}) > 1 or bool(others <= listed.keys() and others - {*colours})
    if None in ids or not certain:
        return numbers, _BY_NUMBER
    table = np.zeros(256, np.uint16)
    table[used] = np.array(ids)
    return table[numbers], _BY_COLOUR


def _ids_or_colours(
    rgb: NDArray[np.uint8], classes: ClassList | None
) -> tuple[NDArray[np.integer], Remark | None]:
    """Of a mask of three channels its colours, or its ids if the channels are equal."""
    grey = rgb[..., 0]
    if (rgb[..., 1] != grey).any() or (rgb[..., 2] != grey).any():
        return rgb, None
    used = np.unique(grey)
    if classes is not None:
        colours = {(value, value, value) for value in used.tolist()}
        if colours <= classes.ids_of_colours.keys() or not classes.knows(used):
            return rgb, None
    return grey, _EQUAL_CHANNELS


def read_mask(path: Path | str, classes: ClassList) -> NDArray[np.uint8]:
    """Read a mask as class indices.

    Args:
        path: a mask of ids or of the colours of the class list, see :func:`read_raw`.
        classes: the class list.

    Returns:
        (H, W) indices, 255 where ignored.

    Raises:
        FrugalsegError: the file is broken, or holds an id or a colour outside the list (which
            file, which id, how many pixels).
    """
    return encode_mask(read_raw(path, classes), path, classes)


def look_at_mask(path: Path, classes: ClassList) -> tuple[str, Remark | None]:
    """What a mask holds, as `mask_content` says, and a remark if something was guessed.

    Raises:
        FrugalsegError: as `read_raw` does.
    """
    raw, remark = _read(path, classes)
    return mask_content(raw), remark


def encode_mask(
    raw: NDArray[np.integer], path: Path | str, classes: ClassList
) -> NDArray[np.uint8]:
    """Turn what `read_raw` has read from a file into class indices.

    Raises:
        FrugalsegError: as `read_mask` does.
    """
    try:
        if raw.ndim == 3:
            return classes.encode_colours(raw.astype(np.uint8))
        return classes.encode(raw)
    except FrugalsegError as error:
        raise FrugalsegError(f"{path}: {error}") from None


def read_statistics(path: Path | str, classes: ClassList | None = None) -> MaskStatistics:
    """Decode a mask once and count what it holds.

    Args:
        path: the mask.
        classes: count by the indices of this list; without it, by the mask's own ids.

    Raises:
        FrugalsegError: as `read_mask` does; without classes, also if the mask holds colours.
    """
    raw, remark = _read(Path(path), classes)
    if classes is not None:
        return count_ids(encode_mask(raw, path, classes), mask_content(raw), remark)
    if raw.ndim == 3:
        raise FrugalsegError(
            f"{path} holds colours, not ids. "
            "Say what they mean in a classes.csv (name,id,colour,target) in the folder; "
            "'frugalseg check' lists them."
        )
    try:
        return count_ids(raw, remark=remark)
    except FrugalsegError as error:
        raise FrugalsegError(f"{path}: {error}") from None


def write_labels(
    indices: NDArray[np.integer] | Iterable[NDArray[np.integer]],
    path: Path | str,
    classes: ClassList,
) -> None:
    """Write class indices as a PNG file of ids.

    Ids up to 255 make a palette image in the classes' colours, larger ones a 16-bit grey image.

    Args:
        indices: (H, W) indices, 255 where the class is unknown; or strips of their rows from top to
            bottom, which are asked for one at a time.
        path: the PNG file, written atomically.
        classes: the class list.

    Raises:
        FrugalsegError: the file cannot be written, or the disk is full.
    """
    strips = [indices] if isinstance(indices, np.ndarray) else indices
    palette = None
    if classes.decode(np.empty(0, np.uint8)).dtype == np.uint8:
        palette = np.zeros((256, 3), np.uint8)
        palette[IGNORE_INDEX] = 255
        for c in classes.classes:
            if c.id < 256:
                palette[c.id] = c.colour
    write_png(map(classes.decode, strips), Path(path), palette)


class BinaryMasks:
    """The masks of a folder that hold 0 and 255 alone, and whether that is a slip.

    255 means void, unless it is a listed class; an object saved as 255 would be lost without a
    word. It is taken for a slip if no mask holds anything but 0 and 255; and also if both

    - no mask holds 255 beside another id than 0, which would show that it means void, and
    - of the masks that hold 0 or 255 with an id that is not 0, more than half hold 0 and 255 alone.

    So a few masks of background and void are not a slip, nor are many of them if void occurs beside
    objects too, nor are masks of 255 alone, of images that nobody has labelled.

    Args:
        masks: the file of each mask and its content, as `mask_content` gives it; None if it could
            not be read.

    Attributes:
        files: the masks of 0 and 255 alone.
        alone: whether no mask holds anything but 0 and 255, and some hold 255.
        suspect: whether 255 may be an object: in no mask is it void beside one.
        slip: whether 255 is taken for an object.
    """

    def __init__(self, masks: Iterable[tuple[Path | None, str | None]]) -> None:
        listed = list(masks)
        counts = Counter(content for _, content in listed)
        self.files = [path for path, content in listed if content == "binary" and path is not None]
        self._sound = counts["plain"] + counts["colours"]
        void = counts["void"]
        self.alone = not (self._sound or void) and bool(self.files or counts["blank"])
        self.suspect = bool(self.files) and not void
        self.slip = self.alone or (self.suspect and len(self.files) > self._sound)

    def sentence(self) -> str:
        """What is wrong and what to do, if it is a slip."""
        if self.alone:
            return ONLY_BINARY
        shown = len(self.files) + self._sound
        return (
            f"{len(self.files)} of the {shown} masks looked at that are not empty hold 0 and 255 "
            f"alone, such as {self.files[0].name}, and 255 is ignored. {ADVICE}"
        )


def may_be_slips(classes: ClassList) -> bool:
    """Whether 255 is ignored by default only: no class, mapping or option mentions it."""
    listed = any(c.id == IGNORE_INDEX for c in classes.classes)
    return not (listed or classes.fine or IGNORE_INDEX in classes.ignored_ids)
