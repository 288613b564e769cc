import gzip
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from frugalseg.data.image_set import label_indices
from frugalseg.data.open_images import open_images
from frugalseg.errors import FrugalsegError


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def idx(path: Path, array: np.ndarray) -> None:
    head = b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(root: Path, suffix: str = "", first: int = 5) -> dict[str, np.ndarray]:
    root.mkdir(parents=True, exist_ok=True)
    arrays = {
        "train-images-idx3": noise(12, 28, 28),
        "train-labels-idx1": np.arange(12, dtype=np.uint8) % 10,
        "t10k-images-idx3": noise(4, 28, 28, seed=1),
        "t10k-labels-idx1": np.uint8([7, 2, 1, 0]),
    }
    for name, array in arrays.items():
        idx(root / f"{name}-ubyte{suffix}", array)
    return arrays


@pytest.mark.parametrize(("below", "suffix"), [("", ""), ("", ".gz"), ("MNIST/raw", "")])
def test_mnist(tmp_path: Path, below: str, suffix: str) -> None:
    arrays = write_mnist(tmp_path / below, suffix)
    images = open_images(tmp_path)
    assert len(images) == 16
    assert images.names[12] == "test/00000"
    assert images.splits["train"].tolist() == list(range(12))
    assert images.splits["test"].tolist() == [12, 13, 14, 15]
    assert images.splits["all"].tolist() == list(range(16))
    assert images.labels is not None
    assert images.labels[12:].tolist() == [7, 2, 1, 0]
    assert images.class_names == tuple("0123456789")
    assert np.array_equal(images.read(13)[..., 0], arrays["t10k-images-idx3"][1])
    assert np.array_equal(images.read_all(28, [3, 13])[0, ..., 0], arrays["train-images-idx3"][3])


def test_fashion_is_told_from_digits_by_its_labels(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = np.uint8([9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9])
    idx(tmp_path / "train-labels-idx1-ubyte", labels)
    assert open_images(tmp_path).class_names[9] == "ankle boot"


def write_cifar(root: Path, hundred: bool, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    """Three images a batch; returns all pixels (N, 32, 32, 3) and (fine) labels."""
    root.mkdir(parents=True, exist_ok=True)
    names = ["train", "test"] if hundred else [*(f"data_batch_{i}" for i in range(1, 6))]
    names += [] if hundred else ["test_batch"]
    pixels, labels = [], []
    for i, name in enumerate(names):
        rows, fine = noise(3, 3072, seed=i), np.uint8([i, 9, 0])
        coarse = fine // 5
        if binary:
            heads = np.stack([coarse, fine], 1) if hundred else fine[:, None]
            (root / f"{name}.bin").write_bytes(np.concatenate([heads, rows], 1).tobytes())
        else:
            batch: dict[bytes, object] = {b"data": rows}
            if hundred:
                batch |= {b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist()}
            else:
                batch[b"labels"] = fine.tolist()
            (root / name).write_bytes(pickle.dumps(batch, protocol=2))
        pixels.append(rows.reshape(3, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(fine)
    if hundred and not binary:
        meta = {b"fine_label_names": [f"thing {i}".encode() for i in range(100)]}
        (root / "meta").write_bytes(pickle.dumps(meta, protocol=2))
    return np.concatenate(pixels), np.concatenate(labels)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_cifar10(tmp_path: Path, binary: bool, packed: bool) -> None:
    folder = f"cifar-10-batches-{'bin' if binary else 'py'}"
    pixels, labels = write_cifar(tmp_path / folder, False, binary)
    if packed:
        name = f"cifar-10-{'binary' if binary else 'python'}.tar.gz"
        (tmp_path / "packed").mkdir()
        with tarfile.open(tmp_path / "packed" / name, "w:gz") as archive:
            archive.add(tmp_path / folder, folder)
        images = open_images(tmp_path / "packed")
    else:
        images = open_images(tmp_path)
        assert open_images(tmp_path / folder).names == images.names
    assert np.array_equal(images.read_all(32), pixels)
    assert np.array_equal(images.labels, labels)
    assert images.class_names[9] == "truck"
    assert (len(images.splits["train"]), len(images.splits["test"])) == (15, 3)


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100_has_its_superclasses(tmp_path: Path, binary: bool) -> None:
    folder = f"cifar-100-{'binary' if binary else 'python'}"
    pixels, fine = write_cifar(tmp_path / folder, True, binary)
    images = open_images(tmp_path)
    assert len(images.class_names) == 20
    assert np.array_equal(images.labels, fine // 5)
    assert np.array_equal(images.read(4), pixels[4])
    images = open_images(tmp_path, labels="fine")
    assert len(images.class_names) == 100
    assert np.array_equal(images.labels, fine)


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path) -> None:
    write_cifar(tmp_path, False, False)

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, ("touch trapped",)

    (tmp_path / "data_batch_2").write_bytes(pickle.dumps({b"data": Trap()}))
    with pytest.raises(FrugalsegError, match="data_batch_2 is missing or incomplete"):
        open_images(tmp_path)
    assert not Path("trapped").exists()


def test_stl10(tmp_path: Path) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    planes = {name: noise(2, 3, 96, 96, seed=i) for i, name in enumerate(("train", "test"))}
    for name, array in planes.items():
        array.tofile(folder / f"{name}_X.bin")
        np.uint8([1, 10]).tofile(folder / f"{name}_y.bin")
    noise(3, 3, 96, 96, seed=7).tofile(folder / "unlabeled_X.bin")
    images = open_images(tmp_path)
    assert {split: len(i) for split, i in images.splits.items()} == {
        "train": 2,
        "test": 2,
        "unlabelled": 3,
        "all": 7,
    }
    assert images.labels is not None
    assert images.labels.tolist() == [0, 9, 0, 9, -1, -1, -1]
    image = images.read(3)  # the file holds planes, column by column
    for channel, row, column in ((0, 3, 50), (2, 95, 1)):
        assert image[row, column, channel] == planes["test"][1, channel, column, row]


def test_digits_come_with_scikit_learn() -> None:
    images = open_images("digits")
    assert (len(images), images.name, images.read(0).shape) == (1797, "digits", (8, 8, 1))
    assert images.labels is not None
    assert np.bincount(images.labels).min() > 170
    assert images.read_all(8).max() == 255
    assert set(images.splits) == {"all"}
    assert images.read_all(24, [1, 2]).shape == (2, 24, 24, 1)


def test_a_folder_of_mixed_images(tmp_path: Path) -> None:
    save(tmp_path / "b" / "wide.jpg", noise(40, 90, 3))
    save(tmp_path / "a.png", noise(33, 20))
    save(tmp_path / "sixteen.png", noise(30, 30).astype(np.uint16) * 256)
    save(tmp_path / "see-through.png", noise(30, 31, 4))
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    save(tmp_path / "turned.jpg", noise(50, 30, 3), exif=turned)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_text("no image")
    images = open_images(tmp_path)
    assert images.names == ("a.png", "b/wide.jpg", "see-through.png", "sixteen.png", "turned.jpg")
    assert images.sizes.tolist() == [[33, 20], [40, 90], [30, 31], [30, 30], [30, 50]]
    assert images.labels is None
    assert images.problems == ()
    assert images.read(1).shape == (40, 90, 3)
    assert images.read_all(16).shape == (5, 16, 16, 3)


def test_broken_files_are_named_and_left_out(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.jpg", noise(200, 200, 3, seed=i))
    content = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.png").touch()
    images = open_images(tmp_path)
    assert images.names == ("0.jpg", "2.jpg")
    assert len(images.problems) == 2
    assert str(tmp_path / "1.jpg") in images.problems[0]
    assert str(tmp_path / "empty.png") in images.problems[1]
    assert np.array_equal(images.read(1), np.array(Image.open(tmp_path / "2.jpg")))


def test_folders_are_labels_when_asked(tmp_path: Path) -> None:
    for i, name in enumerate(("cat/1.png", "cat/deep/2.png", "ape/1.png", "lost.png")):
        save(tmp_path / name, noise(9, 9, 3, seed=i))
    assert open_images(tmp_path).labels is None
    images = open_images(tmp_path, labels="folders")
    assert images.class_names == ("ape", "cat")
    assert images.labels is not None
    assert dict(zip(images.names, images.labels.tolist(), strict=True)) == {
        "ape/1.png": 0,
        "cat/1.png": 1,
        "cat/deep/2.png": 1,
        "lost.png": -1,
    }


@pytest.mark.parametrize("packed", [False, True])
def test_jpeg_folders_with_splits(tmp_path: Path, packed: bool) -> None:
    for i, split in enumerate(("train", "test")):
        for j, name in enumerate(("truck", "bird")):
            save(tmp_path / split / name / "0001.jpg", noise(32, 32, 3, seed=2 * i + j))
    images = open_images(tmp_path, labels="folders")
    if packed:
        (tmp_path / "packed").mkdir()
        for split in ("train", "test"):
            with tarfile.open(tmp_path / "packed" / f"{split}.tar.gz", "w:gz") as archive:
                archive.add(tmp_path / split, split)
        again = open_images(tmp_path / "packed")
        assert set(again.names) == set(images.names)
        order = [images.names.index(name) for name in again.names]
        assert np.array_equal(again.read_all(32), images.read_all(32, order))
        images = again
    assert images.class_names == ("bird", "truck")
    for split in ("train", "test"):
        names = [images.names[i] for i in images.splits[split]]
        assert names == [f"{split}/bird/0001.jpg", f"{split}/truck/0001.jpg"]
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 0, 1]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i, name in enumerate(("a/one.jpg", "a/two.png", "b/two.jpg", "b/three.jpg")):
        save(tmp_path / "photos" / name, noise(40, 40, 3, seed=i))
    return tmp_path / "photos"


@pytest.mark.parametrize("none", ["-1", "nan", "NaN", "-1.0", ""])
def test_minus_one_and_nan_mean_unlabelled(photos: Path, tmp_path: Path, none: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"file,label\none,10\ntwo,{none}\nthree,2\n".replace("two", "b/two"))
    images = open_images(photos, labels=table)
    assert images.class_names == ("2", "10")
    assert images.labels is not None
    assert sorted(images.labels.tolist()) == [-1, -1, 0, 1]
    assert images.problems == (f"{table}: 2 of 4 images are unlabelled.",)
    table.write_text(f"file,label\none,{none}\n")
    with pytest.raises(FrugalsegError, match="labels no image"):
        open_images(photos, labels=table)
    table.write_text(f"file,label\none,1\nthree,{none}\n")
    with pytest.raises(FrugalsegError, match="all labels are '1', so there is nothing to tell"):
        open_images(photos, labels=table)


def test_labels_from_a_table(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("label,file\nfox,one.jpg\nelk,b/two\nfox,./a/two.png\n,three\n")
    images = open_images(photos, labels=table)
    assert images.class_names == ("elk", "fox")
    assert images.labels is not None
    assert dict(zip(images.names, images.labels.tolist(), strict=True)) == {
        "a/one.jpg": 1,
        "a/two.png": 1,
        "b/three.jpg": -1,
        "b/two.jpg": 0,
    }
    assert images.problems == (f"{table}: 1 of 4 images are unlabelled.",)
    assert images.labelled.tolist() == [0, 1, 3]
    (photos / "b" / "broken.jpg").touch()
    table.write_text("file,label\none,10\na/two,9\nb/two.jpg,9\nthree,10\nb/broken.jpg,9\n")
    assert open_images(photos, labels=table).class_names == ("9", "10")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\none.jpg,x\nfour.jpg,x\nfive.jpg,y\n", "names 2 files that .* four.jpg, five"),
        ("file,label\ntwo,x\n", "names 1 file that"),  # two of them
        ("file,label\none.jpg,x\na/one.jpg,y\n", "line 3: a/one.jpg has the label 'x' in line 2"),
        ("file,label\none.jpg,\n", "labels no image"),
        ("file,class\none.jpg,x\n", "no column 'label'"),
        ("", "no column 'file'"),
    ],
)
def test_tables_that_do_not_fit(photos: Path, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(FrugalsegError, match=says):
        open_images(photos, labels=tmp_path / "labels.csv")


def test_what_is_no_set_of_images(tmp_path: Path, photos: Path) -> None:
    def refused(path: Path, says: str, labels: str | None = None) -> None:
        with pytest.raises(FrugalsegError, match=says):
            open_images(path, labels)

    refused(tmp_path / "nowhere", "there is no such folder")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "is a file; a folder of images is needed")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "there is no image in it or below it")
    (tmp_path / "empty" / "a.jpg").write_text("text")
    refused(tmp_path / "empty", "none of 1 images can be read")
    refused(photos / "a", "no sub-folders", "folders")
    refused(photos, "cannot be read", "nowhere.csv")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("train-images-idx3-ubyte", b"\0\0\x08\x03" + bytes(12) + b"more", "is incomplete"),
        ("train-images-idx3-ubyte", b"hello", "not an IDX file"),
        ("train-images-idx3-ubyte.gz", b"hello", "cannot be read"),
        ("data_batch_1.bin", bytes(3000), "data_batch_1.bin is missing or incomplete"),
        ("data_batch_1", b"hello", "data_batch_1 is missing or incomplete"),
        ("cifar-10-python.tar.gz", b"hello", "cannot be read"),
        ("train_X.bin", bytes(100), "train_X.bin is incomplete"),
        ("train_X.bin", bytes(27648), "train_y.bin is missing or incomplete"),
        ("train.tar.gz", b"hello", "train.tar.gz cannot be read"),
    ],
)
def test_damaged_data_sets(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    if "idx3" in name:
        idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(3, np.uint8))
    with pytest.raises(FrugalsegError, match=says):
        open_images(tmp_path)


def test_labels_that_are_numbers_are_sorted_as_numbers() -> None:
    words = ["10", "9", "", "010", "9" * 5000, "08", "0"]
    indices, names = label_indices(words)
    assert names == ("0", "08", "9", "010", "10", "9" * 5000)
    assert [names[i] if i >= 0 else "" for i in indices] == words
    assert label_indices(["10", "9", "b"])[1] == ("10", "9", "b")
