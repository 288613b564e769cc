"""Images as cameras and other programs store them: bits, bands, pages, metadata, odd files."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import write_png, write_tiff
from frugalseg.data.check import check_folder
from frugalseg.data.image_file import read_header
from frugalseg.data.image_mask_folder import open_any_folder, open_folder
from frugalseg.data.images import image_size, read_image, remark_lines
from frugalseg.data.masks import read_raw
from frugalseg.errors import FrugalsegError
from odd_files import scene, write_folder

IMAGE, MASK = scene(0)
DEEP = IMAGE.astype(np.uint16)
FOURTH = np.where(MASK == 1, 0, 200).astype(np.uint8)[..., None]


def lines(*paths: Path) -> list[str]:
    return remark_lines((path, remark) for path in paths for remark in read_header(path).remarks)


@pytest.mark.parametrize("bits", [8, 10, 11, 12, 13])
def test_images_that_use_few_of_16_bits_are_said(tmp_path: Path, bits: int) -> None:
    scaled = DEEP * (1 << bits - 8)
    for name, write in (("a.png", write_png), ("a.tif", write_tiff)):
        for samples in (scaled, scaled.max(2)):
            write(tmp_path / name, samples, bits=16)
            (line,) = lines(tmp_path / name)
            assert line.startswith(
                f"Images of 16 bits (1), such as {name}: of each value the upper"
            )
            assert f"values below {1 << bits}, so" in line
            assert line.endswith(
                f"if they hold {bits} bits, multiply their values by {1 << 16 - bits}."
            )
            write(tmp_path / name, samples << 16 - bits, bits=16)
            assert lines(tmp_path / name) == []
            assert (
                read_image(tmp_path / name)[..., 0]
                == (samples << 16 - bits >> 8).reshape(*MASK.shape, -1)[..., 0]
            ).all()


def test_one_bright_image_shows_that_all_bits_are_used(tmp_path: Path) -> None:
    for i in range(3):
        write_png(tmp_path / f"{i}.png", DEEP << 8 * (i == 2), bits=16)
    assert lines(*sorted(tmp_path.iterdir())) == []


def test_bands_beyond_the_first_three(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"

    def read(bands: int, **tags: list[int]) -> np.ndarray:
        write_tiff(path, np.concatenate([IMAGE, *[FOURTH] * (bands - 3)], 2), **tags)
        return read_image(path)

    for bands in (5, 6):
        assert (read(bands, t338=[0] * (bands - 3)) == IMAGE).all()
        assert lines(path) == [
            f"TIFF images of {bands} bands (1), such as a.tif: the first 3 are read as red, green "
            "and blue; if others are meant, save them as RGB."
        ]
    for tags in ({"t338": [0]}, {}):  # nothing says what the fourth is: not transparency
        assert (read(4, **tags) == IMAGE).all()
        assert "images of 4 bands (1), such as a.tif: the fourth is left out" in lines(path)[0]
    laid = read(4, t338=[2])
    assert (laid[MASK == 1] == 255).all()
    assert "whose fourth band is called transparency (1), such as a.tif: they" in lines(path)[0]
    for tags in ({}, {"t338": [0]}, {"t338": [1]}, {"t338": [2]}):
        read(4, **tags)
        assert (read_image(path, bands=4) == np.concatenate([IMAGE, FOURTH], 2)).all()
    read(4, t338=[0], t284=[2])
    with pytest.raises(FrugalsegError, match="stores its bands apart"):
        read_image(path, bands=4)
    read(3)
    assert lines(path) == []
    with pytest.raises(FrugalsegError, match="has 3 bands of 8 bits; four bands of 8"):
        read_image(path, bands=4)


@pytest.mark.parametrize("bands", [2, 7, 8, 300])
def test_bands_that_cannot_be_read_are_counted(tmp_path: Path, bands: int) -> None:
    samples = np.zeros((4, 4, bands), np.uint16)
    write_tiff(tmp_path / "a.tif", samples, bits=16, photometric=1, t338=[0] * (bands - 1))
    with pytest.raises(FrugalsegError, match=rf"a\.tif is a TIFF file of {bands} bands of 16 bits"):
        read_image(tmp_path / "a.tif")


def test_pages_beyond_the_first_are_said(tmp_path: Path) -> None:
    said = "Files of several pages or frames (1), such as {}: only the first is read; save each"
    write_tiff(tmp_path / "a.tif", IMAGE, IMAGE[::2])
    frames = [Image.fromarray(np.roll(IMAGE, 9 * i, 1)) for i in range(3)]
    for name in ("b.gif", "b.png", "b.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    for path in sorted(tmp_path.iterdir()):
        assert lines(path)[0].startswith(said.format(path.name))
        assert image_size(path) == MASK.shape
    assert (read_image(tmp_path / "a.tif") == IMAGE).all()
    assert (read_image(tmp_path / "b.png") == IMAGE).all()
    write_tiff(tmp_path / "odd.tif", IMAGE, np.zeros((4, 4, 7), np.uint8))
    assert lines(tmp_path / "odd.tif")[0].startswith(said.format("odd.tif"))
    write_tiff(tmp_path / "pyramid.tif", IMAGE, IMAGE[::2, ::2], IMAGE[::4, ::4], t254=[1])
    assert lines(tmp_path / "pyramid.tif") == []


def test_the_12_bits_of_a_tiff_file_are_known(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (4, 6))
    packed = np.packbits((values[..., None] >> np.arange(11, -1, -1) & 1).astype(np.uint8))
    write_tiff(tmp_path / "a.tif", packed.reshape(4, 9), t258=[12])
    content = bytearray((tmp_path / "a.tif").read_bytes())
    width = content.index(b"\x00\x01\x04\x00")  # tag 256 of type long
    content[width + 8] = 6
    (tmp_path / "a.tif").write_bytes(content)
    assert (read_image(tmp_path / "a.tif")[..., 0] == values >> 4).all()


def turn(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)


@pytest.mark.parametrize(
    ("size", "image", "mask", "said"),
    [
        ((96, 128), 1, 1, False),
        ((96, 128), 3, 1, True),
        ((96, 128), 2, 2, False),
        ((96, 128), 1, 4, True),
        ((128, 128), 6, 1, True),
        ((128, 128), 6, 6, False),
    ],
)
def test_turned_images_whose_masks_may_not_be(
    tmp_path: Path, size: tuple[int, int], image: int, mask: int, said: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    root = write_folder(tmp_path, 3, size)
    for i in range(2):
        turn(root / "images" / f"s0{i}.png", image)
        turn(root / "masks" / f"s0{i}.png", mask)
    start = "Masks of images that are turned by their EXIF orientation (2), such as s00.png"
    hints = check_folder(root).hints
    assert [hint.startswith(start) for hint in hints] == [True] * said
    open_folder(root)
    open_any_folder(root, "folder")
    assert [record.message for record in caplog.records] == [*hints, *hints]


def test_a_mask_that_lies_as_its_turned_image_is_no_question(tmp_path: Path) -> None:
    root = write_folder(tmp_path, 3)
    path = root / "images" / "s00.png"
    Image.fromarray(np.rot90(IMAGE)).save(path)
    turn(path, 6)
    assert not check_folder(root).hints


def test_much_text_does_not_spoil_an_image(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", IMAGE, text=b"<x>" + b" " * (3 << 20) + b"</x>")
    write_png(tmp_path / "b.png", MASK, text=b" " * (3 << 20))
    assert (read_image(tmp_path / "a.png") == IMAGE).all()
    assert image_size(tmp_path / "a.png") == MASK.shape
    assert (read_raw(tmp_path / "b.png") == MASK).all()


def test_only_listed_formats_are_opened(tmp_path: Path) -> None:
    for name in ("EPS", "TGA", "PCX", "ICO"):
        path = tmp_path / f"{name}.png"
        Image.fromarray(IMAGE).save(path, name)
        with Image.open(path) as image:
            assert image.format == name  # Pillow would open it
        for read in (read_image, image_size, read_raw):
            with pytest.raises(FrugalsegError, match=rf"{name}\.png is not an image, or of a kind"):
                read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("read", [read_image, image_size, read_raw])
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name, kind in (("a", "pipe"), ("b", "device")):
        with pytest.raises(FrugalsegError, match=rf"{name}\.png is a {kind}"):
            read(tmp_path / f"{name}.png")  # type: ignore[operator]
