"""Masks as other programs store them: few bits, palettes, equal channels, numbers of objects."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import write_png, write_tiff
from frugalseg.data.check import check_folder
from frugalseg.data.class_lists.classes import ClassList, SegmentationClass
from frugalseg.data.class_lists.statistics import count_ids, instance_hint
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.masks import read_mask, read_raw
from frugalseg.errors import FrugalsegError
from odd_files import CLASSES, COLOURS, scene, write_folder

LISTED = ClassList(
    tuple(
        SegmentationClass(name, id_, tuple(map(int, COLOURS[id_])))
        for id_, name in enumerate(("ground", "sky", "ball"))
    )
)


def samples(bits: int) -> np.ndarray:
    """All values of so many bits, in rows that do not end with a byte."""
    return np.random.default_rng(bits).integers(0, 1 << bits, (9, 13))


def store(path: Path, numbers: np.ndarray, palette: np.ndarray) -> None:
    image = Image.fromarray(numbers.astype(np.uint8))
    image.putpalette(palette.astype(np.uint8).tobytes())
    image.save(path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_values_of_any_number_of_bits_are_read_as_stored(tmp_path: Path, bits: int) -> None:
    values = samples(bits)
    write_png(tmp_path / "a.png", values, bits)
    assert (read_raw(tmp_path / "a.png") == values).all()
    for white_is_zero in (False, True):
        write_tiff(tmp_path / "a.tif", values, bits=bits, photometric=int(not white_is_zero))
        assert (read_raw(tmp_path / "a.tif") == values).all()


@pytest.mark.parametrize("top", [1, 3, 15, 200, 255, 1000, 65535])
def test_grey_values_of_pgm_files_are_read_as_stored(tmp_path: Path, top: int) -> None:
    values = np.random.default_rng(top).integers(0, top + 1, (5, 7))
    raw = values.astype(">u2" if top > 255 else "u1").tobytes()
    (tmp_path / "raw.pgm").write_bytes(b"P5 7 5 %d\n" % top + raw)
    (tmp_path / "plain.pgm").write_text(f"P2 7 5 {top}\n{' '.join(map(str, values.ravel()))}\n")
    for name in ("raw", "plain"):
        assert (read_raw(tmp_path / f"{name}.pgm") == values).all()


def test_bitmaps_are_read_as_stored(tmp_path: Path) -> None:
    values = samples(1)
    (tmp_path / "a.pgm").write_bytes(b"P4 13 9\n" + np.packbits(values, 1).tobytes())
    assert (read_raw(tmp_path / "a.pgm") == values).all()
    for suffix in ("bmp", "png", "gif", "tif"):
        Image.fromarray(values.astype(bool)).save(tmp_path / f"a.{suffix}")
        assert ((read_raw(tmp_path / f"a.{suffix}") > 0) == values).all()
    assert read_raw(tmp_path / "a.bmp").max() == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_colours_of_the_class_list_decide(tmp_path: Path, order: tuple[int, ...]) -> None:
    _, mask = scene(0)
    place = np.argsort(order)  # palette entry k holds the colour of class order[k]
    store(tmp_path / "a.png", place[mask], COLOURS[list(order)])
    assert (read_mask(tmp_path / "a.png", LISTED) == mask).all()
    assert (read_raw(tmp_path / "a.png") == place[mask]).all()  # without a list


def test_a_palette_of_a_quantiser_is_read_by_its_colours(tmp_path: Path) -> None:
    _, mask = scene(1)
    rgb = Image.fromarray(COLOURS[mask])
    rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=8).save(tmp_path / "a.png")
    assert (read_mask(tmp_path / "a.png", LISTED) == mask).all()


def test_ids_and_colours_in_other_orders_and_a_mapping_of_ids(tmp_path: Path) -> None:
    classes = ClassList(
        (
            SegmentationClass("far", 300, (9, 9, 9)),
            SegmentationClass("near", 7, (0, 0, 0)),
        )
    )
    store(tmp_path / "a.png", np.array([[0, 1, 1]]), np.array([[9, 9, 9], [0, 0, 0]]))
    assert read_mask(tmp_path / "a.png", classes).tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("numbers", "palette"),
    [
        ([0, 1], [[1, 2, 3], [110, 110, 100]]),  # a colour that is not listed
        ([0, 0], [[60, 90, 200], [1, 2, 3]]),  # one class, in a palette of other colours
        ([0, 0], [[60, 90, 200]]),  # nothing but one colour
        ([0, 1], [[60, 90, 200], [60, 90, 200]]),  # two classes of one colour
        ([0, 2], [[0, 0, 0]] * 256),
    ],
)
def test_otherwise_numbers_decide(
    tmp_path: Path, numbers: list[int], palette: list[list[int]]
) -> None:
    store(tmp_path / "a.png", np.array([numbers]), np.array(palette))
    assert read_mask(tmp_path / "a.png", LISTED).tolist() == [numbers]


def test_one_class_in_the_palette_of_the_list(tmp_path: Path) -> None:
    store(tmp_path / "a.png", np.array([[0, 0]]), COLOURS[[1, 0, 2]])
    assert read_mask(tmp_path / "a.png", LISTED).tolist() == [[1, 1]]


def remarks(root: Path) -> list[str]:
    """What checking a folder says as hints; opening it for a run must say the same."""
    return list(check_folder(root).hints)


def test_what_was_guessed_of_masks_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(tmp_path, 4)
    masks = sorted((root / "masks").iterdir())
    ids = [np.array(Image.open(path)) for path in masks]

    def said(*starts: str) -> None:
        caplog.clear()
        open_folder(root)
        assert [record.message for record in caplog.records] == remarks(root)
        assert len(remarks(root)) == len(starts)
        for start, remark in zip(starts, remarks(root), strict=True):
            assert remark.startswith(start)

    said()
    for path, mask in zip(masks, ids, strict=True):
        Image.fromarray(np.stack([mask] * 3, -1)).save(path)
    said("Masks of three equal channels (4), such as s00.png: their values are read as ids")
    store(masks[0], ids[0], np.array([[255] * 3, [9] * 3, [0] * 3]))
    said("Indexed masks whose numbers and greys are in different orders (1), such as", "Masks of")
    (root / "classes.csv").write_text(CLASSES)
    store(masks[0], 2 - ids[0], COLOURS[::-1])
    store(masks[1], ids[1], np.array([[60, 90, 200], [1, 2, 3], [4, 5, 6]]))
    said(
        "Indexed masks whose colours have other numbers than in the class list (1), such as s00",
        "Indexed masks with a colour of the class list under another number, and with others (1)",
        "Masks of three equal channels (2), such as s02.png",
    )
    shares = check_folder(root).classes
    assert sum(c.shares["train"] * 3 + c.shares["val"] for c in shares) == pytest.approx(4)


def test_equal_channels_are_ids_unless_they_are_listed_colours(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 1]], np.uint8)
    Image.fromarray(np.stack([mask] * 3, -1)).save(tmp_path / "a.png")
    assert read_raw(tmp_path / "a.png").tolist() == [[0, 1, 1]]
    assert read_mask(tmp_path / "a.png", LISTED).tolist() == [[0, 1, 1]]
    greys = ClassList((SegmentationClass("a", 1, (0, 0, 0)), SegmentationClass("b", 0, (1, 1, 1))))
    assert read_mask(tmp_path / "a.png", greys).tolist() == [[0, 1, 1]]  # indices of a, b, b
    Image.fromarray(np.stack([mask * 77] * 3, -1)).save(tmp_path / "a.png")
    with pytest.raises(FrugalsegError, match=r"a\.png: colour #4d4d4d \(2 pixels\), "):
        read_mask(tmp_path / "a.png", LISTED)


LOSSY = {
    "a.jpg": {},
    "b.webp": {"quality": 80},
    "c.webp": {"lossless": True},
    "d.jp2": {},
    "e.avif": {},
    "f.tif": {"compression": "jpeg"},
}


@pytest.mark.parametrize("name", LOSSY)
def test_files_of_lossy_formats_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    try:
        Image.fromarray(scene(0)[1]).save(path, **LOSSY[name])
    except (KeyError, OSError, ValueError):
        pytest.skip("this Pillow cannot write the format")
    with pytest.raises(FrugalsegError, match=f"{name}: a mask must not be stored as .* as PNG"):
        read_raw(path)


def numbered(*masks: list[int]) -> list[str]:
    return instance_hint([count_ids(np.array([ids])) for ids in masks])


def test_numbers_of_objects_are_told_from_classes() -> None:
    city = [7, 23, 26000, 26001, 26002], [7, 24, 26000, 24000, 255]
    assert "class * 1000 + number" in numbered(*city)[0]
    assert "24000, 26000, 26001, ..." in numbered(*city)[0]
    assert "divide these ids by 256" in numbered([0, 257, 258], [0, 26 * 256 + 1, 257])[0]
    counted = [list(range(n)) for n in (5, 9, 14, 3)]
    assert "The ids 1 to 13 look like numbers of objects" in numbered(*counted)[0]
    assert numbered([0, 1, 2, 3], [0, 101, 102], [101, 102, 103], [0, 1, 2])
    with_all = [list(range(400))] * 3
    assert "The ids 1 to 399" in numbered(*with_all)[0]


@pytest.mark.parametrize(
    "masks",
    [
        [[0, 1, 2], [0, 1], [0, 1, 2, 255]],
        [list(range(150))] * 4,
        [list(range(20))] * 3 + [[3, 7]],
        [[0, 9, 15, 255], [0, 15], [0, 7], [5]],
        [[0, 300], [0, 300, 500], [300]],
        [[1000, 2000, 3000]],
        [[0, 1, 2], [1, 2, 3], [5, 6]],
        [[0, 255], [255], [0]],
    ],
)
def test_ids_of_classes_are_not_taken_for_objects(masks: list[list[int]]) -> None:
    assert not numbered(*masks)
