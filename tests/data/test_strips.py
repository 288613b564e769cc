"""Large images read in strips are what Pillow makes of the whole."""

import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, TiffTags

from encoders import write_tiff
from frugalseg.data import images, strips
from frugalseg.data.images import read_image
from frugalseg.errors import FrugalsegError

HEIGHT, WIDTH = 61, 47
RNG = np.random.default_rng(0)
SLOPE = np.add.outer(3 * np.arange(HEIGHT), 2 * np.arange(WIDTH))[..., None] + [0, 60, 20]
COLOURS = (SLOPE + RNG.integers(0, 9, SLOPE.shape)).astype(np.uint8)


@pytest.fixture(autouse=True)
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every image is read in strips of few rows; holds the rows of those that were read."""
    rows: list[int] = []

    def counted(image: Image.Image, path: Path, multiple: int) -> Iterator[Image.Image] | None:
        found = strips.read_strips(image, path, multiple)
        return None if found is None else (rows.append(s.height) or s for s in found)  # type: ignore[func-returns-value]

    monkeypatch.setattr(strips, "_LARGE", 0)
    monkeypatch.setattr(strips, "_STRIP", 8 * WIDTH)
    monkeypatch.setattr(images, "read_strips", counted)
    return rows


def whole(path: Path, reduce: int) -> Any:
    """The image reduced by means over squares, through Pillow alone."""
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return np.asarray(image.convert("RGB").reduce(reduce))


def picture(mode: str) -> Image.Image:
    image = Image.fromarray(COLOURS)
    if mode == "I;16":
        return Image.fromarray(COLOURS[..., 0].astype(np.uint16) << 8)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(COLOURS[..., 1]))
    return image.quantize(200) if mode == "P" else image.convert(mode)


@pytest.mark.parametrize("reduce", [2, 4, 8])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "I;16", "P", "P see-through"])
def test_png_of_every_mode(tmp_path: Path, count: list[int], mode: str, reduce: int) -> None:
    path = tmp_path / "a.png"
    options = {"transparency": 3} if mode == "P see-through" else {}
    picture(mode.split()[0]).save(path, **options)
    np.testing.assert_array_equal(read_image(path, reduce), whole(path, reduce))
    assert sum(count) == HEIGHT
    assert len(count) > 5


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(rows: np.ndarray, depth: int, colour_type: int, step: int, parts: int = 1) -> bytes:
    """A PNG of rows of bytes, whose filters change from row to row, in some IDAT chunks."""
    height, length = rows.shape
    padded = np.zeros((height + 1, length + step), np.int64)
    padded[1:, step:] = rows
    left, above, corner = padded[1:, :-step], padded[:-1, step:], padded[:-1, :-step]
    estimate = left + above - corner
    candidates = np.stack([left, above, corner])
    nearest = np.abs(estimate - candidates).argmin(0)  # the first of equals, as the standard says
    paeth = np.take_along_axis(candidates, nearest[None], 0)[0]
    predictions = np.stack([0 * left, left, above, (left + above) // 2, paeth])
    kinds = RNG.integers(0, 5, height)
    kinds[:5] = [4, 3, 2, 1, 0][:height]
    filtered = (rows - predictions[kinds, np.arange(height)]) % 256
    stream = zlib.compress(np.c_[kinds, filtered].astype(np.uint8).tobytes())
    width = length // step
    header = b"".join(n.to_bytes(4, "big") for n in (width, height))
    header += bytes([depth, colour_type, 0, 0, 0])
    cuts = np.linspace(0, len(stream), parts + 1).astype(int)
    pixels = (chunk(b"IDAT", stream[a:b]) for a, b in pairwise(cuts))
    end = chunk(b"IEND", b"")
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *pixels, end])


@pytest.mark.parametrize(
    ("depth", "colour_type", "step"), [(8, 0, 1), (8, 2, 3), (8, 6, 4), (16, 2, 6), (16, 6, 8)]
)
def test_png_of_every_filter(
    tmp_path: Path, count: list[int], depth: int, colour_type: int, step: int
) -> None:
    path = tmp_path / "a.png"
    rows = RNG.integers(0, 256, (HEIGHT, WIDTH * step))
    path.write_bytes(png(rows, depth, colour_type, step, parts=7))
    np.testing.assert_array_equal(read_image(path, 4), whole(path, 4))
    assert len(count) > 5


def test_a_png_that_breaks_off_is_refused(tmp_path: Path) -> None:
    content = png(COLOURS.reshape(HEIGHT, -1), 8, 2, 3)
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(FrugalsegError, match=r"a\.png cannot be read as an image \(.*truncated"):
        read_image(tmp_path / "a.png", 4)


def test_an_interlaced_png_and_other_formats_are_read_as_a_whole(
    tmp_path: Path, count: list[int]
) -> None:
    # of one pixel, both orders of pixels are the same
    plain = png(np.array([[90]]), 8, 0, 1)
    header = plain[16:28] + b"\1"
    (tmp_path / "a.png").write_bytes(plain[:8] + chunk(b"IHDR", header) + plain[33:])
    assert read_image(tmp_path / "a.png", 2).tolist() == [[[90] * 3]]
    picture("RGB").save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp", 4), whole(tmp_path / "a.bmp", 4))
    assert not count


@pytest.mark.parametrize("where", ["before", "behind", "tif"])
def test_an_image_to_be_turned_is_turned(tmp_path: Path, count: list[int], where: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / ("a.tif" if where == "tif" else "a.png")
    picture("RGB").save(path, exif=Image.Exif() if where == "behind" else exif)
    if where == "behind":
        content, end = path.read_bytes(), chunk(b"IEND", b"")
        late = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        path.write_bytes(content.removesuffix(end) + late + end)
    turned = Image.fromarray(COLOURS).transpose(Image.Transpose.ROTATE_270)
    np.testing.assert_array_equal(read_image(path, 4), np.asarray(turned.reduce(4)))
    assert not count


@pytest.mark.parametrize("reduce", [2, 8])
@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *[(mode, None) for mode in ("RGB", "RGBA", "L", "1", "I;16", "P", "CMYK")],
        *[("RGB", name) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")],
        ("1", "group4"),
        ("I;16", "tiff_lzw"),
    ],
)
@pytest.mark.parametrize("size", [1 << 16, 1000])  # one strip, or many
def test_tiff_of_strips(
    tmp_path: Path, count: list[int], mode: str, compression: str | None, size: int, reduce: int
) -> None:
    path = tmp_path / "a.tif"
    picture(mode).save(path, compression=compression, strip_size=size)
    np.testing.assert_array_equal(read_image(path, reduce), whole(path, reduce))
    if compression is None or (size == 1000 and mode != "1"):
        assert sum(count) == HEIGHT
        assert len(count) > 1


@pytest.mark.parametrize(("bands", "more"), [(4, [0]), (4, [2]), (5, [0, 0])])
def test_tiff_of_more_bands_is_read_as_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: list[int], bands: int, more: list[int]
) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, RNG.integers(0, 256, (HEIGHT, WIDTH, bands)), t338=more)
    in_strips = read_image(path, 4)
    assert sum(count) == HEIGHT
    monkeypatch.setattr(strips, "_LARGE", 1 << 30)
    np.testing.assert_array_equal(in_strips, read_image(path, 4))


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("prefix", [b"II", b"MM"])
def test_tiff_of_tiles(tmp_path: Path, count: list[int], compression: int, prefix: bytes) -> None:
    side = 16
    padded = np.pad(COLOURS, ((0, -HEIGHT % side), (0, -WIDTH % side), (0, 0)))
    tiles = padded.reshape(-1, side, padded.shape[1] // side, side, 3).swapaxes(1, 2)
    data = [tile.tobytes() for row in tiles for tile in row]
    data = [zlib.compress(tile) for tile in data] if compression == 8 else data
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=prefix)
    places = np.cumsum([0, *map(len, data[:-1])])
    values: dict[int, Any] = {256: WIDTH, 257: HEIGHT, 258: (8, 8, 8), 259: compression, 262: 2}
    values |= {277: 3, 322: side, 323: side, 325: [*map(len, data)], 324: places.tolist()}
    for tag, value in values.items():
        directory.tagtype[tag] = TiffTags.LONG
        directory[tag] = value
    directory[324] = [8 + len(directory.tobytes(8)) + int(place) for place in places]
    path = tmp_path / "a.tif"
    with path.open("wb") as file:
        directory.save(file)
        file.write(b"".join(data))
    np.testing.assert_array_equal(
        read_image(path, 8), np.asarray(Image.fromarray(COLOURS).reduce(8))
    )
    assert count == [16, 16, 16, 13]
