"""Training examples: crops of images as decoded, with what samplers and segmenters learn from.

An example is cut out of the stored pixels as a view into them, flipped or not; nothing is resized
but the small view for the sampler. What is read at the samples is read later, when the sampler has
said where. Example ``k`` of a training is a function of the seed and k alone, so a training that
goes on after an interruption sees what it would have seen.
"""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from frugalseg.data.classes import IGNORE_INDEX, ClassList
from frugalseg.data.images import image_size, read_image
from frugalseg.data.layout import Sample
from frugalseg.data.masks import read_mask
from frugalseg.pipeline import decode_scale
from frugalseg.sampling import area_average, boundary_maps

Size = tuple[int, int]
Bytes = NDArray[np.uint8]
Regions = Callable[[Path], Bytes]


@dataclass(frozen=True)
class Augmentation:
    """Geometric augmentation of training images, the same for every sampling.

    Attributes:
        min_scale: a crop is at least this high and wide, relative to the image.
        flips: "none", "horizontal", or "both".
    """

    min_scale: float = 0.5
    flips: str = "horizontal"


@dataclass(frozen=True)
class Stored:
    """One image as kept in memory: pixels at the decoded scale, labels at full resolution."""

    pixels: Bytes  # (H / reduce, W / reduce, 3)
    labels: Bytes  # (H, W)
    edges: Bytes  # (H / reduce, W / reduce, 2): shares of target and of any boundary, times 255

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + self.labels.nbytes + self.edges.nbytes


@dataclass(frozen=True)
class Example:
    """One crop: strided views into a stored image, and the sampler's view of it."""

    pixels: Bytes
    labels: Bytes
    view: Tensor  # (3, a, b) in [0, 1]
    maps: Tensor  # (2, a, b) in [0, 1], target and any boundary
    image: int  # index of the image in its set


@dataclass(frozen=True)
class Batch:
    """Examples of one step; views and maps stacked."""

    examples: list[Example]
    view: Tensor
    maps: Tensor


class ImageStore:
    """Images with masks, decoded once and kept while they fit.

    Args:
        samples: the images.
        classes: their classes.
        size: number of samples ``(h, w)`` that will be read from an image.
        oversample: see :func:`decode_scale`.
        budget: bytes to keep in memory; images beyond it are decoded at every use.
        regions: says of an image file which region each pixel belongs to; the boundaries of these
            regions stand in place of those of the masks. Images may then be without a mask. Asked
            once an image: what is found is kept, packed, also of images beyond the budget.
    """

    def __init__(
        self,
        samples: tuple[Sample, ...],
        classes: ClassList,
        size: Size,
        oversample: int = 8,
        budget: int | None = None,
        regions: Regions | None = None,
    ):
        self.samples, self.classes, self.size = samples, classes, size
        self.oversample, self.regions = oversample, regions
        self._left = _half_of_free_memory() if budget is None else budget
        self._kept: dict[int, Stored] = {}
        self._found: dict[int, bytes] = {}

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
        pixels = read_image(sample.image, decode_scale(full, self.size, self.oversample))
        if sample.mask is None:
            labels = np.broadcast_to(np.uint8(IGNORE_INDEX), full)
        else:
            labels = read_mask(sample.mask, self.classes)
        size = (pixels.shape[0], pixels.shape[1])
        if self.regions is None:
            return Stored(pixels, labels, _edges(labels, size, self.classes.targets))
        return Stored(pixels, labels, self._edges_found(index, size))

    def _edges_found(self, index: int, size: Size) -> Bytes:
        """Edges of the regions of an image: without targets, both maps are the same."""
        packed = self._found.get(index)
        if packed is None:
            assert self.regions is not None
            edges = _edges(self.regions(self.samples[index].image), size, [])
            packed = self._found[index] = zlib.compress(edges[..., 0].tobytes(), 1)
        every = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(size)
        return np.stack([every, every], -1)

    def class_shares(self) -> NDArray[np.float64]:
        """Share of each class among the labelled pixels of all images."""
        counts = np.zeros(256, np.int64)
        with ThreadPoolExecutor(2) as pool:
            for stored in pool.map(self.__getitem__, range(len(self))):
                counts += np.bincount(stored.labels.ravel(), minlength=256)
        counts = counts[: self.classes.num_classes]
        shares: NDArray[np.float64] = counts / max(counts.sum(), 1)
        return shares


def _edges(labels: Bytes, size: Size, targets: list[int]) -> Bytes:
    """Shares of boundary pixels as :class:`Stored` keeps them."""
    maps = boundary_maps(torch.from_numpy(labels)[None], size, targets or None)
    return (maps[0] * 255).round().byte().permute(1, 2, 0).contiguous().numpy()


def cut(
    stored: Stored, index: int, view: Size, augmentation: Augmentation | None, rng: Any
) -> Example:
    """Cut a random crop out of a stored image (the whole image without augmentation)."""
    pixels, labels, edges = stored.pixels, stored.labels, stored.edges
    if augmentation is not None:
        height, width = pixels.shape[:2]
        scale = rng.uniform(augmentation.min_scale, 1.0)
        h, w = max(2, round(scale * height)), max(2, round(scale * width))
        top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        ky, kx = labels.shape[0] / height, labels.shape[1] / width
        pixels = pixels[top : top + h, left : left + w]
        edges = edges[top : top + h, left : left + w]
        labels = labels[
            round(top * ky) : round((top + h) * ky), round(left * kx) : round((left + w) * kx)
        ]
        if augmentation.flips != "none" and rng.random() < 0.5:
            pixels, labels, edges = pixels[:, ::-1], labels[:, ::-1], edges[:, ::-1]
        if augmentation.flips == "both" and rng.random() < 0.5:
            pixels, labels, edges = pixels[::-1], labels[::-1], edges[::-1]
    return Example(pixels, labels, area_average(pixels, view), area_average(edges, view), index)


class Steps(IterableDataset[Batch]):
    """The batches of a range of training steps, prepared ahead in threads.

    Args:
        store: the images.
        view: size of the sampler's view ``(a, b)``.
        batch: examples a step.
        seed: draws images, crops and flips.
        augmentation: how to draw them; None for whole images.
        images: indices of the images to use; None for all.
    """

    def __init__(
        self,
        store: ImageStore,
        view: Size,
        batch: int,
        seed: int,
        augmentation: Augmentation | None,
        images: list[int] | None = None,
    ):
        self.store, self.view, self.batch, self.seed = store, view, batch, seed
        self.augmentation = augmentation
        self.images = list(range(len(store))) if images is None else images
        self.start, self.stop = 0, 0
        self.rank, self.world = 0, 1

    def between(self, start: int, stop: int, rank: int = 0, world: int = 1) -> "Steps":
        """The same stream from step ``start`` to ``stop - 1``, one process's part of each step."""
        part = Steps(self.store, self.view, self.batch, self.seed, self.augmentation, self.images)
        part.start, part.stop = start, stop
        part.rank, part.world = rank, world
        return part

    def example(self, k: int) -> Example:
        """Example ``k`` of the training: each image once in a shuffled round, then again."""
        rounds, place = divmod(k, len(self.images))
        order = np.random.default_rng((self.seed, 0, rounds)).permutation(len(self.images))
        index = self.images[order[place]]
        rng = np.random.default_rng((self.seed, 1, k))
        return cut(self.store[index], index, self.view, self.augmentation, rng)

    def __iter__(self) -> Iterator[Batch]:
        ahead = 2 * self.batch
        first, last = self.start * self.batch, self.stop * self.batch
        with ThreadPoolExecutor(2) as pool:
            waiting: list[Future[Example]] = [
                self._submit(pool, k) for k in range(first, min(first + ahead, last))
            ]
            submitted = first + len(waiting)
            while waiting:
                examples = [f.result() for f in waiting[: self.batch]]
                waiting = waiting[self.batch :]
                while submitted < last and len(waiting) < ahead:
                    waiting.append(self._submit(pool, submitted))
                    submitted += 1
                yield collate(examples)

    def _submit(self, pool: ThreadPoolExecutor, k: int) -> "Future[Example]":
        return pool.submit(self.example, k * self.world + self.rank)


def collate(examples: list[Example]) -> Batch:
    """Stack what can be stacked."""
    return Batch(
        examples,
        torch.stack([e.view for e in examples]),
        torch.stack([e.maps for e in examples]),
    )


def _half_of_free_memory() -> int:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 // 2
    return 2**31
