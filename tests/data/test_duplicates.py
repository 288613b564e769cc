import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data import duplicates
from frugalseg.data.image_sets import open_images
from frugalseg.errors import FrugalsegError


def picture(seed: int, side: int = 96) -> Image.Image:
    """Smooth blobs, as photographs have."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(6):
        picture(i).save(tmp_path / f"p{i}.png")
    return tmp_path


def test_equal_files_and_nearly_equal_pictures(folder: Path) -> None:
    shutil.copy(folder / "p1.png", folder / "q_copy.png")
    picture(2).resize((70, 70)).save(folder / "q_small.jpg", quality=70)
    brighter = np.asarray(picture(3), np.int64) + 5
    Image.fromarray(brighter.clip(0, 255).astype(np.uint8)).save(folder / "q_bright.png")
    images = open_images(folder)
    found = duplicates.find_duplicates(images)
    named = [{images.names[i] for i in group} for group in found.exact]
    assert named == [{"p1.png", "q_copy.png"}]
    named = [{images.names[i] for i in group} for group in found.near]
    assert named == [{"p2.png", "q_small.jpg"}, {"p3.png", "q_bright.png"}]


def test_plain_pictures_of_different_colours_are_not_the_same(tmp_path: Path) -> None:
    for i, colour in enumerate(("red", "green", "blue", "#fe0000")):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{i}.png")
    found = duplicates.find_duplicates(open_images(tmp_path))
    assert found.exact == ()
    assert found.near == ((0, 3),)


def test_no_pair_is_overlooked() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 120).astype(np.uint64)
    for i in range(0, 120, 3):  # neighbours with some bits turned
        for bit in rng.choice(64, rng.integers(0, 10), replace=False):
            hashes[i + 1] = hashes[i] ^ np.uint64(1 << int(bit)) if bit % 2 else hashes[i]
    thumbnails = rng.integers(100, 110, (120, 16, 16, 3)).astype(np.uint8)
    thumbnails[::7] = 200
    linked = np.arange(120)
    for i, j in itertools.combinations(range(120), 2):
        bits = bin(int(hashes[i]) ^ int(hashes[j])).count("1")
        far = np.square(thumbnails[i].astype(float) - thumbnails[j]).mean() ** 0.5
        if bits <= 6 and far <= 8:
            linked[linked == linked[j]] = linked[i]
    slow = {frozenset(np.flatnonzero(linked == value)) for value in linked}
    found = duplicates.near_groups(hashes, thumbnails)
    assert {frozenset(group) for group in found} == {group for group in slow if len(group) > 1}


def test_images_that_all_look_the_same_are_refused(folder: Path) -> None:
    duplicates.refuse_equal_images(open_images(folder))
    for path in folder.iterdir():
        picture(0).save(path)
    with pytest.raises(FrugalsegError, match="all 6 images look the same"):
        duplicates.refuse_equal_images(open_images(folder))


def test_sets_without_files_are_looked_through() -> None:
    found = duplicates.find_duplicates(open_images("digits"))
    pixels = open_images("digits").read_all(8).reshape(1797, -1)
    assert len(np.unique(pixels, axis=0)) == 1797 - sum(len(g) - 1 for g in found.exact)
