"""Every kind of folder and file that is understood, through the command line."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.images import image_size
from frugalseg.demo.scenes import SCENE_CLASSES
from tiny import TINY, cli

Pairs = list[tuple[str, Path, Path]]


def pairs_of(scenes: Path) -> Pairs:
    """Split, image and mask of each scene."""
    masks = sorted(scenes.glob("masks/*/*.png"))
    return [
        (mask.parent.name, scenes / "images" / mask.parent.name / f"{mask.stem}.jpg", mask)
        for mask in masks
    ]


def into(image: str, mask: str) -> Callable[[Pairs, Path], None]:
    def build(pairs: Pairs, root: Path) -> None:
        for split, picture, labels in pairs:
            for source, pattern in ((picture, image), (labels, mask)):
                place = root / pattern.format(split) / f"{split}_{source.name}"
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)

    return build


def with_split_file(pairs: Pairs, root: Path) -> None:
    into("images", "masks")(pairs, root)
    with (root / "split.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stem", "split"])
        writer.writerows((f"{split}_{mask.stem}", split) for split, _, mask in pairs)


@pytest.mark.parametrize(
    ("build", "counts"),
    [
        (into("{}", "{}annot"), "train 6, val 3, test 2"),
        (into("{}/images", "{}/masks"), "train 6, val 3, test 2"),
        (into("images/{}", "masks/{}"), "train 6, val 3, test 2"),
        (with_split_file, "train 6, val 3, test 2"),
        (into("images", "masks"), "train 9, val 2"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_layouts(
    build: Callable[[Pairs, Path], None], counts: str, listed: bool, scenes: Path, tmp_path: Path
) -> None:
    build(pairs_of(scenes), tmp_path)
    if listed:
        shutil.copy(scenes / "classes.csv", tmp_path)
    answer = cli("check", tmp_path)
    assert answer.code == 0, answer.out
    assert counts in answer.out
    assert ("pedestrian" if listed else "class_6") in answer.out
    assert "No problems found" in answer.out


def save_16_bit(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) << 8).save(path)


def save_turned(image: Image.Image, path: Path) -> None:
    """As a camera held upright does: the pixels lie on their side, and EXIF says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def test_files_of_every_kind_are_learned_and_labelled(scenes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "masks").mkdir()
    shutil.copy(scenes / "classes.csv", data)
    savers: list[Callable[[Image.Image, Path], object]] = [
        lambda image, path: image.convert("L").save(path),
        lambda image, path: image.convert("RGBA").save(path),
        lambda image, path: image.convert("P").save(path),
        save_16_bit,
        save_turned,
        lambda image, path: image.save(path),
    ]
    suffixes = ("png", "png", "png", "png", "jpg", "tif")
    colours = np.array([c.colour for c in SCENE_CLASSES.classes], np.uint8)
    for i, (_, picture, mask) in enumerate(pairs_of(scenes)[:6]):
        savers[i](Image.open(picture), data / "images" / f"p{i}.{suffixes[i]}")
        ids = np.array(Image.open(mask))
        Image.fromarray(ids if i % 2 else colours[ids]).save(data / "masks" / f"p{i}.png")
    answer = cli("check", data)
    assert answer.code == 0, answer.out
    assert "128x256 6" in answer.out
    answer = cli("segment", data, "--run", tmp_path / "run", *TINY)
    assert answer.code == 0, answer.err
    answer = cli("predict", tmp_path / "run", data / "images", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    for i in range(6):
        assert image_size(tmp_path / "out" / f"p{i}.png") == (128, 256)
