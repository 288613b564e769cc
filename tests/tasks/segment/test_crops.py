from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from frugalseg.data.image_mask_folder import open_folder
from frugalseg.sampling import boundary_maps
from frugalseg.tasks.segment.crops import (
    Augmentation,
    CachedImages,
    StepDataset,
    Stored,
    random_crop,
)


@pytest.fixture(scope="module")
def store(scenes: Path) -> CachedImages:
    data = open_folder(scenes)
    return CachedImages(data.splits["train"], data.classes, (8, 16))


@pytest.mark.parametrize("flips", ["none", "horizontal", "both"])
def test_pixels_labels_and_edges_stay_together(flips: str) -> None:
    """Each pixel holds its own place; labels are twice as fine."""
    rows, cols = np.mgrid[:20, :30].astype(np.uint8)
    fine = np.mgrid[:40, :60].astype(np.uint8)
    labels = fine[0] // 2 + 30 * (fine[1] // 2 % 2)
    stored = Stored(np.stack([rows, cols, rows], -1), labels, np.stack([rows, cols], -1))
    rng = np.random.default_rng(0)
    turned = set()
    for _ in range(40):
        example = random_crop(stored, 3, (4, 6), Augmentation(0.5, flips), rng)
        pixels, labels = example.pixels, example.labels
        height, width = pixels.shape[:2]
        assert height >= 10
        assert width >= 15
        assert labels.shape == (2 * height, 2 * width)
        assert (labels[::2, ::2] == pixels[..., 0] + 30 * (pixels[..., 1] % 2)).all()
        turned.add(
            (bool(pixels[0, 0, 0] > pixels[-1, 0, 0]), bool(pixels[0, 0, 1] > pixels[0, -1, 1]))
        )
        scale = 255 * example.maps
        assert np.allclose(scale[0].mean(), pixels[..., 0].mean(), atol=0.01)
        assert np.allclose(scale[1].mean(), pixels[..., 1].mean(), atol=0.01)
    wanted = {"none": 1, "horizontal": 2, "both": 4}
    assert len(turned) == wanted[flips]


def test_without_augmentation_the_whole_image_is_seen(store: CachedImages) -> None:
    example = random_crop(store[0], 0, (8, 16), None, None)
    assert example.pixels is store[0].pixels
    assert example.thumbnail.shape == (3, 8, 16)
    assert example.thumbnail.mean().item() == pytest.approx(store[0].pixels.mean() / 255, abs=0.01)


def test_shares_are_those_of_the_masks(store: CachedImages) -> None:
    labels = np.stack([store[i].labels for i in range(len(store))])
    for index, share in enumerate(store.class_shares()):
        assert share == pytest.approx((labels == index).mean())


def test_a_store_without_memory_gives_the_same_images(store: CachedImages) -> None:
    poor = CachedImages(store.samples, store.classes, store.size, budget=0)
    assert poor[1] is not poor[1]
    assert (poor[1].pixels == store[1].pixels).all()
    assert (poor[1].labels == store[1].labels).all()


def test_boundaries_are_found_once_an_image(store: CachedImages) -> None:
    asked: list[Path] = []

    def regions(path: Path) -> NDArray[np.uint8]:
        asked.append(path)
        return np.asarray(Image.open(path).convert("L")) // 64

    rich, poor = (
        CachedImages(store.samples, store.classes, store.size, budget=budget, regions=regions)
        for budget in (None, 0)
    )
    for i in range(len(store)):
        assert (rich[i].edges == poor[i].edges).all()
        assert (poor[i].edges == poor[i].edges).all()
    expected = boundary_maps(torch.from_numpy(regions(store.samples[0].image))[None], (64, 128))
    assert (poor[0].edges == (255 * expected[0]).permute(1, 2, 0).numpy().round()).all()
    assert sorted(asked) == sorted(2 * [s.image for s in store.samples] + [store.samples[0].image])


def test_each_round_shows_each_image_once(store: CachedImages) -> None:
    steps = StepDataset(store, (8, 16), 2, 0, Augmentation(), images=[0, 2, 3, 5])
    seen = [crop.image for batch in steps.between(0, 4) for crop in batch.crops]
    assert sorted(seen[:4]) == [0, 2, 3, 5]
    assert sorted(seen[4:]) == [0, 2, 3, 5]


def test_a_part_of_the_stream_is_what_the_whole_holds(store: CachedImages) -> None:
    steps = StepDataset(store, (8, 16), 2, 7, Augmentation())
    whole, part = list(steps.between(0, 5)), list(steps.between(3, 5))
    assert len(whole) == 5
    for one, other in zip(whole[3:], part, strict=True):
        assert (one.thumbnail == other.thumbnail).all()
        assert (one.maps == other.maps).all()
    other = next(iter(StepDataset(store, (8, 16), 2, 8, Augmentation()).between(0, 1)))
    assert not (other.thumbnail == whole[0].thumbnail).all()


def test_processes_share_the_examples(store: CachedImages) -> None:
    steps = StepDataset(store, (8, 16), 2, 0, Augmentation())
    ranks = [list(steps.between(0, 3, rank, 2)) for rank in (0, 1)]
    seen = [e.image for batches in zip(*ranks, strict=True) for b in batches for e in b.crops]
    alone = [steps.crop(k).image for k in range(12)]
    assert sorted(seen) == sorted(alone)
    assert sorted(seen[:4]) == sorted(alone[:4])
