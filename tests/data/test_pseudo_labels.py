"""Folders without masks, whose regions a discovery has found."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.pseudo_labels import has_masks, open_pseudo_labelled_folder
from frugalseg.errors import FrugalsegError


def photos(folder: Path, *names: str) -> Path:
    """Small images, each of its own brightness."""
    for value, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5, 3), 20 * value, np.uint8)).save(folder / name)
    return folder


def label(found: Path, *names: str) -> Path:
    """What a discovery writes for images of these names."""
    (found / "labels").mkdir(parents=True, exist_ok=True)
    (found / "classes.csv").write_text("name,id,colour,target\nregion 0,0,#000000,no\n")
    for name in names:
        (found / "labels" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 5), np.uint8)).save(found / "labels" / f"{name}.png")
    return found


def splits(data: Path, found: Path) -> dict[str, list[str]]:
    opened = open_pseudo_labelled_folder(data, found).splits
    return {name: [sample.image.name for sample in some] for name, some in opened.items()}


def test_lacking_regions(tmp_path: Path) -> None:
    data = photos(tmp_path / "data", "a.png", "b.png", "c.png")
    found = label(tmp_path / "found", "a", "b")
    with pytest.raises(FrugalsegError, match=r"1 of the 3 images .*c\.png.*discover. command"):
        open_pseudo_labelled_folder(data, found)
    (data / "c.png").write_bytes(b"no image")
    with pytest.raises(FrugalsegError, match=r"c\.png.*(read|image)"):
        open_pseudo_labelled_folder(data, found)


def test_splits_of_folders_without_masks(tmp_path: Path) -> None:
    names = [f"images/{i}" for i in range(5)]
    data = photos(tmp_path / "listed", *(f"{name}.png" for name in names))
    (data / "split.csv").write_text("stem,split\n0,train\n1,val\n2,test\n3,train\n")
    found = label(tmp_path / "found", *names)
    listed = {"train": ["0.png", "3.png", "4.png"], "val": ["1.png"], "test": ["2.png"]}
    assert splits(data, found) == listed
    (data / "masks").mkdir()  # empty
    assert splits(data, found) == listed
    nested = [f"images/{split}/{i}" for split in ("train", "val", "test") for i in range(2)]
    data = photos(tmp_path / "nested", *(f"{name}.png" for name in nested))
    assert {k: len(v) for k, v in splits(data, label(found, *nested)).items()} == {
        "train": 2,
        "val": 2,
        "test": 2,
    }
    lone = [f"unlabelled/{i}" for i in range(4)]
    data = photos(tmp_path / "lone", *(f"{name}.png" for name in lone))
    assert {k: len(v) for k, v in splits(data, label(found, *lone)).items()} == {
        "train": 3,
        "val": 1,
    }


def test_a_split_that_names_no_image_is_said(tmp_path: Path) -> None:
    data = photos(tmp_path / "data", "images/a.png", "images/b.png")
    (data / "split.csv").write_text("stem,split\na,train\nc,val\n")
    with pytest.raises(FrugalsegError, match="no image c"):
        has_masks(data)


def test_masks_under_another_name_are_no_photographs(tmp_path: Path) -> None:
    data = photos(
        tmp_path / "data", "images/a.jpg", "images/b.jpg", "colours/a.png", "colours/b.png"
    )
    with pytest.raises(FrugalsegError, match=r"if they are masks, call it .*masks"):
        open_pseudo_labelled_folder(data, tmp_path)


def test_names_that_differ_by_suffix_alone(tmp_path: Path) -> None:
    names = ("a.jpg", "a.png", "b.png")
    data = open_pseudo_labelled_folder(
        photos(tmp_path / "data", *names), label(tmp_path / "found", *names)
    )
    pairs = [(s.image.name, s.mask.name) for some in data.splits.values() for s in some if s.mask]
    assert sorted(pairs) == [("a.jpg", "a.jpg.png"), ("a.png", "a.png.png"), ("b.png", "b.png.png")]


def test_which_folders_have_masks(folder: Path, tmp_path: Path) -> None:
    assert has_masks(folder)
    assert not has_masks(photos(tmp_path / "plain", "a.png"))
    for path in (folder / "masks").iterdir():
        path.unlink()
    assert not has_masks(folder)


def test_the_data_set_says_whose_regions_it_holds(tmp_path: Path) -> None:
    names = [f"deep/{i}.png" for i in range(4)]
    data = photos(tmp_path / "data", *names)
    found = label(tmp_path / "found", *(name[:-4] for name in names))
    opened = open_pseudo_labelled_folder(data, found, val_share=0.5)
    assert opened.pseudo_labels == found
    assert opened.classes.names == ("region 0",)
    assert {split: len(part) for split, part in opened.splits.items()} == {"train": 2, "val": 2}
    assert opened.splits["train"][0].name.startswith("deep/")
