"""Images in `train.tar.gz` and `test.tar.gz`, their classes being the folders inside."""

import io
import tarfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.image_labels import label_indices
from frugalseg.data.image_sets import ImageSet
from frugalseg.data.images import IMAGE_SUFFIXES, read_image_bytes, reading
from frugalseg.errors import FrugalsegError


def open_archives(root: Path) -> ImageSet | None:
    """Open archives of images; files are kept compressed in memory and decoded when read.

    Members are `SPLIT/CLASS/NAME.jpg`, as the CIFAR-10 JPEG files are packed.

    Args:
        root: a folder with train.tar.gz, test.tar.gz or both.

    Returns:
        The set, sorted by name within each split; None where there are no such archives.

    Raises:
        FrugalsegError: an archive or a file in it cannot be read, or there is no image in it.
    """
    archives = {split: root / f"{split}.tar.gz" for split in ("train", "test")}
    archives = {split: path for split, path in archives.items() if path.is_file()}
    if not archives:
        return None
    contents: dict[str, bytes] = {}
    splits: dict[str, list[int]] = {}
    for split, path in archives.items():
        members = _members(path)
        splits[split] = list(range(len(contents), len(contents) + len(members)))
        contents |= {f"{split}/{name}": members[name] for name in sorted(members)}
    names, files = tuple(contents), list(contents.values())
    classes = [PurePosixPath(name).parts[1] if name.count("/") > 1 else "" for name in names]
    labels, class_names = label_indices(classes)

    def read(i: int, least: int) -> NDArray[np.uint8]:
        return read_image_bytes(files[i], root / names[i])

    sizes = np.array([_size(content, root / name) for name, content in contents.items()])
    return ImageSet(
        root,
        names,
        sizes,
        read,
        labels if class_names else None,
        class_names,
        {split: np.array(indices) for split, indices in splits.items()},
    )


def _members(path: Path) -> dict[str, bytes]:
    """Image files by their path below the first folder."""
    members = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                place = PurePosixPath(member.name)
                if not member.isfile() or place.suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                inner = place.relative_to(place.parts[0]) if len(place.parts) > 1 else place
                file = tar.extractfile(member)
                assert file is not None
                members[inner.as_posix()] = file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise FrugalsegError(f"{path} cannot be read ({error}). Fetch it again.") from error
    if not members:
        raise FrugalsegError(f"{path}: there is no image in it.")
    return members


def _size(content: bytes, path: Path) -> tuple[int, int]:
    from PIL import Image

    with reading(path), Image.open(io.BytesIO(content)) as image:
        return image.height, image.width
