"""Read masks as class indices, write label images, and detect masks of 0 and 255 by mistake."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from frugalseg.data.class_statistics import ONLY_BINARY, MaskStatistics, count_ids, mask_content
from frugalseg.data.classes import IGNORE_INDEX, ClassList
from frugalseg.data.images import reading
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_replace

MASK_SUFFIXES = frozenset([".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm"])
BINARY = "masks of 0 and 255 alone"
ADVICE = (
    "Save the object as 1, or list it with id 255 in classes.csv; "
    "if 255 is to be ignored, list it there as void,255,#808080,ignore."
)


def read_raw(path: Path | str) -> NDArray[np.integer]:
    """Read a mask as it is: ids, or colours.

    Args:
        path: a losslessly compressed image: 1, 8, 16 or 32 bits grey, palette, or colour.

    Returns:
        (H, W) ids (of palette images the indices into the palette), or (H, W, 3) colours.

    Raises:
        FrugalsegError: the file is missing, truncated, not an image, a JPEG file, or holds
            16 bits a channel.
    """
    path = Path(path)
    with reading(path), Image.open(path) as image:
        if image.format == "JPEG":
            raise FrugalsegError(
                f"{path}: a mask must not be a JPEG file, which changes ids. Save it as PNG."
            )
        if _channels_of_16_bits(image, path):
            raise FrugalsegError(
                f"{path} has 16 bits a channel, of which half would be lost. "
                "Save it with 8 bits a channel, or as ids in one channel."
            )
        if image.mode == "F":
            raise ValueError("pixels are floating-point numbers; ids are whole numbers")
        turned = ImageOps.exif_transpose(image)
        if turned.mode in ("1", "L", "P", "I") or turned.mode.startswith("I;16"):
            raw = np.array(turned)
            return raw.astype(np.uint8) if raw.dtype == np.bool_ else raw
        if turned.mode in ("LA", "PA"):
            return np.array(turned)[..., 0]
        return np.array(turned.convert("RGB"))


def _channels_of_16_bits(image: Image.Image, path: Path) -> bool:
    """Whether an opened file has several channels of 16 bits; Pillow keeps only the upper 8."""
    if image.format == "PNG":
        with path.open("rb") as file:
            depth, colour_type = file.read(26)[24:]  # of the header, which always comes first
        return depth == 16 and colour_type in (2, 4, 6)  # colour, or grey or colour with opacity
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        depths = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, ())
        return len(depths) > 1 and max(depths) > 8
    return False


def read_mask(path: Path | str, classes: ClassList) -> NDArray[np.uint8]:
    """Read a mask as class indices.

    Args:
        path: a mask of ids (grey or palette; the palette's colours do not matter) or of the
            colours of the class list.
        classes: the class list.

    Returns:
        (H, W) indices, 255 where ignored.

    Raises:
        FrugalsegError: the file is broken, or holds an id or a colour outside the list (which
            file, which id, how many pixels).
    """
    return encode_mask(read_raw(path), path, classes)


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
    raw = read_raw(path)
    if classes is not None:
        return count_ids(encode_mask(raw, path, classes), mask_content(raw))
    if raw.ndim == 3:
        raise FrugalsegError(
            f"{path} holds colours, not ids. "
            "Say what they mean in a classes.csv (name,id,colour,target) in the folder; "
            "'frugalseg check' lists them."
        )
    try:
        return count_ids(raw)
    except FrugalsegError as error:
        raise FrugalsegError(f"{path}: {error}") from None


def write_labels(indices: NDArray[np.integer], path: Path | str, classes: ClassList) -> None:
    """Write class indices as a PNG file of ids.

    Ids up to 255 make a palette image in the classes' colours, larger ones a 16-bit grey image.

    Args:
        indices: (H, W) indices, 255 where the class is unknown.
        path: the PNG file, written atomically.
        classes: the class list.

    Raises:
        FrugalsegError: the file cannot be written, or the disk is full.
    """
    ids = classes.decode(indices)
    image = Image.fromarray(ids)
    if ids.dtype == np.uint8:
        palette = np.zeros((256, 3), np.uint8)
        palette[IGNORE_INDEX] = 255
        for c in classes.classes:
            if c.id < 256:
                palette[c.id] = c.colour
        image.putpalette(palette.tobytes())
    with atomic_replace(Path(path)) as temporary:
        image.save(temporary, format="PNG", compress_level=3)


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
