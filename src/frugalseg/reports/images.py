"""Images for reports: labels in colour, sampling points on an image, files as text.

Images are (H, W, 3) uint8 RGB, label maps (H, W) class indices with 255 for pixels to ignore,
colours (C, 3) uint8, and `phi` (h, w, 2) holds (row, col) in [0, 1] as everywhere.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frugalseg.files import atomic_replace

Picture = npt.NDArray[np.uint8]

JPEG_SIDE = 65_500  # greatest side in pixels that Pillow's encoder accepts

POINT_COLOUR = (255, 214, 10)
IGNORED_COLOUR = (128, 128, 128)


def colour_labels(labels: npt.NDArray[Any], colours: Picture) -> Picture:
    """Paint each class in its colour and pixels to ignore in grey.

    Args:
        labels: (H, W) class indices; indices beyond the colours start again from the first.
        colours: (C, 3).

    Returns:
        (H, W, 3).
    """
    table = np.resize(np.asarray(colours, dtype=np.uint8), (256, 3))
    table[255] = IGNORED_COLOUR
    painted: Picture = table[labels]
    return painted


_STRIP = 1 << 16  # pixels mixed at a time


def overlay(
    image: Picture, labels: npt.NDArray[Any], colours: Picture, alpha: float = 0.5
) -> Picture:
    """Lay the labels over the image; pixels to ignore show the image alone.

    Args:
        image: (H, W, 3).
        labels: (H, W).
        colours: (C, 3).
        alpha: share of the colour, 0 to 1.

    Returns:
        (H, W, 3).
    """
    mixed = np.empty(image.shape, np.uint8)
    rows = max(1, _STRIP // max(1, image.shape[1]))
    for top in range(0, image.shape[0], rows):  # large images do not fit as floats
        strip = slice(top, top + rows)
        share = np.where(labels[strip] == 255, 0.0, alpha)[..., None]
        painted = colour_labels(labels[strip], colours) * share
        mixed[strip] = (image[strip] * (1 - share) + painted).round()
    return mixed


def shrink(image: Picture, side: int, nearest: bool = False) -> Picture:
    """Reduce an image until its longer side is `side`; smaller ones stay as they are.

    Args:
        image: (H, W, 3) or (H, W).
        side: pixels.
        nearest: take single pixels instead of averaging, for label maps and paintings of them.
    """
    from PIL import Image

    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = tuple(max(1, round(length * factor)) for length in image.shape[1::-1])
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize(size, how))


def save_jpeg(image: Picture, path: Path) -> None:
    """Write an image atomically; if it is too large for a JPEG file, leave out rows and columns.

    Args:
        image: (H, W, 3).
        path: the file.

    Raises:
        FrugalsegError: it cannot be written.
    """
    from PIL import Image

    step = -(-max(image.shape[:2]) // JPEG_SIDE)
    with atomic_replace(path) as temporary:
        Image.fromarray(image[::step, ::step]).save(temporary, format="JPEG", quality=90)


def draw_samples(image: Picture, phi: npt.NDArray[Any], side: int = 1024) -> Picture:
    """Draw the sampling points on a dimmed copy of the image.

    The result has the size `side`, whatever the image's own, and the points are as large as their
    number allows, so that they stay distinct on small and large images alike.

    Args:
        image: (H, W, 3).
        phi: (h, w, 2) coordinates in [0, 1].
        side: length of the result's longer side in pixels.

    Returns:
        (H', W', 3) with max(H', W') = `side`.
    """
    from PIL import Image

    factor = side / max(image.shape[:2])
    height, width = (max(1, round(length * factor)) for length in image.shape[:2])
    how = Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC
    base = Image.fromarray(image).resize((width, height), how)
    grey = base.convert("L").convert("RGB")
    base = Image.blend(Image.blend(base, grey, 0.3), Image.new("RGB", base.size), 0.35)
    # phi counts from centres of pixels, the drawing from their corners.
    places = np.asarray(phi, dtype=float) * (height - 1, width - 1) + 0.5
    radii = _radii(places, (height * width / (phi.shape[0] * phi.shape[1])) ** 0.5)
    # A dark rim sets larger points off from bright ground; it would swallow small ones.
    rim = np.where(radii > 1.5, 0.8, 0.0)
    base.paste((0, 0, 0), mask=_dots_mask(places, radii + rim, base.size))
    base.paste(POINT_COLOUR, mask=_dots_mask(places, radii, base.size))
    return np.asarray(base)


_FINE = 4  # masks are drawn this much larger and then reduced, for smooth edges


def _radii(places: npt.NDArray[Any], spacing: float) -> npt.NDArray[Any]:
    """(h, w) radii: a share of the mean spacing, smaller where neighbours are nearer."""
    nearest = np.full(places.shape[:2], spacing)
    for axis in (0, 1):
        along = np.moveaxis(nearest, axis, 0)
        step = np.linalg.norm(np.diff(np.moveaxis(places, axis, 0), axis=0), axis=-1)
        np.minimum(along[1:], step, out=along[1:])
        np.minimum(along[:-1], step, out=along[:-1])
    largest = min(0.24 * spacing, 6.0)
    return np.clip(0.36 * nearest, min(1.3, largest), largest)


def _dots_mask(places: npt.NDArray[Any], radii: npt.NDArray[Any], size: tuple[int, int]) -> Any:
    from PIL import Image, ImageDraw

    mask = Image.new("L", (size[0] * _FINE, size[1] * _FINE))
    draw = ImageDraw.Draw(mask)
    centres = (places.reshape(-1, 2) * _FINE).tolist()
    for (row, col), radius in zip(centres, (radii.ravel() * _FINE).tolist(), strict=True):
        draw.ellipse((col - radius, row - radius, col + radius, row + radius), fill=255)
    return mask.reduce(_FINE)


def to_data_uri(array: Picture, file_format: str = "png") -> str:
    """Encode an image as a `data:` address, to put into a page.

    Args:
        array: (H, W, 3) or (H, W).
        file_format: "png" (exact; few colours are stored as a palette) or "jpeg".
    """
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(array))
    file = io.BytesIO()
    if file_format == "jpeg":
        # Full colour resolution: single points must not fade.
        image.convert("RGB").save(file, "JPEG", quality=86, subsampling=0, optimize=True)
    elif file_format == "png":
        colours = image.getcolors(256) if image.mode == "RGB" else None
        if colours:
            image = image.quantize(len(colours), dither=Image.Dither.NONE)
        image.save(file, "PNG", optimize=True)
    else:
        raise ValueError(f"file_format is {file_format!r}, must be 'png' or 'jpeg'")
    return f"data:image/{file_format};base64,{base64.b64encode(file.getvalue()).decode()}"


def picture(caption: str, array: Picture, file_format: str = "jpeg") -> dict[str, Any]:
    """An image for a template: "caption", "uri", "width" and "height"."""
    height, width = array.shape[:2]
    uri = to_data_uri(array, file_format)
    return {"caption": caption, "uri": uri, "width": width, "height": height}


def css_colour(colour: npt.NDArray[Any] | Sequence[int]) -> str:
    """A colour (3,) in CSS, such as "#c8140a"."""
    return "#{:02x}{:02x}{:02x}".format(*map(int, colour))
