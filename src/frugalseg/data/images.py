"""Read images of any usual kind as 8-bit RGB, with infrared on request; resize and write them."""

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
from frugalseg.files import atomic_replace

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # height and width

IMAGE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm", ".mpo"]
)
# Pillow warns of images above 90 million pixels, as a possible attack; panoramas and scans of
# slides are larger. It refuses images of twice this limit.
if Image.MAX_IMAGE_PIXELS is not None:
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, 1 << 30)

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
_SWAPS_SIDES = (5, 6, 7, 8)  # EXIF orientations


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error that Pillow raises on a broken file into one sentence that names the file."""
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


def read_image(path: Path | str, reduce: int = 1, bands: int = 3) -> Pixels:
    """Read an image as 8-bit RGB, turned upright as its EXIF orientation says.

    Grey images get three equal channels, of 16 bits the upper 8 are kept, transparent images are
    laid on white, palettes and CMYK are converted.

    Args:
        path: the file.
        reduce: 1, 2, 4 or 8: how many times smaller to read it. JPEG files are decoded at that
            size, which is several times faster; others are averaged over squares of pixels.
        bands: 3 for colour; 4 for colour and infrared at full size. The infrared band is either a
            grey image (`infrared/a/b.png` beside `images/a/b.png` or `unlabelled/a/b.png`), or the
            fourth of four bands of 8 bits in the file itself.

    Returns:
        (ceil(H / reduce), ceil(W / reduce), bands). Pixel `i` covers the original's pixels from
        `reduce * i`; in the last row and column it may cover fewer than `reduce`.

    Raises:
        FrugalsegError: the file is missing, truncated or not an image, or has no infrared band.
    """
    if reduce not in (1, 2, 4, 8):
        raise ValueError(f"reduce is {reduce}; it must be 1, 2, 4 or 8")
    path = Path(path)
    if bands == 3:
        with reading(path), Image.open(path) as image:
            return _upright(image, reduce)
    if any((above.parent / "infrared").is_dir() for above in path.parents[:-1]):
        return _with_infrared(path)
    with reading(path), Image.open(path) as image:
        pixels = np.array(ImageOps.exif_transpose(image))
    if pixels.ndim != 3 or pixels.shape[2] != bands or pixels.dtype != np.uint8:
        has = pixels.shape[2] if pixels.ndim == 3 else 1
        raise FrugalsegError(
            f"{path} has {has} bands of {pixels.dtype}; {bands} of 8 bits are needed."
        )
    return pixels


def _with_infrared(path: Path) -> Pixels:
    """Read an image and its infrared file, (H, W, 4)."""
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


def read_image_bytes(content: bytes, path: Path) -> Pixels:
    """Read an image from the content of its file, as :func:`read_image` does.

    Args:
        content: the bytes of the file.
        path: its name, for messages.

    Returns:
        (H, W, 3).

    Raises:
        FrugalsegError: it is not an image, or is truncated.
    """
    with reading(path), Image.open(io.BytesIO(content)) as image:
        return _upright(image, 1)


def check_image(image: NDArray[np.generic], bands: int = 3) -> Pixels:
    """Check an array, and return it as :func:`read_image` would.

    Raises:
        FrugalsegError: the array is not (H, W, bands) uint8.
    """
    if image.ndim != 3 or image.shape[2] != bands or image.dtype != np.uint8:
        raise FrugalsegError(
            f"An image is (height, width, {bands}) of uint8, not {tuple(image.shape)} of "
            f"{image.dtype}."
        )
    pixels: Pixels = np.ascontiguousarray(image)
    return pixels


def as_pixels(image: Path | str | NDArray[np.generic], bands: int = 3) -> Pixels:
    """Read an image from a file, or check one that is an array.

    Args:
        image: a file, or (H, W, bands) uint8.
        bands: see :func:`read_image`.

    Raises:
        FrugalsegError: the file cannot be read, or the array is not such an image.
    """
    if isinstance(image, np.ndarray):
        return check_image(image, bands)
    return read_image(image, bands=bands)


def write_image(pixels: Pixels, path: Path, **options: int) -> None:
    """Write an image atomically.

    Args:
        pixels: (H, W, 3), or (H, W) grey.
        path: a .jpg or .png file; missing folders are made.
        options: of Pillow for the format, such as `quality`.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    with atomic_replace(path) as temporary:
        kind = "JPEG" if path.suffix == ".jpg" else "PNG"
        Image.fromarray(pixels).save(temporary, kind, **options)


def scaled_size(size: Size, side: int) -> Size:
    """Height and width of an image resized so that its shorter side is `side`; 0: as it is.

    Args:
        size: height and width.
        side: pixels.
    """
    if not side:
        return size
    height, width = (max(1, round(length * side / min(size))) for length in size)
    return height, width


def resize_image(image: Pixels, size: Size) -> Pixels:
    """Resize each band on its own, averaging if the image becomes smaller.

    Args:
        image: (H, W, C).
        size: height and width.

    Returns:
        (*size, C).
    """
    if image.shape[:2] == tuple(size):
        return image
    # Pillow would take a fourth band for transparency and weight the colours by it
    parts = [image[..., :3], image[..., 3]] if image.shape[2] == 4 else [image]
    resized = [
        np.asarray(Image.fromarray(part).resize(size[::-1], Image.Resampling.BILINEAR))
        for part in parts
    ]
    return np.dstack(resized)


def square(image: Pixels, size: int) -> Pixels:
    """Resize the shorter side to `size` and cut out the centre.

    Args:
        image: (H, W, 1 or 3).
        size: pixels.

    Returns:
        (size, size, 1 or 3).
    """
    height, width = image.shape[:2]
    if (height, width) == (size, size):
        return image
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    whole = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    box = (left, top, left + side, top + side)
    small = whole.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(small).reshape(size, size, -1)


def _upright(image: Image.Image, reduce: int) -> Pixels:
    """Decode, turn upright and convert an opened image, `reduce` times smaller."""
    width, height = image.size
    wanted = (-(-width // reduce), -(-height // reduce))
    # a last pixel that covers fewer than `reduce` must not become the first by turning the image
    whole = width % reduce == 0 == height % reduce or _orientation(image) in (None, 1)
    if reduce > 1 and min(width, height) >= reduce and whole:
        # rounded down, since draft gives at least this size, and itself rounds up
        image.draft(None, (width // reduce, height // reduce))
    turned = ImageOps.exif_transpose(image)
    rgb = _to_rgb(turned)
    if wanted not in (rgb.size, rgb.size[::-1]):
        rgb = rgb.reduce(reduce)
    return np.array(rgb)


def _orientation(image: Image.Image) -> int | None:
    orientation: int | None = image.getexif().get(ExifTags.Base.Orientation)
    return orientation


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


def image_size(path: Path | str) -> Size:
    """Height and width of an image after its EXIF rotation, without decoding it.

    Raises:
        FrugalsegError: the file is missing or not an image.
    """
    return describe_image(path)[0]


def describe_image(path: Path | str) -> tuple[Size, str]:
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
