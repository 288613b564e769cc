"""The data sets themselves, where FRUGALSEG_DATA names a folder with mnist/ and cifar10/ in it."""

import os
from pathlib import Path

import numpy as np
import pytest

from frugalseg.data.open_images import open_images

DATA = Path(os.environ.get("FRUGALSEG_DATA", "nowhere"))


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="FRUGALSEG_DATA has no mnist")
def test_mnist_is_whole() -> None:
    images = open_images(DATA / "mnist")
    assert {split: len(i) for split, i in images.splits.items()} == {
        "train": 60_000,
        "test": 10_000,
        "all": 70_000,
    }
    assert images.labels is not None
    counts = np.bincount(images.labels[images.splits["test"]])
    assert counts.tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # the mean brightness that everyone normalises by
    pixels = images.read_all(28, images.splits["train"])
    assert pixels.mean() / 255 == pytest.approx(0.1307, abs=0.0001)


@pytest.mark.skipif(not (DATA / "cifar10").is_dir(), reason="FRUGALSEG_DATA has no cifar10")
def test_cifar10_as_jpeg_files_is_whole() -> None:
    images = open_images(DATA / "cifar10")
    assert (len(images), len(images.splits["test"])) == (60_000, 10_000)
    assert images.class_names[0] == "airplane"
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [6000] * 10
    pixels = images.read_all(32, images.splits["train"][::50]) / 255
    # the means of red, green and blue that everyone normalises by
    np.testing.assert_allclose(pixels.mean((0, 1, 2)), [0.4914, 0.4822, 0.4465], atol=0.01)
