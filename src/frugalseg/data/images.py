"""Read images of any usual kind as 8-bit RGB, with infrared on request; resize and write them."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin
from PIL.ImageFile import ImageFile

from frugalseg.console import log, track
from frugalseg.data.image_file import (
    DEEP,
    Remark,
    is_deep,
    open_image,
    orientation_of,
    raw_mode,
    read_header,
    unnamed_opacity,
)
from frugalseg.data.strips import read_strips
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_replace

Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # height and width

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".bmp", ".gif"),
        *(".webp", ".ppm", ".pgm", ".jp2", ".j2k", ".avif"),
    )
)
_DARK = 32  # of 255: images of 16 bits that are darker everywhere hold fewer bits
_PROBE = 16  # images of 16 bits that are looked at


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
        with open_image(path) as image:
            strips = read_strips(image, path, reduce) if reduce > 1 else None
            if strips is None or orientation_of(image, path) != 1:
                return _upright(image, reduce)
            parts = track(strips, "parts read", part=True)
            return np.concatenate([_upright(strip, reduce) for strip in parts])
    if any((above.parent / "infrared").is_dir() for above in path.parents[:-1]):
        return _with_infrared(path)
    return read_four_bands(path)


def read_four_bands(path: Path) -> Pixels:
    """Read red, green, blue and a fourth band as they are stored, (H, W, 4).

    Of a TIFF file, Pillow drops a fourth band that the file does not call alpha, and divides the
    others by a band called alpha; here it is made to read all four as plain bands.

    Raises:
        FrugalsegError: the file is broken, or does not have four bands of 8 bits.
    """
    with open_image(path) as image:
        bands, deep = len(image.getbands()), is_deep(image)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))
            bands, deep = len(bits), max(bits) > 8
            # Pillow leaves out a fourth plane that is not called transparency
            planes = image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2
            if planes and image.mode == "RGB":
                raise FrugalsegError(f"{path} stores its bands apart: store them pixel by pixel.")
            if image.mode in ("RGB", "RGBA") and (bands, deep) == (4, False):
                image._mode = "RGBA"
                for i, part in enumerate(image.tile):
                    words: Any = part.args
                    plain = ("RGBA" if word in ("RGBX", "RGBa") else word for word in words)
                    image.tile[i] = part._replace(args=tuple(plain))
        if image.mode != "RGBA" or bands != 4 or deep:
            raise FrugalsegError(
                f"{path} has {bands} band{'s' * (bands > 1)} of {16 if deep else 8} bits; four "
                "bands of 8 bits are needed (red, green, blue, infrared)."
            )
        return np.array(ImageOps.exif_transpose(image))


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
    with open_image(path, content) as image:
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


def _upright(image: ImageFile, reduce: int) -> Pixels:
    """Decode, turn upright and convert an opened image, `reduce` times smaller."""
    shift, plain = _conversion(image)
    width, height = image.size
    wanted = (-(-width // reduce), -(-height // reduce))
    # a last pixel that covers fewer than `reduce` must not become the first by turning the image
    whole = width % reduce == 0 == height % reduce or _orientation(image) in (None, 1)
    if reduce > 1 and min(width, height) >= reduce and whole:
        # rounded down, since draft gives at least this size, and itself rounds up
        image.draft(None, (width // reduce, height // reduce))
    turned = ImageOps.exif_transpose(image)
    rgb = turned.convert("RGB") if plain else _to_rgb(turned, shift)
    if wanted not in (rgb.size, rgb.size[::-1]):
        rgb = rgb.reduce(reduce)
    return np.array(rgb)


def _conversion(image: ImageFile) -> tuple[int, bool]:
    """How many bits grey values lose, and whether to leave out a fourth band, of an opened file."""
    return 4 if raw_mode(image)[0] == "I;12" else 8, unnamed_opacity(image)


def _orientation(image: Image.Image) -> int | None:
    orientation: int | None = image.getexif().get(ExifTags.Base.Orientation)
    return orientation


def _to_rgb(image: Image.Image, shift: int) -> Image.Image:
    """Convert any mode to RGB; of grey values above 8 bits drop the lowest `shift` bits."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16-bit grey, as I;16 or as 32-bit whole numbers
        grey = np.clip(np.asarray(image, np.int64), 0, 65535) >> shift
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
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
    return read_header(path).size


def remark_lines(remarks: Iterable[tuple[Path, Remark]]) -> list[str]:
    """What reading files guesses or leaves out, a sentence for each kind of files.

    Args:
        remarks: files, and the remarks on them.
    """
    files: dict[Remark, list[Path]] = {}
    for path, remark in remarks:
        files.setdefault(remark, []).append(path)
    dark = _dark_remark(files.pop(DEEP, []))
    return [*dark, *(remark.sentence(paths) for remark, paths in files.items())]


def say_remarks(remarks: Iterable[tuple[Path, Remark]]) -> None:
    """Log the sentences of :func:`remark_lines`."""
    for line in remark_lines(remarks):
        log.warning(line)


def _dark_remark(deep: Sequence[Path]) -> list[str]:
    """A sentence if images of 16 bits use only the lower bits."""
    brightest = 0
    for path in deep[:: -(-len(deep) // _PROBE) or 1]:
        with suppress(FrugalsegError), open_image(path) as image:  # broken ones: said elsewhere
            parts = read_strips(image, path, 1) or [image]
            brightest = max(brightest, *(int(_upright(part, 1).max()) for part in parts))
    if not deep or brightest >= _DARK:
        return []
    bits = 8 + brightest.bit_length()
    text = (
        f"{DEEP.text}, and these use only values below {1 << bits}, so that they are read nearly "
        f"black; if they hold {bits} bits, multiply their values by {1 << 16 - bits}"
    )
    return [DEEP._replace(text=text).sentence(deep)]
