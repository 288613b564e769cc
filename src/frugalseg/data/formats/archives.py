"""Images in `train.tar.gz` and `test.tar.gz`, whose folders are the classes."""

import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_file import open_image
from frugalseg.data.image_set import ImageFormat, ImageSet, label_indices
from frugalseg.data.images import IMAGE_SUFFIXES, read_image_bytes
from frugalseg.errors import FrugalsegError


def recognises_archives(root: Path) -> bool:
    """Whether a folder holds train.tar.gz or test.tar.gz."""
    return bool(_archives(root))


def read_archives(root: Path, labels: str | None = None) -> ImageSet:
    """Read archives of images; files are kept compressed in memory and decoded when read.

    Members are `SPLIT/CLASS/NAME.jpg`, as the CIFAR-10 JPEG files are packed.

    Args:
        root: a folder with train.tar.gz, test.tar.gz or both.
        labels: not used: the folders inside are the labels.

    Returns:
        The set, sorted by name within each split.

    Raises:
        FrugalsegError: an archive or a file in it cannot be read, or there is no image in it.
    """
    contents: dict[str, bytes] = {}
    splits: dict[str, NDArray[np.int64]] = {}
    for split, path in _archives(root).items():
        members = _members(path)
        splits[split] = np.arange(len(contents), len(contents) + len(members))
        contents |= {f"{split}/{name}": members[name] for name in sorted(members)}
    names, files = tuple(contents), list(contents.values())
    classes = [PurePosixPath(name).parts[1] if name.count("/") > 1 else "" for name in names]
    values, class_names = label_indices(classes)

    def read(i: int, least_side: int) -> NDArray[np.uint8]:
        return read_image_bytes(files[i], root / names[i])

    sizes = np.array([_size(content, root / name) for name, content in contents.items()])
    known = values if class_names else None
    return ImageSet(root, names, sizes, read, known, class_names, splits)


ARCHIVES = ImageFormat(recognises_archives, read_archives)


def _archives(root: Path) -> dict[str, Path]:
    archives = {split: root / f"{split}.tar.gz" for split in ("train", "test")}
    return {split: path for split, path in archives.items() if path.is_file()}


def read_archive(path: Path, wanted: Callable[[PurePosixPath], bool]) -> dict[PurePosixPath, bytes]:
    """The content of those files of a tar archive whose path is wanted, by path.

    Raises:
        FrugalsegError: the archive cannot be read.
    """
    contents = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if wanted(place) and (file := tar.extractfile(member)) is not None:
                    contents[place] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise FrugalsegError(f"{path} cannot be read ({error}). Fetch it again.") from error
    return contents


def _members(path: Path) -> dict[str, bytes]:
    """Image files by their path below the first folder."""
    files = read_archive(path, lambda place: place.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise FrugalsegError(f"{path}: there is no image in it.")
    return {"/".join(place.parts[1:]) or place.name: content for place, content in files.items()}


def _size(content: bytes, path: Path) -> tuple[int, int]:
    with open_image(path, content) as image:
        return image.height, image.width
