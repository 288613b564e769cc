"""Read large PNG and TIFF files in strips of some rows, so that they need not fit in memory."""

import io
import math
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from PIL import Image, TiffTags
from PIL import TiffImagePlugin as Tiff
from PIL.ImageFile import ImageFile

from frugalseg.data.png import read_png_strips

_LARGE = 1 << 25  # pixels; smaller images are decoded as a whole
_STRIP = 1 << 23  # pixels decoded at a time, about
# tags of TIFF files that say what pixels mean: besides sizes, and where the pixels lie
_BITS, _COMPRESSION, _COLOURS = 258, 259, 262
_MEANING = (
    *(_BITS, _COMPRESSION, _COLOURS, 266, 277, 282, 283, 284, 292, 293, 317, 320, 322, 323, 338),
    *(339, 347, 529, 530, 531, 532),
)
_TILE_WIDTH, _TILE_LENGTH, _TILES = 322, 323, (324, 325)  # their places and sizes in bytes
_STRIPS = 273, 279


def read_strips(image: ImageFile, path: Path, multiple: int) -> Iterator[ImageFile] | None:
    """Read a large file in strips, from top to bottom.

    Args:
        image: the opened file.
        path: the file.
        multiple: the rows of each strip but the last are a multiple of it.

    Returns:
        Opened images, each as Pillow would open the whole, not turned by EXIF; None if the image is
        small, or cannot be decoded in strips: another format, an interlaced PNG, a TIFF of one
        compressed strip or with each channel apart.
    """
    if image.width * image.height < _LARGE:
        return None
    rows = max(1, _STRIP // image.width // multiple) * multiple
    if image.format == "PNG":
        return read_png_strips(path, rows)
    if isinstance(image, Tiff.TiffImageFile):
        return _read_tiff_strips(image.tag_v2, path, rows, multiple)
    return None


def _read_tiff_strips(
    tags: Tiff.ImageFileDirectory_v2, path: Path, rows: int, multiple: int
) -> Iterator[ImageFile] | None:
    """The strips or rows of tiles of a TIFF file, some at a time, as files of their own."""
    width, height = tags[Tiff.IMAGEWIDTH], tags[Tiff.IMAGELENGTH]
    places, sizes = _TILES if _TILES[0] in tags else _STRIPS
    if tags.get(Tiff.PLANAR_CONFIGURATION, 1) != 1 or sizes not in tags:
        return None
    pieces = list(zip(tags[places], tags[sizes], strict=True))
    if (places, sizes) == _TILES:
        unit, across = tags[_TILE_LENGTH], -(-width // tags[_TILE_WIDTH])
    else:
        unit, across = tags.get(Tiff.ROWSPERSTRIP, height), 1
        plain = tags.get(_COMPRESSION, 1) == 1 and tags.get(_COLOURS) != 6  # YCbCr, in blocks
        if unit >= height and plain:  # rows lie at known places
            length = -(-width * sum(tags.get(_BITS, (1,))) // 8)
            unit, pieces = 1, [(pieces[0][0] + row * length, length) for row in range(height)]
    count = multiple // math.gcd(unit, multiple)  # units whose rows together are a multiple
    count *= max(1, rows // (count * unit))
    return None if count * unit >= height else _strips(tags, path, pieces, unit, count, across)


def _strips(
    tags: Tiff.ImageFileDirectory_v2,
    path: Path,
    pieces: list[tuple[int, int]],
    unit: int,
    count: int,
    across: int,
) -> Iterator[ImageFile]:
    """Files of `count` times `unit` rows each, made of `count` times `across` pieces."""
    directory = Tiff.ImageFileDirectory_v2(prefix=tags.prefix)
    for tag in _MEANING:
        if tag in tags:
            directory.tagtype[tag] = tags.tagtype[tag]
            directory[tag] = tags[tag]
    places, sizes = _TILES if _TILES[0] in tags else _STRIPS
    for tag in (Tiff.IMAGEWIDTH, Tiff.IMAGELENGTH, Tiff.ROWSPERSTRIP, places, sizes):
        directory.tagtype[tag] = TiffTags.LONG
    directory[Tiff.IMAGEWIDTH], directory[Tiff.ROWSPERSTRIP] = tags[Tiff.IMAGEWIDTH], unit
    height = tags[Tiff.IMAGELENGTH]
    with path.open("rb") as file:
        for top in range(0, height, count * unit):
            data = []
            for place, size in pieces[top // unit * across :][: count * across]:
                file.seek(place)
                data.append(file.read(size))
            lengths = [*map(len, data)]
            starts = [*accumulate(lengths[:-1], initial=0)]
            directory[Tiff.IMAGELENGTH] = min(count * unit, height - top)
            directory[places], directory[sizes] = starts, lengths
            if places == _TILES[0]:  # strips are moved behind the directory by Pillow
                behind = 8 + len(directory.tobytes(8))
                directory[places] = [behind + start for start in starts]
            content = io.BytesIO()
            directory.save(content)
            content.write(b"".join(data))
            content.seek(0)
            yield Image.open(content)
