"""Open image files of a fixed list of formats, and tell from their headers what they hold."""

import functools
import io
import itertools
import logging
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from frugalseg.errors import FrugalsegError
from frugalseg.files import regular_file

# Those of Pillow that cameras, scanners and editors write. Others are never opened: for some of
# them Pillow starts another program.
_FORMATS = ("JPEG", "MPO", "PNG", "TIFF", "BMP", "WEBP", "PPM", "GIF", "JPEG2000", "AVIF")
# Pillow warns of images above 90 million pixels, as a possible attack; panoramas and scans of
# slides are larger. It refuses images of twice this limit, and PNG files with over 1 MB of text,
# which editors write.
if Image.MAX_IMAGE_PIXELS is not None:
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, 1 << 30)
PngImagePlugin.MAX_TEXT_CHUNK = max(PngImagePlugin.MAX_TEXT_CHUNK, 1 << 26)
PngImagePlugin.MAX_TEXT_MEMORY = max(PngImagePlugin.MAX_TEXT_MEMORY, 1 << 28)
logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it logs as an error is said here

_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
SWAPS_SIDES = (5, 6, 7, 8)  # EXIF orientations
_COPY_OR_MASK = 5  # bits of a TIFF page's NewSubfileType: it belongs to another page
_NEW_SUBFILE_TYPE, _SAMPLE_FORMAT = 254, 339


class Remark(NamedTuple):
    """What reading a file guesses or leaves out: the kind of files (plural), and what is done."""

    files: str
    text: str

    def sentence(self, paths: Sequence[Path]) -> str:
        """The remark on these files."""
        return f"{self.files} ({len(paths)}), such as {paths[0].name}: {self.text}."


PAGES = Remark("Files of several pages or frames", "only the first is read; save each as a file")
DEEP = Remark("Images of 16 bits", "of each value the upper 8 bits are read")
_EXCEPT = ", except by 'discover --channels rgbi'"
_OPACITY = Remark(
    "TIFF images whose fourth band is called transparency",
    f"they are laid on white by it{_EXCEPT}; if it is infrared, save the images without it",
)
_FOURTH = Remark("TIFF images of 4 bands", f"the fourth is left out{_EXCEPT}")
_FIRST_THREE = "the first 3 are read as red, green and blue; if others are meant, save them as RGB"


@dataclass(frozen=True)
class ImageHeader:
    """What an image file says of itself.

    Attributes:
        size: height and width, once turned by the EXIF orientation.
        mode: the pixel mode, as Pillow names it; with ";16" for several channels of 16 bits.
        orientation: EXIF orientation, 1 to 8.
        remarks: what reading the file as an image leaves out or guesses.
    """

    size: tuple[int, int]
    mode: str
    orientation: int
    remarks: tuple[Remark, ...]


@contextmanager
def open_image(path: Path, content: bytes | None = None) -> Iterator[ImageFile]:
    """Open an image; what is wrong with it, then or while it is used, becomes one sentence.

    Args:
        path: the file.
        content: its content, if it is not to be read from the path.

    Raises:
        FrugalsegError: the file is missing, not a regular file, broken, or not an image.
    """
    try:
        source = regular_file(path) if content is None else io.BytesIO(content)
        with Image.open(source, formats=_formats()) as image:
            yield image
    except FileNotFoundError as error:
        raise FrugalsegError(f"{path}: there is no such file.") from error
    except PermissionError as error:
        raise FrugalsegError(f"{path} cannot be read ({error.strerror}).") from error
    except UnidentifiedImageError as error:
        raise FrugalsegError(_unreadable(path)) from error
    except _BROKEN as error:
        raise FrugalsegError(
            f"{path} cannot be read as an image ({error}). Replace or remove it."
        ) from error


@functools.cache
def _formats() -> list[str]:
    """The formats that this Pillow can open; it opens MPO as JPEG."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _unreadable(path: Path) -> str:
    """Say what a file is that Pillow does not recognise."""
    with suppress(*_BROKEN), path.open("rb") as file:
        head = file.read(8)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head + file.read(8) * (43 in head[2:4]))
        file.seek(tags.next)
        tags.load(file)
        bands, bits = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1), tags[258][0]
        kind = "floating-point numbers" if 3 in tags.get(_SAMPLE_FORMAT, ()) else "whole numbers"
        return (
            f"{path} is a TIFF file of {bands} bands of {bits} bits ({kind}), a kind that cannot "
            "be read. Save the bands that stand for red, green and blue, or grey, with 8 or 16 "
            "bits (as in gdal_translate -b 5 -b 3 -b 2 IN.tif OUT.tif -co PHOTOMETRIC=RGB)."
        )
    return f"{path} is not an image, or of a kind that cannot be read. Replace or remove it."


def raw_mode(image: ImageFile) -> tuple[str, int]:
    """How the pixels of an opened image are stored, before they are loaded.

    Returns:
        Pillow's raw mode, such as "L;2I" for 2 bits of which 0 is white; and the value that a PPM
        file stores for white, otherwise 0.
    """
    args: Any = image.tile[0][3] if image.tile else ""
    words = args if isinstance(args, tuple) else (args,)
    scaled = image.format == "PPM" and isinstance(words[-1], int) and image.tile[0][0] != "raw"
    return str(words[0]), words[-1] if scaled else 0


def is_deep(image: ImageFile) -> bool:
    """Whether an opened image has more than 8 bits a channel."""
    raw = raw_mode(image)[0]
    return image.mode.startswith("I") or ";16" in raw


def unnamed_opacity(image: Image.Image) -> bool:
    """Whether Pillow takes a band of an opened image for transparency that the file does not."""
    return (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.mode == "RGBA"
        and TiffImagePlugin.EXTRASAMPLES not in image.tag_v2
    )


def read_header(path: Path | str) -> ImageHeader:
    """Read the header of an image without decoding it.

    Raises:
        FrugalsegError: the file is missing or not an image.
    """
    path = Path(path)
    with open_image(path) as image:
        width, height = image.size
        deep = is_deep(image)
        mode = f"{image.mode};16" if deep and image.mode[0] != "I" else image.mode
        turned = orientation_of(image, path)
        if turned in SWAPS_SIDES and image.format != "TIFF":  # Pillow turns these, in size too
            width, height = height, width
        remarks = (*_band_remarks(image), *[DEEP] * deep, *[PAGES] * _has_pages(image))
        return ImageHeader((height, width), mode, turned, remarks)


def orientation_of(image: ImageFile, path: Path) -> int:
    """The EXIF orientation of an opened image, 1 to 8, without decoding its pixels."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(image.tag_v2.get(ExifTags.Base.Orientation, 1))
    # PngImageFile.getexif decodes the whole image to look for chunks behind the pixels
    quick = image.format == "PNG" and not _has_late_metadata(path)
    exif = Image.Image.getexif(image) if quick else image.getexif()
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _band_remarks(image: Image.Image) -> list[Remark]:
    """On the bands of a TIFF file beyond the first three."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile) or image.mode not in ("RGB", "RGBA"):
        return []
    bands = image.tag_v2.get(TiffImagePlugin.SAMPLESPERPIXEL, 3)
    opacity = image.mode == "RGBA" and not unnamed_opacity(image)
    more = Remark(f"TIFF images of {bands} bands", _FIRST_THREE)
    return [_OPACITY] * opacity + [more] * (bands > 4) or [_FOURTH] * (bands == 4)


def _has_pages(image: Image.Image) -> bool:
    """Whether an opened image has further pages or frames; smaller copies of it are none."""
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return False
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return True
    for page in itertools.count(1):
        try:
            image.seek(page)
        except EOFError:
            break
        except _BROKEN:  # a page of a kind that cannot be read
            return True
        if not image.tag_v2.get(_NEW_SUBFILE_TYPE, 0) & _COPY_OR_MASK:
            return True
    return False


def _has_late_metadata(path: Path) -> bool:
    """Whether a PNG file holds EXIF or text behind its pixels."""
    with path.open("rb") as file:
        file.seek(8)
        behind_pixels = False
        while len(header := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", header)
            if kind == b"IDAT":
                behind_pixels = True
            elif behind_pixels and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
                return True
            file.seek(length + 4, 1)
    return False
