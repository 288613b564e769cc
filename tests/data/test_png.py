"""PNG files written strip by strip, read by Pillow."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data import png
from frugalseg.data.class_lists.classes import ClassList, SegmentationClass
from frugalseg.data.masks import write_labels
from frugalseg.data.png import write_png
from frugalseg.errors import FrugalsegError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize("block", [100, 1 << 20])
def test_grey_strips_make_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type, rows: int, block: int
) -> None:
    monkeypatch.setattr(png, "_BLOCK", block)
    pixels = RNG.integers(0, np.iinfo(dtype).max + 1, (37, 53)).astype(dtype)
    write_png((pixels[k : k + rows] for k in range(0, 37, rows)), tmp_path / "new" / "a.png")
    with Image.open(tmp_path / "new" / "a.png") as image:
        assert image.mode == ("L" if dtype == np.uint8 else "I;16")
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_every_chunk_has_its_length_and_sum(tmp_path: Path) -> None:
    write_png([np.zeros((9, 7), np.uint8)], tmp_path / "a.png", np.zeros((256, 3), np.uint8))
    content, place, kinds = (tmp_path / "a.png").read_bytes(), 8, []
    while place < len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        kinds.append(content[place + 4 : place + 8])
        assert zlib.crc32(content[place + 4 : end]) == int.from_bytes(content[end : end + 4], "big")
        place = end + 4
    assert kinds == [b"IHDR", b"PLTE", *[b"IDAT"] * (len(kinds) - 3), b"IEND"]


@pytest.mark.parametrize(("other", "mode"), [(7, "P"), (700, "I;16")])
def test_labels_in_strips_are_the_labels_as_a_whole(tmp_path: Path, other: int, mode: str) -> None:
    one, two = (9, 8, 7), (1, 2, 3)
    listed = SegmentationClass("a", 3, one, False), SegmentationClass("b", other, two, False)
    classes = ClassList(listed)
    labels = RNG.choice(np.array([0, 1, 255], np.uint8), (20, 30))
    write_labels(labels, tmp_path / "whole.png", classes)
    write_labels((labels[k : k + 7] for k in range(0, 20, 7)), tmp_path / "strips.png", classes)
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "strips.png").read_bytes()
    with Image.open(tmp_path / "whole.png") as image:
        assert image.mode == mode
        ids = np.where(labels == 255, 255, np.where(labels == 0, 3, other))
        np.testing.assert_array_equal(np.asarray(image), ids)
        if mode == "P":
            colours = np.asarray(image.convert("RGB"))
            assert (colours[labels == 0] == one).all()
            assert (colours[labels == 255] == 255).all()


def test_an_error_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    def strips():
        yield np.zeros((4, 4), np.uint8)
        raise FrugalsegError("no more")

    with pytest.raises(FrugalsegError, match="no more"):
        write_png(strips(), tmp_path / "a.png")
    assert not [*tmp_path.iterdir()]
