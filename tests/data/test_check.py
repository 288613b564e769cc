from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.check import check_folder, format_report


def test_a_sound_folder(folder: Path) -> None:
    mask = np.full((20, 30), 1, np.uint8)
    mask[:2, :15] = 5  # void
    Image.fromarray(mask).save(folder / "masks" / "p0.png")
    Image.new("L", (30, 20)).save(folder / "images" / "p0.jpg")
    lines = ["stem,split", "p0,val", *(f"p{i},train" for i in range(1, 6))]
    (folder / "split.csv").write_text("\n".join(lines))
    report = check_folder(folder)
    assert report.problems == ()
    assert report.splits == {"train": 5, "val": 1}
    assert report.sizes == {(8, 10): 5, (20, 30): 1}
    assert report.image_modes == {"RGB": 5, "L": 1}
    assert report.mask_modes == {"L": 6}
    ground, thing = report.classes
    assert (ground.name, ground.images, ground.target) == ("ground", 5, False)
    assert (thing.name, thing.images, thing.target) == ("thing", 6, True)
    assert ground.shares == {"train": 0.5, "val": 0.0}
    assert thing.shares == {"train": 0.5, "val": pytest.approx(0.95)}
    assert report.ignored_shares == {"train": 0.0, "val": pytest.approx(0.05)}
    text = format_report(report)
    assert "train 5, val 1" in text
    assert "8x10 5, 20x30 1" in text
    assert "No problems found." in text


def test_small_and_absent_classes_are_said(folder: Path) -> None:
    for i in range(6):
        mask = np.zeros((100, 100), np.uint8)
        mask[10:14, 5:90] = 1
        Image.fromarray(mask).save(folder / "masks" / f"p{i}.png")
        Image.new("RGB", (100, 100)).save(folder / "images" / f"p{i}.jpg")
    with (folder / "classes.csv").open("a") as file:
        file.write("nowhere,8,#123456,yes\n")
    ground, thing, nowhere = check_folder(folder).classes
    assert ground.looks_like_target is None
    assert thing.looks_like_target == "3.40 % of the pixels, about 4 pixels wide"
    assert nowhere.images == 0
    assert "occurs in no mask" in format_report(check_folder(folder))


def test_all_problems_are_collected(folder: Path) -> None:
    images, masks = folder / "images", folder / "masks"
    (masks / "p0.png").unlink()
    (images / "p1.jpg").unlink()
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    Image.fromarray(noise).save(images / "p2.jpg")
    (images / "p2.jpg").write_bytes((images / "p2.jpg").read_bytes()[:2000])
    Image.new("L", (10, 8), 77).save(masks / "p3.png")
    (masks / "p4.png").write_text("no image")
    Image.new("L", (9, 8)).save(masks / "p5.png")
    report = check_folder(folder)
    found = [(p.kind, Path(p.file).name) for p in report.problems]
    assert sorted(found) == [
        ("images and masks of different size", "p5.jpg"),
        ("images that cannot be read", "p2.jpg"),
        ("images without a mask", "p0.jpg"),
        ("masks that cannot be used", "p3.png"),
        ("masks that cannot be used", "p4.png"),
        ("masks without an image", "p1.png"),
    ]
    text = format_report(report)
    for name in ("p0.jpg", "p1.png", "p2.jpg", "p3.png", "p4.png", "p5.jpg"):
        assert name in text
    assert "id 77 (80 pixels)" in text
    assert "No problems" not in text


def test_a_broken_mask_is_reported_once(folder: Path) -> None:
    (folder / "masks" / "p0.png").write_text("no image")
    (folder / "classes.csv").unlink()
    assert [Path(p.file).name for p in check_folder(folder).problems] == ["p0.png"]


def test_a_bad_class_list_does_not_hide_broken_files(folder: Path) -> None:
    (folder / "classes.csv").write_text("nonsense")
    assert [p.kind for p in check_folder(folder).problems] == ["the folder as a whole"]
    (folder / "masks" / "p4.png").write_text("no image")
    problems = check_folder(folder).problems
    assert any("no column 'name'" in p.text for p in problems)
    assert any(p.file.endswith("p4.png") for p in problems)


@pytest.mark.parametrize("root", ["none", "classes.csv", "images"])
def test_what_is_no_data_folder_is_a_problem_too(folder: Path, root: str) -> None:
    report = check_folder(folder / root)
    assert len(report.problems) == 1
    assert str(folder / root) in format_report(report)


@pytest.mark.parametrize(("factor", "hinted"), [(1, True), (16, False)])
def test_twelve_bits_in_sixteen_are_hinted_at(tmp_path: Path, factor: int, hinted: bool) -> None:
    ramp = np.linspace(0, 4095, 40 * 40).reshape(40, 40).astype(np.uint16) * factor
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(3):
        Image.fromarray(ramp).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray((ramp > ramp.mean()).astype(np.uint8)).save(tmp_path / "masks" / f"{i}.png")
    report = check_folder(tmp_path)
    assert not report.problems
    said = ["Images of 16 bits (3), such as 0.png" in hint for hint in report.hints]
    assert said == [True] * hinted
