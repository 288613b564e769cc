from pathlib import Path

import numpy as np
import pytest

from frugalseg.data.image_sets import ImageSet, array_set
from frugalseg.errors import FrugalsegError
from frugalseg.training.cluster_checks import refuse_batch, refuse_images


def images(count: int, equal: bool = False) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1)).astype(np.uint8)
    pixels[:] = pixels[:1] if equal else pixels
    return array_set(Path("some"), {"all": pixels}, {"all": np.zeros(count)}, ("x",))


@pytest.mark.parametrize(
    ("there", "clusters", "says"),
    [
        (images(1), 3, "some holds one image"),
        (images(9), 10, "some holds 9 images, fewer than the 10 clusters asked: give --clusters 3"),
        (images(9), 1, "clusters=1: all images would be in one group"),
        (images(9), 0, "clusters=0"),
        (images(9, equal=True), 3, "all 9 images look the same"),
        (images(9, equal=True), None, "all 9 images look the same"),
    ],
)
def test_images_that_cannot_be_grouped(there: ImageSet, clusters: int | None, says: str) -> None:
    with pytest.raises(FrugalsegError, match=says):
        refuse_images(there, clusters)


def test_images_that_can() -> None:
    refuse_images(images(9), 9)
    refuse_images(images(9), None)


def test_the_batch_that_could_tell_clusters_apart_is_named() -> None:
    with pytest.raises(FrugalsegError, match=r"a batch of 40 images .* --batch 50"):
        refuse_batch(50, 40, 5)
    with pytest.raises(FrugalsegError, match=r"over_clusters=50: .* --batch 250"):
        refuse_batch(50, 40, 1, "over_clusters")
    assert refuse_batch(10, 50, 1) is None
    assert refuse_batch(50, 140, 5) is None
    said = refuse_batch(20, 30, 2)
    assert said is not None
    assert "--batch 50" in said
    assert refuse_batch(20, 50, 2) is None
