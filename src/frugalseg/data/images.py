"""Reading images of any usual kind as 8-bit RGB."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from frugalseg.errors import FrugalsegError

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".mpo"]
)
# Pillow takes an image beyond 90 million pixels for an attack and warns; panoramas and scans of
# slides are larger. Twice this limit is refused.
MAX_PIXELS = 1 << 30
if Image.MAX_IMAGE_PIXELS is not None:
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS)

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
_SWAPS_SIDES = (5, 6, 7, 8)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises on a broken file into one sentence that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise FrugalsegError(f"{path}: there is no such file.") from error
    except IsADirectoryError as error:
        raise FrugalsegError(f"{path} is a folder, not an image.") from error
    except PermissionError as error:
        raise FrugalsegError(f"{path} cannot be read ({error.strerror}).") from error
    except UnidentifiedImageError as error:
        raise FrugalsegError(
            f"{path} is not an image, or of a kind that cannot be read. Replace or remove it."
        ) from error
    except _BROKEN as error:
        raise FrugalsegError(
            f"{path} cannot be read as an image ({error}). Replace or remove it."
        ) from error


def read_image(path: Path | str, reduce: int = 1) -> NDArray[np.uint8]:
    """Read an image as 8-bit RGB, turned upright as its EXIF orientation says.

    Grey images get three equal channels, of 16 bits the upper 8 are kept, transparency is laid on
    white, palettes and CMYK are converted.

    Args:
        path: the file.
        reduce: 1, 2, 4 or 8: read so many times smaller. JPEG files are decoded at that size,
            which is several times faster; others are averaged over `reduce` x `reduce` pixels.

    Returns:
        (ceil(H / reduce), ceil(W / reduce), 3). Pixel `i` covers the original's pixels from
        `reduce * i`; in the last row and column it may cover fewer than `reduce`.

    Raises:
        FrugalsegError: the file is missing, truncated or not an image.
    """
    if reduce not in (1, 2, 4, 8):
        raise ValueError(f"reduce is {reduce}; it must be 1, 2, 4 or 8")
    path = Path(path)
    with reading(path), Image.open(path) as image:
        return _upright(image, reduce)


def read_image_bytes(content: bytes, path: Path) -> NDArray[np.uint8]:
    """Read an image from the content of its file, as :func:`read_image` does.

    Args:
        content: of the file.
        path: its name, for messages.

    Returns:
        (H, W, 3).

    Raises:
        FrugalsegError: it is no image, or not whole.
    """
    with reading(path), Image.open(io.BytesIO(content)) as image:
        return _upright(image, 1)


def read_bands(path: Path | str, bands: int) -> NDArray[np.uint8]:
    """Read an image of so many bands of 8 bits as they are, such as colour and infrared.

    Args:
        path: a file whose pixels have that many values (a TIFF or PNG file that other programs
            take for colour and transparency).
        bands: how many.

    Returns:
        (H, W, bands).

    Raises:
        FrugalsegError: the file cannot be read, or has another number of bands.
    """
    path = Path(path)
    with reading(path), Image.open(path) as image:
        pixels = np.array(ImageOps.exif_transpose(image))
    if pixels.ndim != 3 or pixels.shape[2] != bands or pixels.dtype != np.uint8:
        there = pixels.shape[2] if pixels.ndim == 3 else 1
        raise FrugalsegError(
            f"{path} has {there} bands of {pixels.dtype}; {bands} of 8 bits are needed."
        )
    return pixels


def read_with_infrared(path: Path | str) -> NDArray[np.uint8]:
    """Read an image with its infrared band, which lies beside it as a grey image.

    `images/a/b.png` (or `unlabelled/a/b.png`) has its band in `infrared/a/b.png`.

    Args:
        path: the image, in a folder called images or unlabelled, or below one.

    Returns:
        (H, W, 4): red, green, blue, infrared.

    Raises:
        FrugalsegError: there is no such band, it is of another size, or a file is broken.
    """
    path = Path(path)
    image = read_image(path)
    above = next((p for p in path.parents if p.name in ("images", "unlabelled")), None)
    if above is None:
        raise FrugalsegError(f"{path} is not below a folder images, beside which infrared/ lies.")
    band_path = above.parent / "infrared" / path.relative_to(above).with_suffix(".png")
    band = read_image(band_path)
    if band.shape != image.shape:
        raise FrugalsegError(
            f"{band_path} has {band.shape[0]}x{band.shape[1]} pixels, its image "
            f"{image.shape[0]}x{image.shape[1]}."
        )
    return np.concatenate([image, band[..., :1]], 2)


def _upright(image: Image.Image, reduce: int) -> NDArray[np.uint8]:
    """Decode, turn upright and convert an opened image, `reduce` times smaller."""
    width, height = image.size
    wanted = (-(-width // reduce), -(-height // reduce))
    if reduce > 1 and min(width, height) >= reduce:
        # rounded down, since draft gives at least what it is asked for, and itself rounds up
        image.draft(None, (width // reduce, height // reduce))
    turned = ImageOps.exif_transpose(image)
    rgb = _to_rgb(turned)
    if wanted not in (rgb.size, rgb.size[::-1]):
        rgb = rgb.reduce(reduce)
    return np.array(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16-bit grey, as I;16 or as 32-bit whole numbers
        grey = np.clip(np.asarray(image, np.int64), 0, 65535) >> 8
        image = Image.fromarray(grey.astype(np.uint8))
    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers; 8 or 16 bits are needed")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def image_size(path: Path | str) -> tuple[int, int]:
    """Height and width of an image after its EXIF rotation, without decoding it.

    Raises:
        FrugalsegError: the file is missing or not an image.
    """
    return describe_image(path)[0]


def describe_image(path: Path | str) -> tuple[tuple[int, int], str]:
    """Height and width after EXIF rotation, and the pixel mode (as Pillow names it).

    Raises:
        FrugalsegError: the file is missing or not an image.
    """
    path = Path(path)
    with reading(path), Image.open(path) as image:
        width, height = image.size
        if image.format == "TIFF":  # Pillow itself turns these, in size too
            return (height, width), image.mode
        if image.format == "PNG" and not _has_late_metadata(path):
            # PngImageFile.getexif decodes the whole image to look for chunks behind the pixels
            exif = Image.Image.getexif(image)
        else:
            exif = image.getexif()
        if exif.get(ExifTags.Base.Orientation) in _SWAPS_SIDES:
            width, height = height, width
        return (height, width), image.mode


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
