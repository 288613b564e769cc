from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from frugalseg.data.check import check_folder, format_report
from frugalseg.data.class_lists.statistics import mask_content
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.masks import BinaryMasks
from frugalseg.errors import FrugalsegError

SLIP = [[0, 255], [0, 255]]


def save_masks(folder: Path, *masks: list[list[int]]) -> None:
    """Write masks of p0, p1, ... in place of those that are there, 4 times as high and wide."""
    for i, mask in enumerate(masks):
        pixels = np.array(mask, np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(folder / "masks" / f"p{i}.png")
        Image.new("RGB", pixels.shape[::-1]).save(folder / "images" / f"p{i}.jpg")


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([0, 255], "binary"),
        ([255], "blank"),
        ([0], "empty"),
        ([0, 1], "plain"),
        ([7], "plain"),
        ([0, 1, 255], "void"),
        ([9, 255], "void"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_kinds(ids: list[int], kind: str, dtype: type) -> None:
    assert mask_content(np.array([ids, ids[::-1]], dtype)) == kind
    assert mask_content(np.zeros((2, 2, 3), dtype)) == "colours"


def test_0_and_255_in_most_masks_is_a_slip(folder: Path) -> None:
    """One sound file hid the others: their objects were ignored without a word."""
    save_masks(folder, *[SLIP] * 5)
    with pytest.raises(
        FrugalsegError, match=r"data: 5 of the 6 masks .* alone, such as p0\.png.*as 1"
    ):
        open_folder(folder)
    report = check_folder(folder)
    assert [Path(p.file).name for p in report.problems] == [f"p{i}.png" for i in range(5)]
    assert "Problem: masks of 0 and 255 alone (5)" in format_report(report)
    (folder / "classes.csv").unlink()
    assert len(check_folder(folder).problems) == 5
    with pytest.raises(FrugalsegError, match="5 of the 6 masks"):
        open_folder(folder)


def test_who_says_that_255_is_ignored_or_a_class_is_believed(folder: Path) -> None:
    save_masks(folder, *[SLIP] * 5)
    open_folder(folder, ignore=["255"])
    assert check_folder(folder, ignore=["255"]).problems == ()
    with (folder / "classes.csv").open("a") as file:
        file.write("more,255,#00ff00,no\n")
    open_folder(folder)
    assert check_folder(folder).problems == ()


def test_a_few_masks_of_background_and_void_are_sound(folder: Path) -> None:
    save_masks(folder, *[SLIP] * 3)
    open_folder(folder)
    report = check_folder(folder)
    assert report.problems == ()
    (hint,) = report.hints
    assert hint.startswith("masks of 0 and 255 alone (3): p0.png, p1.png, p2.png, and 255 is")
    assert "No problems found.\nHint: masks of 0 and 255 alone" in format_report(report)


@pytest.mark.parametrize(
    "masks",
    [
        [*[SLIP] * 5, [[0, 1], [255, 255]]],  # void comes beside objects too
        [*[[[255, 255]]] * 5],  # images that nobody has labelled
        [*[[[0, 0]]] * 4, SLIP],  # most masks are empty
    ],
)
def test_void_is_no_slip(masks: list[list[list[int]]], folder: Path) -> None:
    save_masks(folder, *masks)
    open_folder(folder)
    assert check_folder(folder).problems == ()


def test_nothing_but_0_and_255_is_a_slip(folder: Path) -> None:
    for masks in ([SLIP] * 6, [[[255]]] * 6, [[[0, 0]], *[[[255]]] * 5]):
        save_masks(folder, *masks)
        (problem,) = check_folder(folder).problems
        assert "only 0 and 255" in problem.text
        with pytest.raises(FrugalsegError, match="only 0 and 255"):
            open_folder(folder)


@pytest.mark.parametrize(
    ("resampling", "hints"), [(Image.Resampling.BICUBIC, 1), (Image.Resampling.NEAREST, 0)]
)
def test_masks_resized_with_smoothing_are_guessed(
    resampling: Image.Resampling, hints: int, tmp_path: Path, pair: Callable[..., None]
) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        pair(tmp_path / "images", tmp_path / "masks", f"p{i}", (120, 160))
        mask = Image.new("L", (400, 300))
        for kind in (40, 90, 200):
            x, y = rng.integers(60, 240, 2).tolist()
            ImageDraw.Draw(mask).ellipse((x - 50, y - 50, x + 50, y + 50), fill=kind)
        mask.resize((160, 120), resampling).save(tmp_path / "masks" / f"p{i}.png")
    report = check_folder(tmp_path)
    assert report.problems == ()
    assert ["resized with smoothing?" in hint for hint in report.hints] == [True] * hints


def test_sound_masks_of_many_classes_are_not_suspected(scenes: Path, tmp_path: Path) -> None:
    for part in ("images", "masks"):
        (tmp_path / part).symlink_to(scenes / part)
    report = check_folder(tmp_path)
    assert len(report.classes) > 8
    assert report.hints == ()


def test_a_few_masks_that_mislead_are_not_believed() -> None:
    """Of 200 masks every fourth is looked at first, and just these hold 0 and 255 alone."""
    masks = [("binary" if i % 4 == 0 else "plain") for i in range(200)]
    files = [Path(f"{i}.png") for i in range(200)]
    assert BinaryMasks(zip(files[::4], masks[::4], strict=True)).slip
    assert not BinaryMasks(zip(files, masks, strict=True)).slip


def test_of_many_masks_all_decide(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frugalseg.data.image_mask_folder._BINARY_PROBE", 2)
    save_masks(folder, SLIP, [[0, 1], [1, 0]], [[0, 1], [1, 0]], SLIP, *[[[0, 1], [1, 0]]] * 2)
    open_folder(folder)  # p0 and p3 were looked at first
    assert not check_folder(folder).problems


def test_masks_in_colours_are_sound() -> None:
    kinds = ["colours"] * 5 + ["binary"]
    found = BinaryMasks((Path(f"{i}.png"), kind) for i, kind in enumerate(kinds))
    assert not found.slip
    assert found.suspect
