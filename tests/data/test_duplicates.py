import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.image_set import find_duplicates, refuse_equal_images
from frugalseg.data.open_images import open_images
from frugalseg.errors import FrugalsegError


def image(seed: int, side: int = 96) -> Image.Image:
    """Smooth blobs, as photographs have."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(6):
        image(i).save(tmp_path / f"p{i}.png")
    return tmp_path


def test_equal_files_are_found_and_others_are_not(folder: Path) -> None:
    shutil.copy(folder / "p1.png", folder / "q_copy.png")
    shutil.copy(folder / "p1.png", folder / "a_copy.png")
    image(2).save(folder / "q_other.jpg")
    images = open_images(folder)
    (group,) = find_duplicates(images)
    assert [images.names[i] for i in group] == ["a_copy.png", "p1.png", "q_copy.png"]


def test_images_that_all_look_the_same_are_refused(folder: Path) -> None:
    refuse_equal_images(open_images(folder))
    for path in folder.iterdir():
        image(0).save(path)
    with pytest.raises(FrugalsegError, match="all 6 images look the same"):
        refuse_equal_images(open_images(folder))
    image(0).save(folder / "other.bmp")  # another file of the same pixels
    with pytest.raises(FrugalsegError, match="all 7 images look the same"):
        refuse_equal_images(open_images(folder))


def test_of_sets_that_are_not_files_nothing_is_said() -> None:
    digits = open_images("digits")
    assert find_duplicates(digits) == ()
    refuse_equal_images(digits)
