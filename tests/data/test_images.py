from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile
from scipy import ndimage

from frugalseg.data.image_file import ImageHeader, read_header
from frugalseg.data.image_mask_folder import open_any_folder
from frugalseg.data.images import (
    as_pixels,
    image_size,
    read_image,
    resize_image,
    scaled_size,
    square,
)
from frugalseg.errors import FrugalsegError

TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def smooth_picture(height: int = 23, width: int = 37) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (height, width, 3))
    return ndimage.gaussian_filter(noise, (4, 4, 0), mode="nearest").round().astype(np.uint8)


def block_means(pixels: np.ndarray, reduce: int) -> np.ndarray:
    rows, cols = (np.arange(0, n, reduce) for n in pixels.shape[:2])
    return np.stack(
        [[pixels[r : r + reduce, c : c + reduce].mean((0, 1)) for c in cols] for r in rows]
    )


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    picture = smooth_picture()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    options = {"jpg": {"quality": 98, "subsampling": 0}, "webp": {"lossless": True}}
    Image.fromarray(picture).save(path, exif=exif, **options.get(suffix, {}))
    upright = TURNED[orientation](picture)
    read = read_image(path)
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).max() <= (6 if suffix == "jpg" else 0)
    assert image_size(path) == upright.shape[:2]
    means = block_means(read.astype(float), 4)
    assert np.abs(read_image(path, reduce=4) - means).max() <= (6 if suffix == "jpg" else 1)


def test_png_with_exif_behind_the_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth_picture()).save(tmp_path / "a.png", exif=exif)
    data = (tmp_path / "a.png").read_bytes()
    start, pixels = data.index(b"eXIf") - 4, data.index(b"IDAT") - 4
    end = data.index(b"IEND") - 4
    assert start < pixels
    moved = data[:start] + data[pixels:end] + data[start:pixels] + data[end:]
    (tmp_path / "b.png").write_bytes(moved)
    assert image_size(tmp_path / "b.png") == image_size(tmp_path / "a.png") == (37, 23)
    assert (read_image(tmp_path / "b.png") == read_image(tmp_path / "a.png")).all()


def test_sizes_are_read_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in ("jpg", "png", "tif", "webp"):
        Image.fromarray(smooth_picture()).save(tmp_path / f"a.{suffix}")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    for suffix in ("jpg", "png", "tif", "webp"):
        assert read_header(tmp_path / f"a.{suffix}") == ImageHeader((23, 37), "RGB", 1, ())


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (3, 2), 77), (77, 77, 77)),
        (Image.new("1", (3, 2), 1), (255, 255, 255)),
        (Image.new("RGBA", (3, 2), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("RGBA", (3, 2), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("RGBA", (3, 2), (0, 0, 0, 51)), (204, 204, 204)),
        (Image.new("LA", (3, 2), (0, 0)), (255, 255, 255)),
        (Image.new("RGB", (3, 2), (1, 2, 3)), (1, 2, 3)),
    ],
    ids=["L", "1", "opaque", "clear", "half", "LA", "RGB"],
)
def test_modes(tmp_path: Path, image: Image.Image, expected: tuple[int, int, int]) -> None:
    image.save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.shape == (2, 3, 3)
    assert read.dtype == np.uint8
    assert (read == expected).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_keep_the_upper_8(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 255, 256, 4095, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    assert read_image(tmp_path / f"a.{suffix}")[0, :, 1].tolist() == (values[0] >> 8).tolist()


def test_palettes_are_looked_up_and_transparency_is_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([200, 100, 50, 1, 2, 3])
    image.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[200, 100, 50], [1, 2, 3]]
    for number, transparency in enumerate((1, b"\xff\x00")):
        image.save(tmp_path / f"{number}.png", transparency=transparency)
        assert read_image(tmp_path / f"{number}.png")[0].tolist() == [[200, 100, 50], [255] * 3]


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=98)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - (0, 255, 255)).max() <= 3
    assert read_image(tmp_path / "a.jpg", reduce=2).shape == (8, 8, 3)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("reduce", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 8), (9, 17), (64, 40), (5, 100)])
def test_reduced_images_are_block_means(
    tmp_path: Path, size: tuple[int, int], reduce: int, suffix: str
) -> None:
    picture = smooth_picture(*size)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture).save(path, **({"quality": 98} if suffix == "jpg" else {}))
    read = read_image(path, reduce)
    expected = block_means(read_image(path).astype(float), reduce)
    assert read.shape == expected.shape
    assert np.abs(read - expected).max() <= (10 if suffix == "jpg" else 1)


def test_reduce_must_be_a_power_of_two(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3"):
        read_image(tmp_path / "a.png", reduce=3)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp"])
def test_truncated_files_are_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(FrugalsegError, match=rf"photo\.{suffix}"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, image_size])
def test_what_is_no_image_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").touch()
    with pytest.raises(FrugalsegError, match=r"text\.jpg is not an image"):
        read(tmp_path / "text.jpg")
    with pytest.raises(FrugalsegError, match=r"empty\.png is not an image"):
        read(tmp_path / "empty.png")
    with pytest.raises(FrugalsegError, match=r"none\.png: there is no such file"):
        read(tmp_path / "none.png")
    with pytest.raises(FrugalsegError, match="is a folder"):
        read(tmp_path)


def test_floating_point_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(FrugalsegError, match="floating-point"):
        read_image(tmp_path / "a.tif")


def test_panoramas_are_no_bombs(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "a.png")  # 200 million pixels
    assert image_size(tmp_path / "a.png") == (10_000, 20_000)


def test_a_file_that_may_not_be_read_is_not_called_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: object, **rest: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "open", deny)
    with pytest.raises(FrugalsegError, match=r"a\.png cannot be read \(Permission denied\)\.$"):
        read_image(tmp_path / "a.png")


def test_infrared_is_read_and_resized_on_its_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 4), np.uint8)
    pixels[..., 3] = 0  # as transparency it would wipe out the colours
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.tif")
    read = read_image(tmp_path / "a.tif", bands=4)
    np.testing.assert_array_equal(read, pixels)
    small = resize_image(read, (4, 6))
    assert small.shape == (4, 6, 4)
    np.testing.assert_array_equal(small[..., :3], resize_image(pixels[..., :3], (4, 6)))
    assert scaled_size((100, 300), 50) == (50, 150)
    assert scaled_size((100, 300), 0) == (100, 300)
    Image.new("L", (10, 8)).save(tmp_path / "grey.png")
    with pytest.raises(FrugalsegError, match="1 band of 8 bits"):
        read_image(tmp_path / "grey.png", bands=4)
    assert (as_pixels(tmp_path / "a.tif", 4) == as_pixels(pixels, 4)).all()
    with pytest.raises(FrugalsegError, match=r"\(height, width, 3\) of uint8, not \(8, 12, 4\)"):
        as_pixels(pixels)


def test_infrared_lies_beside_its_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 4), np.uint8)
    for folder, part in (("images", pixels[..., :3]), ("infrared", pixels[..., 3])):
        (tmp_path / folder / "deep").mkdir(parents=True)
        Image.fromarray(part).save(tmp_path / folder / "deep" / "a.png")
    path = tmp_path / "images" / "deep" / "a.png"
    np.testing.assert_array_equal(read_image(path, bands=4), pixels)
    assert open_any_folder(tmp_path, bands=4).read(0).shape == (8, 12, 4)
    Image.new("L", (3, 3)).save(tmp_path / "infrared" / "deep" / "a.png")
    with pytest.raises(FrugalsegError, match="has 3x3 pixels, its image 8x12"):
        read_image(path, bands=4)
    (tmp_path / "photos").mkdir()
    path.rename(tmp_path / "photos" / "a.png")
    with pytest.raises(FrugalsegError, match="is not below a folder images"):
        read_image(tmp_path / "photos" / "a.png", bands=4)


def test_squares_are_the_resized_centre() -> None:
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (square(image, 10)[:, 1:-1] == 200).all()
    big = np.random.default_rng(0).integers(0, 256, (40, 40, 1), np.uint8)
    mean = big.reshape(10, 4, 10, 4).mean((1, 3))
    # the triangle filter is wider than the box: close on smooth pictures alone
    smooth = np.linspace(0, 255, 40).astype(np.uint8)[None, :, None].repeat(40, 0)
    expected = smooth.reshape(10, 4, 10, 4).mean((1, 3))
    np.testing.assert_allclose(square(smooth, 10)[..., 0][:, 1:-1], expected[:, 1:-1], atol=2)
    assert square(big, 10).shape == (10, 10, 1)
    assert abs(square(big, 10).mean() - mean.mean()) < 8
