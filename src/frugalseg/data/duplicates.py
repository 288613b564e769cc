"""Images that come twice: the same file, or nearly the same picture."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frugalseg.errors import FrugalsegError

if TYPE_CHECKING:
    from frugalseg.data.image_sets import ImageSet

THUMBNAIL = 16
# Two pictures are nearly the same where at most so many of the 64 bits of their hashes differ, and
# their thumbnails by no more than so many levels of 255 (root mean square).
BITS, LEVELS = 6, 8.0
_ONES = np.array([bin(i).count("1") for i in range(256)], np.uint8)

Groups = tuple[tuple[int, ...], ...]
Glance = tuple[np.uint64, NDArray[np.uint8]]


@dataclass(frozen=True)
class Survey:
    """What a first look at every image gives.

    Attributes:
        digests: of each file, equal where the files are.
        hashes: (N,) uint64, of the pictures' rough shape (`difference_hash`).
        thumbnails: (N, 16, 16, 3) uint8.
    """

    digests: tuple[bytes, ...]
    hashes: NDArray[np.uint64]
    thumbnails: NDArray[np.uint8]

    @classmethod
    def of(cls, digests: Sequence[bytes], glances: Sequence[Glance]) -> Survey:
        """Put the looks at single images together."""
        hashes = np.array([each for each, _ in glances], np.uint64)
        return cls(tuple(digests), hashes, np.stack([thumbnail for _, thumbnail in glances]))


@dataclass(frozen=True)
class Duplicates:
    """Groups of two or more indices; a near group names one of each exact group alone."""

    exact: Groups
    near: Groups


def find_duplicates(images: ImageSet) -> Duplicates:
    """Find images that come twice.

    Args:
        images: the set; where it comes from files, their survey is used, else all are read.

    Returns:
        Exact groups (equal files or pixels) and near ones, ordered by their first image.

    Raises:
        FrugalsegError: an image cannot be read any more.
    """
    survey = images.survey or survey_images(images)
    exact = equal_groups(survey.digests)
    again = {i for group in exact for i in group[1:]}
    kept = np.array([i for i in range(len(images)) if i not in again], np.int64)
    near = near_groups(survey.hashes[kept], survey.thumbnails[kept])
    return Duplicates(exact, tuple(tuple(kept[list(group)].tolist()) for group in near))


def survey_images(images: ImageSet) -> Survey:
    """Look at every image of a set that has no files."""
    pixels = (images.read(i) for i in range(len(images)))
    looks = [(hashlib.blake2b(p.tobytes(), digest_size=16).digest(), glance(p)) for p in pixels]
    return Survey.of([digest for digest, _ in looks], [seen for _, seen in looks])


def refuse_equal_images(images: ImageSet) -> None:
    """Raise where all images look the same: there is nothing to tell apart.

    Raises:
        FrugalsegError: every image of the set has the same pixels, or the same thumbnail.
    """
    if len(images) < 2:
        return
    if images.survey is not None:
        thumbnails = images.survey.thumbnails
        same = bool((thumbnails == thumbnails[:1]).all())
    else:
        first = images.read(0)
        same = all(np.array_equal(first, images.read(i)) for i in range(1, len(images)))
    if same:
        raise FrugalsegError(
            f"{images.root}: all {len(images)} images look the same ({images.names[0]}, "
            f"{images.names[1]}, ...): there is nothing to group."
        )


def digest_file(path: Path) -> bytes:
    """Digest of a file's content.

    Raises:
        FrugalsegError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError as error:
        raise FrugalsegError(f"{path} cannot be read ({error.strerror}).") from error


def glance(image: NDArray[np.uint8]) -> Glance:
    """Difference hash and thumbnail of an image (H, W, 1 or 3)."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).convert("RGB")
    box = Image.Resampling.BOX
    thumbnail = np.asarray(picture.resize((THUMBNAIL, THUMBNAIL), box))
    return difference_hash(np.asarray(picture.convert("L").resize((9, 8), box))), thumbnail


def difference_hash(grey: NDArray[np.uint8]) -> np.uint64:
    """64 bits that say where a picture grows brighter to the right.

    Args:
        grey: (8, 9).
    """
    bits = grey[:, 1:] > grey[:, :-1]
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes()))


def equal_groups(digests: Iterable[bytes | int]) -> Groups:
    """Groups of two or more equal digests, by index."""
    found: dict[bytes | int, list[int]] = {}
    for i, digest in enumerate(digests):
        found.setdefault(digest, []).append(i)
    return tuple(tuple(group) for group in found.values() if len(group) > 1)


def near_groups(
    hashes: NDArray[np.uint64],
    thumbnails: NDArray[np.uint8],
    bits: int = BITS,
    levels: float = LEVELS,
) -> Groups:
    """Groups of images that look nearly the same, joined in chains.

    Hashes that differ in at most `bits` of their 64 bits agree wholly in at least one of `bits + 1`
    stretches (one stretch can spoil no more than one), so only those are compared.

    Args:
        hashes: (N,).
        thumbnails: (N, 16, 16, 3).
        bits: how many bits may differ, 0 to 15.
        levels: how far the thumbnails may differ, root mean square of 255 levels.

    Returns:
        Groups of two or more, ordered by their first index.
    """
    chain = np.arange(len(hashes))
    small = thumbnails.reshape(len(hashes), -1).astype(np.float32)
    means = small.reshape(len(hashes), -1, 3).mean(1)
    for bucket in _buckets(hashes, bits + 1):
        for place, i in enumerate(bucket[:-1]):
            others = bucket[place + 1 :]
            others = others[chain[others] != chain[i]]
            others = others[_differing(hashes[others], hashes[i]) <= bits]
            # the means' distance is a lower bound of the thumbnails', and far cheaper
            others = others[((means[others] - means[i]) ** 2).mean(1) <= levels**2]
            others = others[((small[others] - small[i]) ** 2).mean(1) <= levels**2]
            for j in others:
                chain[chain == chain[j]] = chain[i]
    return equal_groups(int(link) for link in chain)


def _buckets(hashes: NDArray[np.uint64], stretches: int) -> Iterator[NDArray[np.int64]]:
    """Indices of hashes that agree in a stretch of bits."""
    edges = np.linspace(0, 64, stretches + 1).astype(int)
    for start, end in itertools.pairwise(edges):
        mask = np.uint64((1 << int(end - start)) - 1)
        keys = (hashes >> np.uint64(start)) & mask
        order = np.argsort(keys, kind="stable")
        for bucket in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
            if len(bucket) > 1:
                yield bucket


def _differing(hashes: NDArray[np.uint64], one: np.uint64) -> NDArray[np.int64]:
    """How many bits differ."""
    differing = np.ascontiguousarray(hashes ^ one).view(np.uint8).reshape(len(hashes), 8)
    counts: NDArray[np.int64] = _ONES[differing].sum(1, dtype=np.int64)
    return counts
