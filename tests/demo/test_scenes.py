from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.masks import read_mask
from frugalseg.demo._scene_things import Thing, draw_thing
from frugalseg.demo._scene_view import POLE, Camera, Canvas, Light
from frugalseg.demo.scenes import SCENE_CLASSES, generate_scene, write_scenes
from frugalseg.errors import FrugalsegError

SIZE = (128, 256)


def test_scenes_follow_from_the_seed() -> None:
    image, labels = generate_scene(5, SIZE)
    assert image.shape == (*SIZE, 3)
    assert image.dtype == labels.dtype == np.uint8
    again, labels_again = generate_scene(5, SIZE)
    assert (image == again).all()
    assert (labels == labels_again).all()
    other, labels_other = generate_scene(6, SIZE)
    assert (image != other).mean() > 0.5
    assert (labels != labels_other).mean() > 0.05


@pytest.mark.parametrize("size", [(32, 32), (33, 57), (200, 120), (100, 500)])
def test_any_size(size: tuple[int, int]) -> None:
    image, labels = generate_scene(1, size)
    assert image.shape == (*size, 3)
    assert labels.shape == size
    assert labels.max() < SCENE_CLASSES.num_classes


def test_too_small_a_size_is_refused() -> None:
    with pytest.raises(FrugalsegError, match="16x64"):
        generate_scene(0, (16, 64))


def test_targets_are_there_and_small() -> None:
    counts = np.array(
        [np.bincount(generate_scene(s, (256, 512))[1].ravel(), minlength=9) for s in range(10)]
    )
    shares = counts.sum(0) / counts.sum()
    assert (counts > 0).mean(0).min() >= 0.8
    for index in SCENE_CLASSES.targets:
        assert 0.003 < shares[index] < 0.04, SCENE_CLASSES.names[index]


def test_colour_alone_does_not_solve_them() -> None:
    """The best guess from a pixel's colour, its histogram known, gets little of it right."""

    def colours(image: np.ndarray) -> np.ndarray:
        return (image >> 5).reshape(-1, 3) @ np.array([64, 8, 1])

    joint = np.zeros((512, 9))
    for seed in range(12):
        image, labels = generate_scene(seed, SIZE)
        np.add.at(joint, (colours(image), labels.ravel()), 1)
    confusion = np.zeros((9, 9))
    for seed in range(50, 56):
        image, labels = generate_scene(seed, SIZE)
        np.add.at(confusion, (labels.ravel(), joint.argmax(1)[colours(image)]), 1)
    overlap = confusion.diagonal()
    iou = overlap / (confusion.sum(0) + confusion.sum(1) - overlap)
    assert iou.mean() < 0.35
    assert iou[SCENE_CLASSES.targets].mean() < 0.2


def test_things_shrink_with_distance_but_poles_keep_two_pixels() -> None:
    camera = Camera(256, 512, 110, 256, 300, 1.6, 0, 0, 0)
    light = Light(1, 0.5, 1, (200, 200, 200), 300)

    def drawn(kind: str, z: float) -> np.ndarray:
        canvas = Canvas(Image.new("RGB", (512, 256)), Image.new("L", (512, 256)), camera, light)
        draw_thing(canvas, Thing(kind, 1.0, z, seed=3))
        return np.array(canvas.labels)

    for z in (10, 40, 120):
        columns = (drawn("lamp", z) == POLE)[100:112].any(0).sum()
        assert columns >= 2
    for kind in ("car", "pedestrian", "tree", "sign"):
        heights = [(drawn(kind, z) > 0).any(1).sum() for z in (12, 24, 48)]
        assert heights[0] > 1.6 * heights[1] > 2.2 * heights[2] > 0, kind


def test_written_scenes_are_a_data_folder(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_scenes(tmp_path, 2, 1, 1, (64, 128), 7, lambda done, total: calls.append((done, total)))
    found = open_folder(tmp_path)
    assert {k: len(v) for k, v in found.splits.items()} == {"train": 2, "val": 1, "test": 1}
    assert found.classes == SCENE_CLASSES
    assert calls == [(i, 4) for i in range(1, 5)]
    first = found.splits["train"][0]
    assert first.mask is not None
    before = first.image.read_bytes(), first.mask.read_bytes()
    assert len({s.image.read_bytes() for part in found.splits.values() for s in part}) == 4
    write_scenes(tmp_path, 3, 1, 1, (64, 128), 7)
    assert (first.image.read_bytes(), first.mask.read_bytes()) == before
    assert set(np.unique(read_mask(first.mask, SCENE_CLASSES))) <= set(range(9))
    with pytest.raises(FrugalsegError, match="other files"):
        write_scenes(tmp_path, 1, 1, 1, (64, 128), 7)
