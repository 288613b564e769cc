import shutil
from pathlib import Path

import pytest
from PIL import Image

from frugalseg.data.image_mask_folder import open_any_folder
from frugalseg.errors import FrugalsegError


def save(path: Path, size: tuple[int, int] = (8, 10), value: int = 1, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size[::-1], value).save(path)


def test_a_folder_of_images_and_one_of_masks(tmp_path: Path) -> None:
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    for name in ("a.jpg", "deep/b.png", "c.png"):
        save(photos / name)
    save(masks / "a.png", value=0)
    save(masks / "deep" / "b.png", value=1)
    (photos / "broken.png").write_text("hello")
    data = open_any_folder(photos, masks)
    assert data.names == ("a.jpg", "c.png", "deep/b.png")
    assert "broken.png" in data.problems[0]
    assert [sample.mask is None for sample in data.samples] == [False, True, False]
    assert data.classes.names == ("class_0", "class_1")
    truth = data.truth(2)
    assert truth is not None
    assert (truth == 1).all()
    assert data.truth(1) is None
    assert data.image_sizes("all").tolist() == [[8, 10]] * 3
    assert data.read(0).shape == (8, 10, 3)
    assert open_any_folder(photos).class_list is None
    with pytest.raises(ValueError, match="without masks"):
        print(open_any_folder(photos).classes)
    save(photos / "a.jpg", (9, 9))
    with pytest.raises(FrugalsegError, match=r"a\.jpg has changed its size"):
        data.read(0)


def test_a_folder_of_pairs_keeps_its_splits(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "train" / f"{i}.jpg")
        save(tmp_path / "trainannot" / f"{i}.png", value=i % 2)
    save(tmp_path / "val" / "0.jpg")
    save(tmp_path / "valannot" / "0.png")
    data = open_any_folder(tmp_path, "folder")
    assert data.names == ("train/0.jpg", "train/1.jpg", "train/2.jpg", "val/0.jpg")
    assert data.indices("train").tolist() == [0, 1, 2]
    assert data.indices("val").tolist() == [3]
    assert all(sample.mask is not None for sample in data.samples)
    with pytest.raises(FrugalsegError, match=r"no split 'test': there are .*train"):
        data.indices("test")
    save(tmp_path / "val" / "1.jpg")  # no mask: of no use to segment, but an image
    assert len(open_any_folder(tmp_path)) == 5


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    save(photos / "a.jpg")
    with pytest.raises(FrugalsegError, match="give their folder with --masks"):
        open_any_folder(photos, "folder")
    save(tmp_path / "other" / "z.png")
    with pytest.raises(FrugalsegError, match="no mask in it has the name of an image"):
        open_any_folder(photos, tmp_path / "other")
    save(tmp_path / "small" / "a.png", (4, 5))
    with pytest.raises(FrugalsegError, match="4x5 pixels, the image 8x10"):
        open_any_folder(photos, tmp_path / "small")
    with pytest.raises(FrugalsegError, match="there is no such folder"):
        open_any_folder(photos, tmp_path / "none")


def test_images_without_masks_keep_their_splits(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for split, names in (("train", "abcd"), ("val", "ef")):
        for name in names:
            save(folder / "images" / split / f"{name}.png")
            if name in "aef":
                save(folder / "masks" / split / f"{name}.png", value=name == "e")
    data = open_any_folder(folder, "folder")
    train = [data.names[i] for i in data.indices("train")]
    assert train == [f"images/train/{name}.png" for name in "abcd"]
    assert [data.truth(int(i)) is None for i in data.indices("train")] == [False, True, True, True]
    shutil.rmtree(folder / "masks")
    bare = open_any_folder(folder)
    assert [len(bare.indices(split)) for split in ("train", "val")] == [4, 2]


def test_what_is_no_photograph_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    save(folder / "images" / "a.png")
    save(folder / "infrared" / "a.png")
    assert open_any_folder(folder).names == ("images/a.png",)
    shutil.rmtree(folder / "infrared")
    run = folder / "runs" / "one"
    save(run / "labels" / "a.png")
    for name in ("config.yaml", "environment.json"):
        (run / name).write_text("")
    assert open_any_folder(folder).names == ("images/a.png",)
