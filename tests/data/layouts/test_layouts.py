"""Folders in which other people keep images and masks, and what is said of them."""

import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.check import check_folder, format_report
from frugalseg.data.image_mask_folder import ImageMaskFolder, open_any_folder, open_folder
from frugalseg.data.layouts.photographs import list_images
from frugalseg.data.open_images import open_images
from frugalseg.errors import FrugalsegError
from odd_files import COLOURS, scene, write_folder

SPLITS = {"train": 3, "val": 2, "test": 1}
SIZE = (32, 40)


def save(path: Path, seed: int, kind: str) -> None:
    """Save the image of a scene, or its mask: plain, with a palette, or in colours."""
    image, mask = scene(seed, *SIZE)
    picture = Image.fromarray({"image": image, "colours": COLOURS[mask]}.get(kind, mask))
    if kind == "palette":
        picture.putpalette(COLOURS.tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def counts(data: ImageMaskFolder) -> dict[str, int]:
    return {split: len(samples) for split, samples in data.splits.items()}


def true_to_scenes(data: ImageMaskFolder) -> bool:
    """Whether each mask is that of its image, of scenes in their own colours."""
    for sample in data.samples:
        assert sample.mask is not None
        image = np.asarray(Image.open(sample.image), int)
        mask = np.asarray(Image.open(sample.mask))
        if np.abs(image - COLOURS[mask]).max() > 12:  # the noise of a scene
            return False
    return True


@pytest.mark.parametrize(
    "words",
    [("train", "valid", "test"), ("Training", "Validation", "Testing"), ("TRAIN", "dev", "test")],
)
@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{}/images", "{}/masks"),
        ("images/{}", "labels/{}"),
        ("{}", "{}_masks"),
        ("img_dir/{}", "ann_dir/{}"),
        ("{}/Images", "{}/Masks"),
        ("images/{}", "annotations/{}"),
        ("{}/image_2", "{}/semantic"),
    ],
)
def test_splits_and_folders_by_other_names(
    tmp_path: Path, words: Sequence[str], images: str, masks: str
) -> None:
    for word, count in zip(words, SPLITS.values(), strict=True):
        for i in range(count):
            seed = 10 * count + i
            save(tmp_path / images.format(word) / f"{word}{i}.png", seed, "image")
            save(tmp_path / masks.format(word) / f"{word}{i}.png", seed, "palette")
    data = open_folder(tmp_path)
    assert counts(data) == SPLITS
    assert true_to_scenes(data)
    assert data.problems == ()


def test_two_folders_of_one_split_are_refused(tmp_path: Path) -> None:
    for word in ("train", "val", "valid"):
        for i in range(2):
            save(tmp_path / "images" / word / f"{i}.png", i, "image")
            save(tmp_path / "masks" / word / f"{i}.png", i, "mask")
    with pytest.raises(FrugalsegError, match=r"images/val and .*images/valid both mean .*'val'"):
        open_folder(tmp_path)


def test_folders_that_are_no_splits_are_said(tmp_path: Path) -> None:
    for word in ("train", "holdout"):
        write_folder(tmp_path / word, 3, SIZE)
    save(tmp_path / "test" / "images" / "a.png", 0, "image")  # no masks: for predict
    (note,) = open_folder(tmp_path).problems
    assert "holdout/images (3), holdout/masks (3), test/images (1)" in note
    assert note in check_folder(tmp_path).hints


def in_lists(root: Path) -> None:
    (root / "train.txt").write_text("s00\ns01.png\n\nimages/s02.png\n")
    (root / "val.txt").write_text("\ufeffmasks/s03.png\n./s04\r\n")
    (root / "test.txt").write_text("images/s05.png masks/s05.png\n")
    (root / "notes.txt").write_text("nothing\n")


def in_voc_lists(root: Path) -> None:
    folder = root / "ImageSets" / "Segmentation"
    folder.mkdir(parents=True)
    for split, names in (("train", "012"), ("val", "34"), ("test", "5"), ("trainval", "01234")):
        (folder / f"{split}.txt").write_text("".join(f"s0{i}\n" for i in names))


def in_a_table(root: Path) -> None:
    lines = ["filename;subset", *(f"s0{i}.png;{'valid' if i > 2 else 'Train'}" for i in range(5))]
    (root / "split.csv").write_text("\n".join([*lines, "s05;TESTING"]))
    (root / "train.txt").write_text("s05")  # the table decides


@pytest.mark.parametrize("write", [in_lists, in_voc_lists, in_a_table])
def test_files_that_divide_images(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(write_folder(tmp_path, 6, SIZE))
    data = open_folder(tmp_path)
    assert {split: "".join(s.name[-1] for s in part) for split, part in data.splits.items()} == {
        "train": "012",
        "val": "34",
        "test": "5",
    }
    if write is in_a_table:
        assert data.problems == ()
    else:
        assert "train.txt (3), val.txt (2), test.txt (1)" in data.problems[0]


def test_lists_that_do_not_fit(tmp_path: Path) -> None:
    write_folder(tmp_path, 6, SIZE)
    train, val = tmp_path / "train.txt", tmp_path / "val.txt"
    train.write_text("s00\ns01\n")
    val.write_text("s02\n")
    (tmp_path / "masks" / "s05.png").unlink()  # in no list, so that no mask is missed
    data = open_folder(tmp_path)
    assert counts(data) == {"train": 2, "val": 1}
    assert data.problems[0].endswith("val.txt (1); images in none of them: 3.")
    assert len(open_any_folder(tmp_path)) == 6  # without masks, all images are of use
    val.write_text("s01\n")
    with pytest.raises(FrugalsegError, match=r"val\.txt, line 1: s01 is listed twice .*train\.txt"):
        open_folder(tmp_path)
    val.write_text("s02\ns77\n")
    with pytest.raises(FrugalsegError, match=r"val\.txt: line 2: there is no image s77"):
        open_folder(tmp_path)


def test_names_with_a_constant_part(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, SIZE)
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_name(f"{path.stem}_sat.png"))
    for path in (tmp_path / "masks").iterdir():
        path.rename(path.with_name(f"gt_{path.stem}.png"))
    data = open_folder(tmp_path)
    assert true_to_scenes(data)
    assert "by a constant part of their names, s00_sat.png with gt_s00.png" in data.problems[0]
    shutil.copy(tmp_path / "masks" / "gt_s00.png", tmp_path / "masks" / "gt_s77.png")
    with pytest.raises(FrugalsegError, match=r"gt_s77\.png: there is no image of this name"):
        open_folder(tmp_path)
    data = open_any_folder(tmp_path / "images", tmp_path / "masks")
    assert true_to_scenes(data)
    assert "s00_sat" in data.problems[0]


def test_names_that_cannot_be_paired(tmp_path: Path) -> None:
    write_folder(tmp_path, 3, SIZE)
    for i, path in enumerate(sorted((tmp_path / "masks").iterdir())):
        path.rename(path.with_name(f"q{7 * i + 3}.png"))
    report = check_folder(tmp_path)
    assert [problem.kind for problem in report.problems] == ["names of masks that do not fit"]
    assert "masks are called like q10.png, images like s00.png" in report.problems[0].text


def test_names_composed_and_decomposed(tmp_path: Path) -> None:
    write_folder(tmp_path, 3, SIZE)
    for folder, form in (("images", "NFD"), ("masks", "NFC")):
        for path in (tmp_path / folder).iterdir():
            path.rename(path.with_name(unicodedata.normalize(form, f"Bäume-{path.name}")))  # type: ignore[arg-type]
    names = [unicodedata.normalize("NFC", f"Bäume-s0{i}") for i in range(3)]
    lines = [f"{name},{split}" for name, split in zip(names, SPLITS, strict=True)]
    (tmp_path / "split.csv").write_text("\n".join(["stem,split", *lines]), "utf-8")
    data = open_folder(tmp_path)
    assert counts(data) == dict.fromkeys(SPLITS, 1)
    assert true_to_scenes(data)


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    for split, count in SPLITS.items():
        for i in range(count):
            image, label = (
                tmp_path / kind / split / "aachen" / f"aachen_{i:06d}_{kind}"
                for kind in ("leftImg8bit", "gtFine")
            )
            save(image.with_suffix(".png"), 10 * count + i, "image")
            for kind, how in (("labelIds", "mask"), ("instanceIds", "mask"), ("color", "colours")):
                save(Path(f"{label}_{kind}.png"), 10 * count + i, how)
            Path(f"{label}_polygons.json").write_text("{}")
    return tmp_path


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for i in range(8):
        save(tmp_path / "JPEGImages" / f"2011_{i:06d}.jpg", i, "image")
        for folder in ("SegmentationClass", "SegmentationObject") if i < 6 else ():
            save(tmp_path / folder / f"2011_{i:06d}.png", i, "palette")
    in_voc_lists(tmp_path)
    for path in (tmp_path / "ImageSets" / "Segmentation").iterdir():
        path.write_text(path.read_text().replace("s0", "2011_00000"))
    return tmp_path


def test_cityscapes(cityscapes: Path) -> None:
    data = open_folder(cityscapes)
    assert counts(data) == SPLITS
    assert true_to_scenes(data)
    assert (
        "aachen_000000_gtFine_labelIds.png; 6 others, like aachen_000000_gtFine_color.png"
        in (data.problems[0])
    )
    for found in (list_images(cityscapes), open_any_folder(cityscapes).samples):
        assert len(found) == 6
    images = open_images(cityscapes)
    assert {name.split("/")[0] for name in images.names} == {"leftImg8bit"}
    assert {split: len(part) for split, part in images.splits.items()} == {**SPLITS, "all": 6}


def test_voc(voc: Path) -> None:
    data = open_folder(voc)
    assert counts(data) == SPLITS
    assert all("SegmentationClass" in str(sample.mask) for sample in data.samples)
    assert any("left out: SegmentationObject (6)" in problem for problem in data.problems)
    images = open_images(voc)
    assert images.names == tuple(f"JPEGImages/2011_{i:06d}.jpg" for i in range(8))
    assert "only the images are taken" in images.problems[0]


def test_images_and_masks_in_one_folder(tmp_path: Path) -> None:
    for i in (1, 2, 10, 11, 100):
        save(tmp_path / "train" / f"{i}_sat.png", i, "image")
        save(tmp_path / "train" / f"{i}_mask.png", i, "mask")
    data = open_folder(tmp_path)
    assert counts(data) == {"train": 4, "val": 1}
    assert true_to_scenes(data)
    assert len(open_images(tmp_path)) == 5


def test_label_images_among_photographs_are_left_out(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "pictures" / f"a{i}.jpg", i, "image")
        save(tmp_path / "classes" / f"a{i}.png", i, "palette")
    save(tmp_path / "pictures" / "a0_mask.png", 0, "mask")
    save(tmp_path / "pictures" / "girl_with_mask.png", 0, "image")  # of no other image
    images = open_images(tmp_path)
    expected = [f"pictures/a{i}.jpg" for i in range(4)] + ["pictures/girl_with_mask.png"]
    assert list(images.names) == expected
    assert "5 label images are left out, such as classes/a0.png" in images.problems[0]
    assert [p.relative_to(tmp_path).as_posix() for p in list_images(tmp_path)] == expected


def test_grey_images_sorted_into_folders_are_photographs(tmp_path: Path) -> None:
    for digit in "01":
        for i in range(3):
            save(tmp_path / digit / f"{i}.png", i, "mask")
    assert len(open_images(tmp_path, "folders")) == 6


def test_folders_can_be_named(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, SIZE)
    (tmp_path / "images").rename(tmp_path / "photos_x")
    (tmp_path / "masks").rename(tmp_path / "truth_x")
    with pytest.raises(FrugalsegError, match="--images DIR --masks DIR"):
        open_folder(tmp_path)
    data = open_folder(tmp_path, images="photos_x", masks=tmp_path / "truth_x")
    assert counts(data) == {"train": 3, "val": 1}
    assert true_to_scenes(data)
    assert true_to_scenes(open_folder(tmp_path / "photos_x", masks=tmp_path / "truth_x"))
    with pytest.raises(FrugalsegError, match="nowhere: there is no such folder"):
        open_folder(tmp_path, images="nowhere", masks="truth_x")


@pytest.mark.parametrize("name", ["a.json", "a.xml"])
def test_polygons_are_named(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, 2, SIZE)
    shutil.rmtree(tmp_path / "masks")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / name).write_text("{}")
    with pytest.raises(FrugalsegError, match=rf"It holds {name}\. If these are polygons, .*CVAT"):
        open_folder(tmp_path)
    shutil.move(tmp_path / "annotations" / name, tmp_path / "images")
    (tmp_path / "annotations").rmdir()
    with pytest.raises(FrugalsegError, match=rf"It holds images/{name}\. If these are polygons"):
        open_folder(tmp_path)


def test_files_of_other_kinds_are_said(tmp_path: Path) -> None:
    write_folder(tmp_path, 4, SIZE)
    (tmp_path / "images" / "s77.heic").touch()
    for path in (tmp_path / "masks").iterdir():
        path.rename(path.with_suffix(".npy"))
    with pytest.raises(FrugalsegError, match=r"images without a mask.*\.npy 4, \.heic 1"):
        open_folder(tmp_path)
    text = format_report(check_folder(tmp_path))
    assert "5 files of other kinds left out: .npy 4, .heic 1" in text
    assert "too few" not in text
    images = open_images(tmp_path / "images")
    assert images.problems == (f"{tmp_path}/images: 1 file of another kind left out: .heic 1.",)


def test_folders_that_link_to_themselves(tmp_path: Path) -> None:
    write_folder(tmp_path, 3, SIZE)
    (tmp_path / "images" / "all").symlink_to(".")
    (tmp_path / "masks" / "up").symlink_to("..")
    assert sum(counts(open_folder(tmp_path)).values()) == 3
    assert len(open_images(tmp_path)) == len(list_images(tmp_path)) == 3
