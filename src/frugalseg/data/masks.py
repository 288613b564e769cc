"""Reading masks as class indices, and writing label images."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from frugalseg.data.classes import IGNORE_INDEX, ClassList
from frugalseg.data.images import reading
from frugalseg.data.strange_ids import refuse_outside
from frugalseg.errors import FrugalsegError
from frugalseg.files import replacing

MASK_SUFFIXES = frozenset([".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm"])


def read_raw(path: Path | str) -> NDArray[np.integer]:
    """Read a mask as it is: ids, or colours.

    Args:
        path: an image file without losses: 1, 8, 16 or 32 bits grey, palette, or colour.

    Returns:
        (H, W) ids, for palette images the numbers of the colours; or (H, W, 3) colours.

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
    """Whether an opened file has several channels of 16 bits, of which Pillow keeps the upper 8."""
    if image.format == "PNG":
        with path.open("rb") as file:
            depth, colour_type = file.read(26)[24:]  # of the header, which always comes first
        return depth == 16 and colour_type in (2, 4, 6)  # colour, or grey or colour with opacity
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        depths = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, ())
        return len(depths) > 1 and max(depths) > 8
    return False


def only_ids(raw: NDArray[np.integer], path: Path | str) -> NDArray[np.integer]:
    """What `read_raw` read, where it can be used without a class list.

    Raises:
        FrugalsegError: the mask holds colours, or an id below 0 or above 65535.
    """
    if raw.ndim == 3:
        raise FrugalsegError(
            f"{path} holds colours, not ids. "
            "Say what they mean in a classes.csv (name,id,colour,target) in the folder."
        )
    try:
        refuse_outside(raw)
    except FrugalsegError as error:
        raise FrugalsegError(f"{path}: {error}") from None
    return raw


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
    """Class indices of what `read_raw` has read of a file.

    Raises:
        FrugalsegError: as of `read_mask`.
    """
    try:
        if raw.ndim == 3:
            return classes.encode_colours(raw.astype(np.uint8))
        return classes.encode(raw)
    except FrugalsegError as error:
        raise FrugalsegError(f"{path}: {error}") from None


def write_labels(indices: NDArray[np.integer], path: Path | str, classes: ClassList) -> None:
    """Write class indices as a PNG file of ids.

    Ids up to 255 make a palette image in the classes' colours, larger ones a 16-bit grey image.

    Args:
        indices: (H, W) indices, 255 where there is no answer.
        path: the PNG file; it appears when it is complete.
        classes: the class list.

    Raises:
        FrugalsegError: the place cannot be written, or the disk is full.
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
    with replacing(Path(path)) as temporary:
        image.save(temporary, format="PNG", compress_level=3)
