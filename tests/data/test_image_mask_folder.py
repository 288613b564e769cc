import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ImageFile import ImageFile

from frugalseg.data import image_mask_folder, masks
from frugalseg.data.check import check_folder
from frugalseg.data.image_file import open_image
from frugalseg.data.image_mask_folder import hold_out, open_any_folder, open_folder
from frugalseg.data.layouts.photographs import list_images
from frugalseg.data.layouts.samples import Sample
from frugalseg.data.masks import read_mask, read_raw
from frugalseg.data.open_images import open_images
from frugalseg.errors import FrugalsegError

Pair = Callable[..., None]


def names(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.name for sample in samples]


@pytest.mark.parametrize(
    "layout",
    [("{0}", "{0}annot"), ("{0}/images", "{0}/masks"), ("images/{0}", "masks/{0}")],
)
def test_layouts_with_splits(tmp_path: Path, pair: Pair, layout: tuple[str, str]) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 1)):
        for i in range(count):
            images, masks = (tmp_path / part.format(split) for part in layout)
            pair(images, masks, f"{split}_{i}")
    pair(images / "deep" / "er", masks / "deep" / "er", "x")
    found = open_folder(tmp_path)
    assert list(found.splits) == ["train", "val", "test"]
    assert names(found.splits["train"]) == [f"train_{i}" for i in range(4)]
    assert names(found.splits["test"]) == ["deep/er/x", "test_0"]
    sample = found.splits["test"][0]
    assert sample.image == images / "deep" / "er" / "x.jpg"
    assert sample.mask == masks / "deep" / "er" / "x.png"
    assert found.classes.names == ("class_0", "class_1")


def test_a_split_of_images_or_masks_alone(tmp_path: Path, pair: Pair) -> None:
    for i in range(3):
        pair(tmp_path / "train", tmp_path / "trainannot", f"a{i}")
    (tmp_path / "test").mkdir()
    assert list(open_folder(tmp_path).splits) == ["train", "val"]
    (tmp_path / "valannot").mkdir()
    with pytest.raises(FrugalsegError, match=r"valannot has no partner: \S*val is missing"):
        open_folder(tmp_path)


def test_split_csv(folder: Path) -> None:
    lines = ["stem,split,scene", *(f"p{i},{s},9" for i, s in enumerate(
        ["test", "train", "val", "train", "train", "val"]))]  # fmt: skip
    (folder / "split.csv").write_text("\n".join(lines))
    found = open_folder(folder)
    assert {k: names(v) for k, v in found.splits.items()} == {
        "train": ["p1", "p3", "p4"],
        "val": ["p2", "p5"],
        "test": ["p0"],
    }


def test_a_split_is_drawn_by_seed(folder: Path) -> None:
    one = open_folder(folder, val_share=0.4, test_share=0.3, seed=1)
    assert one.splits == open_folder(folder, val_share=0.4, test_share=0.3, seed=1).splits
    parts = [names(part) for part in one.splits.values()]
    assert [len(part) for part in parts] == [2, 2, 2]
    assert sorted(name for part in parts for name in part) == [f"p{i}" for i in range(6)]
    others = [open_folder(folder, val_share=0.4, seed=s).splits["val"] for s in range(8)]
    assert len({tuple(names(other)) for other in others}) > 1


def test_a_missing_val_is_held_out_of_train(tmp_path: Path, pair: Pair) -> None:
    for i in range(10):
        pair(tmp_path / "train", tmp_path / "trainannot", f"a{i}")
    pair(tmp_path / "test", tmp_path / "testannot", "t")
    found = open_folder(tmp_path, val_share=0.2)
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 8, "val": 2, "test": 1}


def test_hold_out() -> None:
    samples = [Sample(f"{i:03d}", Path(f"{i}.jpg"), None) for i in range(100)]
    kept, held = hold_out(samples, 0.25, seed=3)
    assert len(held) == 25
    assert sorted(names(kept) + names(held)) == names(tuple(samples))
    assert names(held) == sorted(names(held))
    assert hold_out(samples[::-1], 0.25, seed=3) == (kept, held)
    assert hold_out(samples, 0.25, seed=4)[1] != held
    assert [len(part) for part in hold_out(samples[:2], 0.01, 0)] == [1, 1]
    assert [len(part) for part in hold_out(samples[:2], 0.99, 0)] == [1, 1]
    with pytest.raises(FrugalsegError, match="too few"):
        hold_out(samples[:1], 0.5, 0)
    with pytest.raises(FrugalsegError, match="share"):
        hold_out(samples, 1.0, 0)


def test_classes_ignored_targets_and_other_class_lists(folder: Path) -> None:
    assert open_folder(folder).classes.ignored_ids == {5}
    assert open_folder(folder, ignore=["ground"]).classes.names == ("thing",)
    assert open_folder(folder, targets=["ground"]).classes.targets == [0]
    other = folder.parent / "other.csv"
    other.write_text("name,id,colour,target\nx,0,#000000,no\ny,1,#000001,no\n")
    assert open_folder(folder, classes=other).classes.names == ("x", "y")
    (folder / "classes.csv").unlink()
    assert open_folder(folder, ignore=[0]).classes.names == ("class_1",)


MAPPING = "fine_id,fine_name,coarse_id,coarse_name\n0,ground,2,all\n1,thing,2,all\n5,void,3,rest\n"


def test_mapping_merges_only_when_asked(folder: Path) -> None:
    (folder / "mapping.csv").write_text(MAPPING)
    assert open_folder(folder).classes.names == ("ground", "thing")
    merged = open_folder(folder, mapping="mapping.csv")
    assert merged.classes.names == ("all", "rest")
    mask = merged.splits["train"][0].mask
    assert mask is not None
    assert np.unique(read_mask(mask, merged.classes)).tolist() == [0]
    (folder / "classes.csv").unlink()
    assert open_folder(folder, mapping=folder / "mapping.csv").classes.names == ("all", "rest")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "no column 'fine_id'"),
        (MAPPING.splitlines()[0], "empty"),
        (MAPPING + "0,again,2,all\n", "line 5: the fine id 0 is listed twice"),
        (MAPPING + "6,x,3,other\n", "line 5: the coarse id 3 is 'rest' and 'other'"),
        (MAPPING + "x,x,3,rest\n", "line 5: .*whole numbers"),
        (MAPPING + "7,x,70000,big\n", "line 5: ids must lie"),
        (MAPPING + "7,x,3,rest\n", "fine id 7 is not in the class list"),
        (MAPPING.replace("1,thing,2,all\n", ""), "no line for the class thing"),
    ],
)
def test_bad_mappings(folder: Path, text: str, message: str) -> None:
    (folder / "mapping.csv").write_text(text)
    with pytest.raises(FrugalsegError, match=message):
        open_folder(folder, mapping="mapping.csv")


def break_folder(folder: Path, how: str) -> None:
    images, masks = folder / "images", folder / "masks"
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    if how == "image without mask":
        (masks / "p1.png").unlink()
        (masks / "p2.png").unlink()
    elif how == "mask without image":
        (images / "p3.jpg").unlink()
    elif how == "size":
        Image.new("L", (9, 8)).save(masks / "p1.png")
    elif how == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(noise[:8, :10]).save(images / "p1.jpg", exif=exif)
    elif how == "no image":
        (images / "p1.jpg").write_text("text")
    elif how == "no mask image":
        (masks / "p1.png").write_text("text")
    elif how == "empty":
        for path in [*images.iterdir(), *masks.iterdir()]:
            path.unlink()
    elif how == "no layout":
        shutil.rmtree(masks)
    elif how == "binary":
        for path in masks.iterdir():
            Image.fromarray((read_raw(path) * 255).astype(np.uint8)).save(path)
    elif how == "colours":
        (folder / "classes.csv").unlink()
        Image.new("RGB", (10, 8), (1, 2, 3)).save(masks / "p0.png")
    elif how == "same stem":
        Image.fromarray(noise[:8, :10]).save(images / "p1.png")
    else:
        (folder / "split.csv").write_text(how)


BROKEN = [
    ("image without mask", r"2 images without a mask: p1\.jpg, p2\.jpg"),
    ("mask without image", r"p3\.png: there is no image"),
    ("size", r"p1\.jpg: its mask has 8x9 pixels, the image 8x10"),
    ("turned", r"p1\.jpg: its mask has 8x10 pixels, the image 10x8.*EXIF"),
    ("no image", r"p1\.jpg is not an image"),
    ("no mask image", r"p1\.png is not an image"),
    ("empty", "are empty"),
    ("no layout", r"it holds no images with masks.*train/ beside trainannot/"),
    ("binary", "only 0 and 255.*Save the object as 1"),
    ("colours", r"p0\.png holds colours.*classes\.csv"),
    ("same stem", r"p1\.png: p1\.jpg has the same stem"),
    ("stem\np0\n", "no column 'split'"),
    ("stem,split\np0,holdout\n", r"split\.csv, line 2: the split 'holdout'"),
    ("stem,split\np0,train\np0,val\n", r"split\.csv, line 3: p0 is listed twice"),
    ("stem,split\np0,train\n", r"5 images not in split\.csv"),
    ("stem,split\n" + "".join(f"p{i},train\n" for i in range(7)), "there is no image p6"),
]


@pytest.mark.parametrize(("how", "message"), BROKEN, ids=[how[:20] for how, _ in BROKEN])
def test_broken_folders_are_refused_in_a_sentence(folder: Path, how: str, message: str) -> None:
    break_folder(folder, how)
    with pytest.raises(FrugalsegError, match=message):
        open_folder(folder)


def test_training_images_alone_may_be_without_a_mask(tmp_path: Path, pair: Pair) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for i in range(count):
            pair(tmp_path / split, tmp_path / f"{split}annot", f"{split}_{i}")
    (tmp_path / "trainannot" / "train_1.png").unlink()
    splits = open_folder(tmp_path, unlabelled=True).splits
    assert names(splits["unlabelled"]) == ["train_1"]
    assert names(splits["train"]) == ["train_0", "train_2", "train_3"]
    (tmp_path / "valannot" / "val_0.png").unlink()
    with pytest.raises(FrugalsegError, match=r"val_0\.jpg: there is no mask"):
        open_folder(tmp_path, unlabelled=True)


def test_some_masks_are_needed(folder: Path) -> None:
    for path in (folder / "masks").iterdir():
        path.unlink()
    with pytest.raises(FrugalsegError, match="no image with a mask"):
        open_folder(folder, unlabelled=True)


def test_split_csv_says_which_images_without_a_mask_are_for_training(folder: Path) -> None:
    splits = ["train", "train", "val", "train", "val"]
    lines = ["stem,split", *(f"p{i},{split}" for i, split in enumerate(splits))]
    (folder / "split.csv").write_text("\n".join(lines))
    (folder / "masks" / "p1.png").unlink()  # listed as train
    (folder / "masks" / "p5.png").unlink()  # not listed
    assert names(open_folder(folder, unlabelled=True).splits["unlabelled"]) == ["p1", "p5"]
    (folder / "masks" / "p2.png").unlink()
    with pytest.raises(FrugalsegError, match=r"p2\.jpg: there is no mask"):
        open_folder(folder, unlabelled=True)


def test_roots_that_are_no_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FrugalsegError, match="no such folder"):
        open_folder(folder / "none")
    with pytest.raises(FrugalsegError, match="is a file"):
        open_folder(folder / "classes.csv")

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FrugalsegError, match=r"cannot be read .Permission denied"):
        open_folder(folder)


def test_one_pair_is_too_few(tmp_path: Path, pair: Pair) -> None:
    pair(tmp_path / "images", tmp_path / "masks", "a")
    with pytest.raises(FrugalsegError, match="too few"):
        open_folder(tmp_path)


def test_hidden_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / "images" / ".DS_Store").touch()
    (folder / "images" / "._p1.jpg").touch()
    (folder / "images" / "notes.txt").touch()
    assert sum(len(part) for part in open_folder(folder).splits.values()) == 6


def test_0_and_255_are_fine_where_255_is_a_class(folder: Path) -> None:
    break_folder(folder, "binary")
    (folder / "classes.csv").write_text(
        "name,id,colour,target\nground,0,#000000,no\nthing,255,#ff0000,yes\n"
    )
    mask = open_folder(folder).splits["val"][0].mask
    assert mask is not None
    assert np.unique(read_mask(mask, open_folder(folder).classes)).tolist() == [0, 1]


def test_list_images(folder: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    images = folder / "images"
    pair(images / "deep", folder / "masks" / "deep", "z")
    (images / "notes.txt").touch()
    every = [images / "deep" / "z.jpg", *(images / f"p{i}.jpg" for i in range(6))]
    assert list_images(images) == every
    assert list_images(images / "p1.jpg") == [images / "p1.jpg"]
    assert list_images(f"{images}/p[12].*") == [images / "p1.jpg", images / "p2.jpg"]
    assert list_images(f"{images}/**/*.jpg") == every
    for bad, message in (
        (images / "none.jpg", "no such file"),
        (f"{images}/*.gif", "no such file"),
        (f"{images}/*.txt", "there is no image"),
    ):
        with pytest.raises(FrugalsegError, match=message):
            list_images(bad)
    (folder / "nothing").mkdir()
    with pytest.raises(FrugalsegError, match="there is no image"):
        list_images(folder / "nothing")


def test_the_name_is_that_of_the_folder_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert open_folder(".").name == open_any_folder(".").name == folder.name
    monkeypatch.chdir(folder / "images")
    assert open_folder("..").name == folder.name
    assert open_images(".").name == "images"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each mask has been decoded."""
    counts: Counter[str] = Counter()

    def counted(path: Path) -> AbstractContextManager[ImageFile]:
        counts[path.name] += 1
        return open_image(path)

    monkeypatch.setattr(masks, "open_image", counted)
    return counts


def test_a_mask_is_decoded_at_most_once(folder: Path, decoded: Counter[str]) -> None:
    every = {f"p{i}.png": 1 for i in range(6)}
    open_folder(folder)  # looked through for 0 and 255 alone
    assert decoded == every
    decoded.clear()
    open_folder(folder, ignore=["255"])
    assert decoded == every
    decoded.clear()
    check_folder(folder)
    assert decoded == every
    (folder / "classes.csv").unlink()
    for open_it in (open_folder, check_folder, partial(open_any_folder, masks="folder")):
        decoded.clear()
        open_it(folder)
        assert decoded == every


def test_the_rest_is_decoded_only_if_some_look_like_a_slip(
    folder: Path, decoded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_mask_folder, "_BINARY_PROBE", 2)
    for ignore in ([], ["255"]):
        decoded.clear()
        open_folder(folder, ignore=ignore)
        assert decoded == {"p0.png": 1, "p3.png": 1}
    decoded.clear()
    for name in ("p0", "p3"):
        Image.fromarray(np.uint8([[0, 255]]).repeat(8, 0).repeat(5, 1)).save(
            folder / "masks" / f"{name}.png"
        )
    open_folder(folder)
    assert decoded == {f"p{i}.png": 1 for i in range(6)}
