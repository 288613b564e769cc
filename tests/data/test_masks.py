import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from encoders import write_png, write_tiff
from frugalseg.data.class_lists.classes import ClassList, SegmentationClass
from frugalseg.data.image_file import read_header
from frugalseg.data.masks import read_mask, read_raw, write_labels
from frugalseg.errors import FrugalsegError

CLASSES = ClassList(
    (
        SegmentationClass("ground", 0, (0, 0, 0)),
        SegmentationClass("leaf", 4, (0, 200, 0)),
        SegmentationClass("void", 9, (128, 128, 128)),
        SegmentationClass("spot", 7, (255, 0, 0), target=True),
    ),
    frozenset({9}),
)
IDS = np.array([[0, 4, 7], [9, 255, 7]], np.uint8)
INDICES = [[0, 1, 2], [255, 255, 2]]


def test_grey_masks_hold_ids(tmp_path: Path) -> None:
    for suffix in ("png", "tif", "bmp"):
        Image.fromarray(IDS).save(tmp_path / f"a.{suffix}")
        assert read_mask(tmp_path / f"a.{suffix}", CLASSES).tolist() == INDICES


def test_palette_masks_hold_ids_unless_the_colours_are_listed(tmp_path: Path) -> None:
    image = Image.fromarray(IDS)
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    image.save(tmp_path / "a.png")
    assert read_header(tmp_path / "a.png").mode == "P"
    assert read_mask(tmp_path / "a.png", CLASSES).tolist() == INDICES


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_wide_ids(tmp_path: Path, dtype: type) -> None:
    classes = ClassList(
        (SegmentationClass("a", 300, (0, 0, 0)), SegmentationClass("b", 60000, (1, 1, 1)))
    )
    Image.fromarray(np.array([[300, 60000, 255]], dtype)).save(tmp_path / "a.tif")
    assert read_mask(tmp_path / "a.tif", classes).tolist() == [[0, 1, 255]]


def test_masks_of_one_bit(tmp_path: Path) -> None:
    classes = ClassList(
        (SegmentationClass("no", 0, (0, 0, 0)), SegmentationClass("yes", 1, (1, 1, 1)))
    )
    Image.fromarray(np.array([[False, True]])).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", classes).tolist() == [[0, 1]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_masks(tmp_path: Path, mode: str) -> None:
    rgb = np.array([[[0, 0, 0], [0, 200, 0], [128, 128, 128], [255, 0, 0]]], np.uint8)
    Image.fromarray(rgb).convert(mode).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png", CLASSES).tolist() == [[0, 1, 255, 2]]


def test_unknown_colours_are_named(tmp_path: Path) -> None:
    rgb = np.zeros((2, 3, 3), np.uint8)
    rgb[0] = (1, 2, 254)
    Image.fromarray(rgb).save(tmp_path / "odd.png")
    with pytest.raises(FrugalsegError, match=r"odd\.png: colour #0102fe \(3 pixels\)"):
        read_mask(tmp_path / "odd.png", CLASSES)


def test_unknown_ids_are_named_with_file_and_pixels(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3, 3]], np.uint8)).save(tmp_path / "odd.png")
    with pytest.raises(FrugalsegError, match=r"odd\.png: id 3 \(2 pixels\) is not in"):
        read_mask(tmp_path / "odd.png", CLASSES)


def test_an_orientation_turns_a_mask_as_it_turns_an_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(IDS).save(tmp_path / "a.png", exif=exif)
    assert read_raw(tmp_path / "a.png").tolist() == np.rot90(IDS, -1).tolist()


def test_broken_masks_are_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 9, (90, 90), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:1500])
    with pytest.raises(FrugalsegError, match=r"a\.png cannot be read"):
        read_mask(tmp_path / "a.png", CLASSES)
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(FrugalsegError, match=r"f\.tif.*floating"):
        read_mask(tmp_path / "f.tif", CLASSES)


def test_written_labels_hold_ids_and_show_colours(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.png"
    write_labels(np.array(INDICES, np.uint8), path, CLASSES)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert np.array(image).tolist() == [[0, 4, 7], [255, 255, 7]]
        assert np.array(image.convert("RGB"))[0].tolist() == [[0, 0, 0], [0, 200, 0], [255, 0, 0]]
    assert read_mask(path, CLASSES).tolist() == INDICES
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_written_labels_with_wide_ids(tmp_path: Path) -> None:
    classes = ClassList((SegmentationClass("a", 999, (0, 0, 0)),))
    write_labels(np.array([[0, 255]], np.uint8), tmp_path / "a.png", classes)
    assert read_raw(tmp_path / "a.png").tolist() == [[999, 255]]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_text("old")

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if self.tell() > 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    with monkeypatch.context() as full:
        full.setattr(Path, "open", lambda self, mode: Full(self, mode))
        with pytest.raises(FrugalsegError, match=r"a\.png cannot be written \(No space left"):
            write_labels(np.zeros((2, 2), np.uint8), path, CLASSES)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FrugalsegError, match="cannot be written"):
        write_labels(np.zeros((2, 2), np.uint8), tmp_path / "file" / "a.png", CLASSES)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_channels_of_16_bits_are_refused(tmp_path: Path, channels: int) -> None:
    ones = np.ones((2, 2, channels), np.uint16)  # of which the upper bits are those of a class
    for name, write in (("deep.png", write_png), ("deep.tif", write_tiff)):
        if channels > 2 or write is write_png:
            write(tmp_path / name, ones, bits=16)
            with Image.open(tmp_path / name) as image:
                assert np.array(image)[..., 0].max() == 0
            with pytest.raises(FrugalsegError, match=rf"{name} has 16 bits a channel.* with 8"):
                read_mask(tmp_path / name, CLASSES)


def test_ids_of_16_bits_in_one_channel_are_read(tmp_path: Path) -> None:
    write_png(tmp_path / "ids.png", np.full((2, 2), 4, np.uint16), bits=16)
    assert read_mask(tmp_path / "ids.png", CLASSES).tolist() == [[1, 1], [1, 1]]
