import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.pictures import read_picture, resize_picture, scaled_size
from frugalseg.data.region_images import open_region_images
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
    data = open_region_images(photos, masks)
    assert data.images.names == ("a.jpg", "c.png", "deep/b.png")
    assert "broken.png" in data.images.problems[0]
    assert [mask is None for mask in data.masks] == [False, True, False]
    assert data.classes is not None
    assert data.classes.names == ("class_0", "class_1")
    truth = data.truth(2)
    assert truth is not None
    assert (truth == 1).all()
    assert data.truth(1) is None
    assert open_region_images(photos).classes is None


def test_a_folder_of_pairs_keeps_its_splits(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "train" / f"{i}.jpg")
        save(tmp_path / "trainannot" / f"{i}.png", value=i % 2)
    save(tmp_path / "val" / "0.jpg")
    save(tmp_path / "valannot" / "0.png")
    data = open_region_images(tmp_path, "folder")
    assert data.images.names == ("train/0.jpg", "train/1.jpg", "train/2.jpg", "val/0.jpg")
    assert data.indices("train").tolist() == [0, 1, 2]
    assert data.indices("val").tolist() == [3]
    assert all(mask is not None for mask in data.masks)
    with pytest.raises(FrugalsegError, match=r"no split 'test': there are .*train"):
        data.indices("test")
    save(tmp_path / "val" / "1.jpg")  # no mask: of no use to segment, but an image
    assert len(open_region_images(tmp_path)) == 5


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    save(photos / "a.jpg")
    with pytest.raises(FrugalsegError, match="give their folder with --masks"):
        open_region_images(photos, "folder")
    save(tmp_path / "other" / "z.png")
    with pytest.raises(FrugalsegError, match="no mask there has the name of an image"):
        open_region_images(photos, tmp_path / "other")
    save(tmp_path / "small" / "a.png", (4, 5))
    with pytest.raises(FrugalsegError, match="4x5 pixels, the image 8x10"):
        open_region_images(photos, tmp_path / "small")
    with pytest.raises(FrugalsegError, match="there is no such folder"):
        open_region_images(photos, tmp_path / "none")


def test_infrared_is_read_and_resized_on_its_own(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 12, 4), np.uint8)
    pixels[..., 3] = 0  # as transparency it would wipe out the colours
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.tif")
    read = read_picture(tmp_path / "a.tif", 4)
    np.testing.assert_array_equal(read, pixels)
    small = resize_picture(read, (4, 6))
    assert small.shape == (4, 6, 4)
    np.testing.assert_array_equal(small[..., :3], resize_picture(pixels[..., :3], (4, 6)))
    assert scaled_size((100, 300), 50) == (50, 150)
    assert scaled_size((100, 300), 0) == (100, 300)
    save(tmp_path / "grey.png")
    with pytest.raises(FrugalsegError, match="1 bands"):
        read_picture(tmp_path / "grey.png", 4)


def test_images_without_masks_keep_their_splits(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for split, names in (("train", "abcd"), ("val", "ef")):
        for name in names:
            save(folder / "images" / split / f"{name}.png")
            if name in "aef":
                save(folder / "masks" / split / f"{name}.png", value=name == "e")
    data = open_region_images(folder, "folder")
    train = [data.images.names[i] for i in data.indices("train")]
    assert train == [f"images/train/{name}.png" for name in "abcd"]
    assert [data.truth(int(i)) is None for i in data.indices("train")] == [False, True, True, True]
    shutil.rmtree(folder / "masks")
    bare = open_region_images(folder)
    assert [len(bare.indices(split)) for split in ("train", "val")] == [4, 2]


def test_what_is_no_photograph_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    save(folder / "images" / "a.png")
    save(folder / "infrared" / "a.png")
    assert open_region_images(folder).images.names == ("images/a.png",)
    shutil.rmtree(folder / "infrared")
    run = folder / "runs" / "one"
    save(run / "labels" / "a.png")
    for name in ("config.yaml", "environment.json"):
        (run / name).write_text("")
    assert open_region_images(folder).images.names == ("images/a.png",)
