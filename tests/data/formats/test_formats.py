"""Every format of the registry: recognised by itself alone, and read as a sound set."""

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.formats import FORMATS
from frugalseg.data.image_set import ImageSet
from frugalseg.data.open_images import open_images


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def write_images(root: Path) -> Path:
    for name in ("train/bird/1.png", "train/truck/2.png", "test/bird/3.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(9, 12, 3)).save(root / name)
    return root


def write_archives(root: Path) -> Path:
    for split in ("train", "test"):
        with tarfile.open(root / f"{split}.tar.gz", "w:gz") as archive:
            archive.add(write_images(root.parent / "unpacked") / split, split)
    return root


def write_idx(root: Path) -> Path:
    arrays = {"images-idx3": noise(3, 28, 28), "labels-idx1": np.arange(3, dtype=np.uint8)}
    for name, array in arrays.items():
        head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
        content = gzip.compress(head + array.tobytes())
        (root / f"train-{name}-ubyte.gz").write_bytes(content)
    return root


def write_cifar(root: Path) -> Path:
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        (root / f"{name}.bin").write_bytes(noise(2, 3073).clip(0, 9).tobytes())
    return root


def write_stl10(root: Path) -> Path:
    noise(2, 3, 96, 96).tofile(root / "train_X.bin")
    np.uint8([1, 10]).tofile(root / "train_y.bin")
    return root


WRITERS: dict[str, Callable[[Path], Path]] = {
    "digits": lambda root: Path("digits"),
    "idx": write_idx,
    "cifar": write_cifar,
    "stl10": write_stl10,
    "archives": write_archives,
    "folder": write_images,
}


def test_every_format_is_tested() -> None:
    assert set(WRITERS) == set(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognised_and_read(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    root = WRITERS[name](root)
    recognising = [other for other in FORMATS if FORMATS[other].recognises(root)]
    assert recognising == [name] + ["folder"] * (name not in ("digits", "folder"))
    images = FORMATS[name].read(root, None)
    assert isinstance(images, ImageSet)
    assert images.names == open_images(root).names
    assert len(set(images.names)) == len(images) == len(images.sizes)
    assert images.splits["all"].tolist() == list(range(len(images)))
    for i in range(min(len(images), 4)):
        image = images.read(i)
        assert image.dtype == np.uint8
        assert image.shape[:2] == tuple(images.sizes[i])
    assert (images.labels is None) == (name == "folder")
    assert images.labels is None or images.labels.max() < len(images.class_names)
    assert images.read_all(8, [0]).shape[:3] == (1, 8, 8)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_recognised_where_there_is_nothing(name: str, tmp_path: Path) -> None:
    assert not FORMATS[name].recognises(tmp_path / "none")
