"""Preparing published data sets, on tiny fakes in the layouts they are shipped in."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from frugalseg.data.check import check_folder
from frugalseg.data.formats import cocostuff, potsdam
from frugalseg.data.formats.potsdam import LABELLED, SIX, TILES
from frugalseg.data.image_file import read_header
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.images import read_four_bands, read_image
from frugalseg.data.masks import read_mask, read_raw
from frugalseg.errors import FrugalsegError
from tiny import cli, refused

SKY, GRASS, ROAD, PERSON, WALL = 156, 123, 148, 0, 172  # ids in the masks of COCO-Stuff
COCO = ("prepare", "cocostuff")
POTSDAM = ("prepare", "potsdam")


def everything(folder: Path) -> dict[str, int]:
    """All files with the time they were written."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*.[pj]*g")}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def interrupt(monkeypatch: pytest.MonkeyPatch, module: object, after: int) -> None:
    """Let the writing of masks be interrupted after some."""
    write = module.write_labels  # type: ignore[attr-defined]
    written = []

    def interrupted(indices: NDArray[np.uint8], path: Path, classes: object) -> None:
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(path)
        write(indices, path, classes)

    monkeypatch.setattr(module, "write_labels", interrupted)


def coco_image(raw: Path, split: str, stem: str, ids: dict[int, float], height: int = 360) -> None:
    """An image with stripes of ids, each of a share of the height, and its mask."""
    mask = np.full((height, 400), 255, np.uint8)
    top = 0.0
    for id_, share in ids.items():
        mask[round(top * height) : round((top + share) * height)] = id_
        top += share
    for folder in (raw / split, raw / "stuffthingmaps_trainval2017" / split):
        folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(raw / "stuffthingmaps_trainval2017" / split / f"{stem}.png")
    Image.fromarray(np.dstack([mask] * 3)).save(raw / split / f"{stem}.jpg", quality=95)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    raw = tmp_path / "raw"
    coco_image(raw, "train2017", "01", {SKY: 0.5, GRASS: 0.2, ROAD: 0.1, PERSON: 0.1})
    coco_image(raw, "train2017", "02", {SKY: 0.3, PERSON: 0.7})
    coco_image(raw, "train2017", "03", {SKY: 0.5, WALL: 0.4})
    coco_image(raw, "train2017", "04", {SKY: 1.0}, height=359)
    coco_image(raw, "val2017", "05", {GRASS: 0.9})
    return raw


def stems(out: Path) -> list[str]:
    return sorted(f"{p.parent.name}/{p.stem}" for p in out.glob("images/*/*.jpg"))


def test_cocostuff_in_fifteen_classes(coco: Path, tmp_path: Path) -> None:
    answer = cli(*COCO, coco, "--out", tmp_path / "out")
    assert answer.code == 0, answer
    assert answer.out == "train 2, val 1\n"
    data = open_folder(tmp_path / "out")
    assert data.classes.num_classes == 15
    assert {k: [s.name for s in v] for k, v in data.splits.items()} == {
        "train": ["01", "03"],
        "val": ["05"],
    }
    first = data.splits["train"][0]
    labels = read_mask(first.mask or "", data.classes)
    assert labels.shape == (119, 132)  # .33 of 360 x 400
    assert read_image(first.image).shape == (119, 132, 3)
    for row, name in ((20, "sky"), (70, "plant"), (88, "ground")):
        assert data.classes.names[labels[row, 5]] == name
        # the image was drawn in the ids: image and mask lie over one another
        id_ = {"sky": SKY, "plant": GRASS, "ground": ROAD}[name]
        assert abs(int(read_image(first.image)[row, 5, 0]) - id_) <= 2
    assert labels[100, 5] == labels[118, 5] == 255  # a person, and unlabelled
    assert check_folder(tmp_path / "out").problems == ()


def test_cocostuff_in_other_classes(coco: Path, tmp_path: Path) -> None:
    assert cli(*COCO, coco, "--out", tmp_path / "three", "--classes", "3").code == 0
    assert stems(tmp_path / "three") == ["train/01", "val/05"]  # 03 is mostly wall
    assert open_folder(tmp_path / "three").classes.names == ("sky", "plant", "ground")
    assert cli(*COCO, coco, "--out", tmp_path / "all", "--classes", "27").code == 0
    assert stems(tmp_path / "all") == ["train/01", "train/02", "train/03", "val/05"]
    assert "person-things" in open_folder(tmp_path / "all").classes.names
    refused(cli(*COCO, coco, "--out", tmp_path / "o", "--classes", "4"), "no set of 4 classes")


def test_cocostuff_by_a_list(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("04\n02.jpg\n")
    answer = cli(*COCO, coco, "--out", tmp_path / "out", "--list", tmp_path / "names")
    assert answer.out == "train 2\n"
    assert stems(tmp_path / "out") == ["train/02", "train/04"]
    (tmp_path / "names").write_text("04\n99\n")
    answer = cli(*COCO, coco, "--out", tmp_path / "out", "--list", tmp_path / "names")
    refused(answer, "other settings (list:")
    answer = cli(*COCO, coco, "--out", tmp_path / "new", "--list", tmp_path / "names")
    refused(answer, "no images of these names in --list: 99")
    assert not (tmp_path / "new").exists()


def test_cocostuff_in_the_other_layout(coco: Path, tmp_path: Path) -> None:
    (coco / "images").mkdir()
    for split in ("train2017", "val2017"):
        (coco / split).rename(coco / "images" / split)
    (coco / "stuffthingmaps_trainval2017").rename(coco / "annotations")
    assert cli(*COCO, coco, "--out", tmp_path / "out").out == "train 2, val 1\n"


def test_an_interrupted_cocostuff_goes_on(
    coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*COCO, coco, "--out", tmp_path / "out")
    with monkeypatch.context() as patched:
        interrupt(patched, cocostuff, after=1)
        assert cli(*command).code == 130
    (tmp_path / "out" / ".left.jpg.1234.part").touch()
    before = everything(tmp_path / "out" / "masks")
    assert len(before) == 1
    assert cli(*command).out == "train 2, val 1\n"
    after = everything(tmp_path / "out" / "masks")
    assert len(after) == 3
    assert before.items() <= after.items()
    assert cli(*COCO, coco, "--out", tmp_path / "whole").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    for path in coco.glob("*2017/*.jpg"):  # whole: the raw files are not needed any more
        path.unlink()
    assert cli(*command).out == "train 2, val 1\n"


MASKS = "stuffthingmaps_trainval2017"
COCO_SPOILT: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "no folder": (lambda r: r.rename(r.parent / "x"), ("there is no such folder",)),
    "no images": (lambda r: remove(r, "*2017/*.jpg"), ("there are no images train2017/*.jpg",)),
    "no masks": (lambda r: remove(r, f"{MASKS}/val2017/*"), ("no masks of val2017",)),
    "missing mask": (lambda r: remove(r, f"{MASKS}/*/03.png"), ("train2017 has no mask of 03",)),
    "missing image": (lambda r: remove(r, "*/03.jpg"), ("train2017 has no image of 03",)),
    "spoilt mask": (lambda r: truncate(r / MASKS / "train2017/03.png"), ("03.png cannot be read",)),
    "spoilt image": (lambda r: truncate(r / "train2017/03.jpg"), ("03.jpg cannot be read",)),
    "sizes": (
        lambda r: Image.new("RGB", (30, 40)).save(r / "train2017/03.jpg"),
        ("its mask has 360x400", "03.jpg"),
    ),
    "other ids": (
        lambda r: Image.new("L", (400, 360), 200).save(r / MASKS / "train2017/03.png"),
        ("03.png", "id 200"),
    ),
}


def remove(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("kind", COCO_SPOILT)
def test_spoilt_cocostuff(kind: str, coco: Path, tmp_path: Path) -> None:
    spoil, says = COCO_SPOILT[kind]
    spoil(coco)
    refused(cli(*COCO, coco, "--out", tmp_path / "out"), *says)


def test_no_image_of_the_wanted_classes(coco: Path, tmp_path: Path) -> None:
    remove(coco, "**/0[1345].*")
    refused(cli(*COCO, coco, "--out", tmp_path / "out"), "no image has sides of 360", "--list")


def tile(seed: int, side: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Four bands and labels (H, W), constant in blocks of 2x2."""
    rng = np.random.default_rng(seed)
    bands = rng.integers(0, 256, (side, side, 4), np.uint8)
    labels = rng.integers(0, 6, (side // 2, side // 2), np.uint8).repeat(2, 0).repeat(2, 1)
    return bands, labels


def save_bands(bands: NDArray[np.uint8], path: Path, **options: object) -> None:
    size = bands.shape[1], bands.shape[0]
    Image.frombytes("RGBX", size, bands.tobytes()).save(path, **options)  # type: ignore[arg-type]


@pytest.fixture
def aerial(tmp_path: Path) -> Path:
    raw = tmp_path / "raw"
    images, labels = raw / "4_Ortho_RGBIR", raw / "5_Labels_for_participants"
    images.mkdir(parents=True)
    labels.mkdir()
    for seed, name in enumerate(TILES):
        bands, indices = tile(seed)
        save_bands(bands, images / f"top_potsdam_{name}_RGBIR.tif", compression="tiff_lzw")
        if name in LABELLED:
            path = labels / f"top_potsdam_{name}_label.tif"
            Image.fromarray(SIX.colours[indices]).save(path)
    return raw


def test_the_tiles_are_those_of_potsdam() -> None:
    assert (len(TILES), len(set(TILES)), len(LABELLED)) == (38, 38, 24)
    assert set(LABELLED) < set(TILES)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"tiffinfo": {338: 1}}])
def test_a_fourth_band_is_read_as_it_is(options: dict[str, object], tmp_path: Path) -> None:
    bands, _ = tile(0)
    save_bands(bands, tmp_path / "x.tif", **options)
    np.testing.assert_array_equal(read_four_bands(tmp_path / "x.tif"), bands)
    Image.fromarray(bands).save(tmp_path / "alpha.tif")
    np.testing.assert_array_equal(read_four_bands(tmp_path / "alpha.tif"), bands)


def test_potsdam(aerial: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    answer = cli(*POTSDAM, aerial, "--out", out, "--crop", "4")
    assert answer.code == 0, answer
    assert answer.out == "train 81, test 15, unlabelled 56\n"  # 38 tiles of 4 crops
    data = open_folder(out)
    assert data.classes.names == SIX.names
    assert len(data.splits["test"]) == 15
    assert check_folder(out).problems == ()
    seed = TILES.index("6_9")
    bands, labels = tile(seed)
    image = out / "images/6_9/01_00.png"
    block = bands[8:16, :8].reshape(4, 2, 4, 2, 4).astype(float).mean((1, 3))
    np.testing.assert_allclose(read_image(image, bands=4), block, atol=0.5)
    np.testing.assert_array_equal(read_mask(out / "masks/6_9/01_00.png", SIX), labels[8:16:2, :8:2])
    assert read_header(image).mode == "RGB"
    assert read_image(out / "unlabelled/2_13/00_01.png", bands=4).shape == (4, 4, 4)
    (out / "infrared/6_9/01_00.png").unlink()
    with pytest.raises(FrugalsegError, match=r"infrared/6_9/01_00.png: there is no such file"):
        read_image(image, bands=4)


def test_the_test_crops_of_potsdam_are_drawn_by_seed(aerial: Path, tmp_path: Path) -> None:
    drawn = []
    for out, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        cli(*POTSDAM, aerial, "--out", tmp_path / out, "--crop", "4", "--seed", seed)
        with (tmp_path / out / "split.csv").open() as file:
            rows = list(csv.DictReader(file))
        drawn.append({row["stem"] for row in rows if row["split"] == "test"})
    assert drawn[0] == drawn[1] != drawn[2]
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_potsdam_in_three_classes(aerial: Path, tmp_path: Path) -> None:
    # with all labels there too, those of the participants are taken
    (aerial / "5_Labels_all").mkdir()
    Image.new("RGB", (2, 2)).save(aerial / "5_Labels_all" / "top_potsdam_2_10_label.tif")
    out = tmp_path / "out"
    assert cli(*POTSDAM, aerial, "--out", out, "--crop", "8", "--classes", "3").code == 0
    assert open_folder(out).classes.names[0] == "road and car"
    _, labels = tile(TILES.index("2_10"))
    three = np.array([0, 1, 2, 2, 0, 1])[labels[::2, ::2]]
    np.testing.assert_array_equal(read_raw(out / "masks/2_10/00_00.png"), three)
    for option, value, says in (
        ("--classes", "5", "no set of 5 classes"),
        ("--crop", "0", "crop=0 is out of range"),
        ("--seed", "-1", "seed=-1 is out of range"),
    ):
        refused(cli(*POTSDAM, aerial, "--out", tmp_path / "o", option, value), says)
        assert not (tmp_path / "o").exists()


def test_an_interrupted_potsdam_goes_on(
    aerial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (*POTSDAM, aerial, "--crop", "4", "--out", tmp_path / "out")
    with monkeypatch.context() as patched:
        interrupt(patched, potsdam, after=10)
        assert cli(*command).code == 130
    assert json.loads((tmp_path / "out/prepared.json").read_text())["images"] is None
    before = everything(tmp_path / "out")
    assert cli(*command).code == 0
    assert before.items() <= everything(tmp_path / "out").items()
    assert cli(*POTSDAM, aerial, "--crop", "4", "--out", tmp_path / "whole").code == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    refused(cli(*command, "--seed", "2"), "other settings (seed: 0 there, 2 asked)")


RGBIR = "4_Ortho_RGBIR/top_potsdam_{}_RGBIR.tif"
LABEL = "5_Labels_for_participants/top_potsdam_{}_label.tif"
POTSDAM_SPOILT: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing tile": (
        lambda r: remove(r, RGBIR.format("3_1[34]")),
        ("missing", "top_potsdam_3_13_RGBIR.tif, top_potsdam_3_14_RGBIR.tif"),
    ),
    "missing label": (
        lambda r: (r / LABEL.format("6_7")).unlink(),
        ("missing", "top_potsdam_6_7_label.tif"),
    ),
    "sizes": (
        lambda r: Image.new("RGB", (16, 8)).save(r / LABEL.format("6_7")),
        ("top_potsdam_6_7_label.tif has 8x16 pixels, its image 16x16",),
    ),
    "cannot be cut": (
        lambda r: save_bands(tile(0, 12)[0], r / RGBIR.format("2_13")),
        ("2_13_RGBIR.tif has 12x12 pixels: halved, it cannot be cut into crops of 4x4",),
    ),
    "three bands": (
        lambda r: Image.new("RGB", (16, 16)).save(r / RGBIR.format("2_13")),
        ("2_13_RGBIR.tif: four bands",),
    ),
    "other colours": (
        lambda r: [
            Image.new("RGB", (16, 16), (250, 255, 0)).save(r / LABEL.format(name))
            for name in ("6_7", "7_8")
        ],
        ("6_7_label.tif (64 pixels), top_potsdam_7_8_label.tif (64 pixels)", "--ignore-unknown"),
    ),
    "no colours": (
        lambda r: Image.new("L", (16, 16)).save(r / LABEL.format("6_7")),
        ("6_7_label.tif holds no colours",),
    ),
    "truncated label": (
        lambda r: truncate(r / LABEL.format("6_7")),
        ("6_7_label.tif cannot be read",),
    ),
}


@pytest.mark.parametrize("kind", POTSDAM_SPOILT)
def test_spoilt_potsdam(kind: str, aerial: Path, tmp_path: Path) -> None:
    spoil, says = POTSDAM_SPOILT[kind]
    spoil(aerial)
    refused(cli(*POTSDAM, aerial, "--out", tmp_path / "out", "--crop", "4"), *says)
    assert not (tmp_path / "out").exists()


def test_a_spoilt_tile_is_named_and_the_rest_is_kept(aerial: Path, tmp_path: Path) -> None:
    path = aerial / RGBIR.format("5_10")
    sound = path.read_bytes()
    bands, _ = tile(TILES.index("5_10"))
    save_bands(bands, path)
    path.write_bytes(path.read_bytes()[:600])  # within the pixels, which the directory follows
    command = (*POTSDAM, aerial, "--out", tmp_path / "out", "--crop", "4")
    refused(cli(*command), "top_potsdam_5_10_RGBIR.tif")
    path.write_bytes(sound)
    assert cli(*command).code == 0


def test_unknown_colours_can_be_ignored(aerial: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pixels = np.array(Image.open(aerial / LABEL.format("6_7")))
    pixels[:2, :2] = (252, 255, 0)
    Image.fromarray(pixels).save(aerial / LABEL.format("6_7"))
    assert cli(*POTSDAM, aerial, "--out", out, "--crop", "8", "--ignore-unknown").code == 0
    mask = read_raw(out / "masks/6_7/00_00.png")
    assert mask[0, 0] == 255
    assert (mask == 255).sum() == 1


def test_a_folder_of_something_else_is_refused(aerial: Path, coco: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "letter.txt").touch()
    for command in ((*POTSDAM, aerial, "--crop", "4"), (*COCO, coco)):
        refused(cli(*command, "--out", out), "is not empty")
        refused(cli(*command, "--out", out / "letter.txt"), "is a file")
    assert [path.name for path in out.iterdir()] == ["letter.txt"]
    (out / "prepared.json").write_text("{")
    refused(cli(*COCO, coco, "--out", out), "prepared.json cannot be read")
