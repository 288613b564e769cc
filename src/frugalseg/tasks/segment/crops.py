"""Cached training images, and the crops from which samplers and segmenters learn.

A crop is a view into the cached pixels, flipped or not; only the thumbnail for the sampler is
resized. Pixels are read at the samples later, when the sampler has placed them. Crop ``k`` of a
training depends on the seed and k alone, so a resumed training sees the same crops.
"""

import copy
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from frugalseg.data.class_lists.classes import IGNORE_INDEX, ClassList
from frugalseg.data.images import image_size, read_image
from frugalseg.data.layouts.samples import Sample
from frugalseg.data.masks import read_mask
from frugalseg.engine.config import Size
from frugalseg.files import in_threads
from frugalseg.sampling import area_average, boundary_maps, reduced_sampling
from frugalseg.tasks.segment.model import OVERSAMPLE, decode_scale

Bytes = NDArray[np.uint8]
Regions = Callable[[Path], Bytes]


@dataclass(frozen=True)
class Augmentation:
    """Geometric augmentation of training images, the same for every sampler.

    Attributes:
        min_scale: a crop is at least this high and wide, relative to the image.
        flips: "none", "horizontal", or "both".
    """

    min_scale: float = 0.5
    flips: str = "horizontal"


@dataclass(frozen=True)
class Stored:
    """One image in memory: pixels at the decoded scale, labels at full resolution.

    Up to ``reduce - 1`` rows and columns at the end are left out, so that each pixel covers
    ``reduce x reduce`` labels, whichever way the image is flipped.
    """

    pixels: Bytes  # (H / reduce, W / reduce, 3)
    labels: Bytes  # (H, W)
    edges: Bytes  # (H / reduce, W / reduce, 2): shares of target and of all boundaries, times 255

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + self.labels.nbytes + self.edges.nbytes


@dataclass(frozen=True)
class Crop:
    """One crop: views into a stored image, and the sampler's thumbnail of it."""

    pixels: Bytes
    labels: Bytes
    thumbnail: Tensor  # (3, a, b) in [0, 1]
    maps: Tensor  # (2, a, b) in [0, 1], target and all boundaries
    image: int  # index of the image in its set

    def reduced(self, phi: Tensor) -> Tensor:
        """Samples ``(..., h, w, 2)`` of the crop as places in its pixels."""
        size = (self.labels.shape[0], self.labels.shape[1])
        return reduced_sampling(phi, size, size[0] // len(self.pixels))


@dataclass(frozen=True)
class Batch:
    """The crops of one step; thumbnails and maps are stacked."""

    crops: list[Crop]
    thumbnail: Tensor
    maps: Tensor


class CachedImages:
    """Images with masks, decoded once and kept in memory while they fit.

    Args:
        samples: the images.
        classes: their classes.
        size: number of samples ``(h, w)`` to be read from an image.
        budget: bytes to keep in memory; images beyond it are decoded at every use.
        regions: a function from an image file to the region of each pixel; the boundaries of these
            regions replace those of the masks, and images need no masks. It is called once for each
            image: the boundaries are kept, compressed, even for images beyond the budget.
    """

    def __init__(
        self,
        samples: tuple[Sample, ...],
        classes: ClassList,
        size: Size,
        budget: int | None = None,
        regions: Regions | None = None,
    ):
        self.samples, self.classes, self.size, self.regions = samples, classes, size, regions
        self._left = _half_of_free_memory() if budget is None else budget
        self._kept: dict[int, Stored] = {}
        self._packed_edges: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Stored:
        kept = self._kept.get(index)
        if kept is None:
            kept = self._read(index)
            if index not in self._kept and kept.nbytes <= self._left:
                self._left -= kept.nbytes
                self._kept[index] = kept
        return kept

    def _read(self, index: int) -> Stored:
        sample = self.samples[index]
        full = image_size(sample.image)
        reduce = decode_scale(full, self.size, OVERSAMPLE["adaptive"])
        size = (full[0] // reduce, full[1] // reduce)
        pixels = read_image(sample.image, reduce)[: size[0], : size[1]]
        covered = np.s_[: size[0] * reduce, : size[1] * reduce]
        if sample.mask is None:
            labels = np.broadcast_to(np.uint8(IGNORE_INDEX), full)[covered]
        else:
            labels = read_mask(sample.mask, self.classes)[covered]
        if self.regions is None:
            return Stored(pixels, labels, _edges(labels, size, self.classes.targets))
        if index not in self._packed_edges:
            # regions have no targets: both maps are the same
            edges = _edges(self.regions(sample.image)[covered], size, [])[..., 0]
            self._packed_edges[index] = zlib.compress(edges.tobytes(), 1)
        content = zlib.decompress(self._packed_edges[index])
        edges = np.frombuffer(content, np.uint8).reshape(size)
        return Stored(pixels, labels, np.stack([edges, edges], -1))

    def class_shares(self) -> NDArray[np.float64]:
        """Share of each class among the labelled pixels of all images."""
        counts = np.zeros(256, np.int64)
        for stored in in_threads(self.__getitem__, range(len(self))):
            counts += np.bincount(stored.labels.ravel(), minlength=256)
        counts = counts[: self.classes.num_classes]
        shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
        return shares


def _edges(labels: Bytes, size: Size, targets: list[int]) -> Bytes:
    """Shares of boundary pixels, as in :class:`Stored`."""
    maps = boundary_maps(torch.from_numpy(labels)[None], size, targets or None)
    return (maps[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def random_crop(
    stored: Stored, index: int, thumbnail: Size, augmentation: Augmentation | None, rng: Any
) -> Crop:
    """Draw a random crop of a stored image; without augmentation, the whole image.

    Args:
        stored: the image.
        index: its index in its set.
        thumbnail: size of the sampler's thumbnail ``(a, b)``.
        augmentation: how to draw the crop, if at all.
        rng: a NumPy generator; unused without augmentation.
    """
    pixels, labels, edges = stored.pixels, stored.labels, stored.edges
    if augmentation is not None:
        height, width = pixels.shape[:2]
        scale = rng.uniform(augmentation.min_scale, 1.0)
        h, w = max(2, round(scale * height)), max(2, round(scale * width))
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        reduce = len(labels) // height
        pixels = pixels[top : top + h, left : left + w]
        edges = edges[top : top + h, left : left + w]
        labels = labels[top * reduce : (top + h) * reduce, left * reduce : (left + w) * reduce]
        if augmentation.flips != "none" and rng.random() < 0.5:
            pixels, labels, edges = pixels[:, ::-1], labels[:, ::-1], edges[:, ::-1]
        if augmentation.flips == "both" and rng.random() < 0.5:
            pixels, labels, edges = pixels[::-1], labels[::-1], edges[::-1]
    small, maps = area_average(pixels, thumbnail), area_average(edges, thumbnail)
    return Crop(pixels, labels, small, maps, index)


class StepDataset(IterableDataset[Batch]):
    """The batches of a range of training steps, prepared ahead in threads.

    Args:
        store: the images.
        thumbnail: size of the sampler's thumbnail ``(a, b)``.
        batch_size: crops in a step.
        seed: of the order of images, the crops and the flips.
        augmentation: how to draw crops; None for whole images.
        images: indices of the images to use; None for all.
    """

    def __init__(
        self,
        store: CachedImages,
        thumbnail: Size,
        batch_size: int,
        seed: int,
        augmentation: Augmentation | None,
        images: list[int] | None = None,
    ):
        self.store, self.thumbnail, self.batch_size, self.seed = store, thumbnail, batch_size, seed
        self.augmentation = augmentation
        self.images = list(range(len(store))) if images is None else images
        self.start, self.stop = 0, 0
        self.rank, self.world = 0, 1

    def between(self, start: int, stop: int, rank: int = 0, world: int = 1) -> "StepDataset":
        """The same stream from step ``start`` to ``stop - 1``: one process's share of each step."""
        part = copy.copy(self)
        part.start, part.stop = start, stop
        part.rank, part.world = rank, world
        return part

    def crop(self, k: int) -> Crop:
        """Crop ``k`` of the training: each image once in a shuffled round, then again."""
        rounds, place = divmod(k, len(self.images))
        order = np.random.default_rng((self.seed, 0, rounds)).permutation(len(self.images))
        index = self.images[order[place]]
        rng = np.random.default_rng((self.seed, 1, k))
        return random_crop(self.store[index], index, self.thumbnail, self.augmentation, rng)

    def __iter__(self) -> Iterator[Batch]:
        first, last = self.start * self.batch_size, self.stop * self.batch_size
        numbers = iter(range(first * self.world + self.rank, last * self.world, self.world))
        with ThreadPoolExecutor(2) as pool:
            waiting = deque(pool.submit(self.crop, k) for k in islice(numbers, 2 * self.batch_size))
            while waiting:
                crops = [waiting.popleft().result() for _ in range(self.batch_size)]
                waiting.extend(pool.submit(self.crop, k) for k in islice(numbers, self.batch_size))
                yield collate(crops)


def collate(crops: list[Crop]) -> Batch:
    """The batch of some crops."""
    thumbnails = torch.stack([crop.thumbnail for crop in crops])
    return Batch(crops, thumbnails, torch.stack([crop.maps for crop in crops]))


def _half_of_free_memory() -> int:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 // 2
    return 2**31
