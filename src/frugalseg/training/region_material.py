"""What a discovery learns from: images in one block of memory, or features of a frozen trunk."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.data.pictures import Pixels, read_picture, resize_picture, scaled_size
from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import DiscoverConfig, DiscoverPlan
from frugalseg.errors import FrugalsegError
from frugalseg.networks.dense import DenseTrunk
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.training.dense_features import FeatureMaps, feature_maps, pieces_of
from frugalseg.training.discover_plan import dense_views
from frugalseg.training.pixel_store import PixelStore

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class RegionMaterial:
    """What a discovery learns from.

    Attributes:
        count: of pictures.
        kinds: of the labels' classes; 0 where there are none.
        store: the images, where the trunk learns.
        maps: features, where it is frozen.
        labels: (N, h, w) class indices at the places of these, 255 where unknown.
        scale: mean, standard deviation and directions by which they were reduced.
        trunk: that computed them.
    """

    count: int
    kinds: int = 0
    store: PixelStore | None = None
    maps: FeatureMaps | None = None
    labels: Tensor | None = None
    scale: tuple[Tensor, Tensor, Tensor] | None = None
    trunk: DenseTrunk | None = None


def gather_regions(
    config: DiscoverConfig,
    plan: DiscoverPlan,
    data: RegionImages,
    net: DiscoverNet,
    progress: bool,
    say: Say,
) -> RegionMaterial:
    """Read the images, or compute the features of a frozen trunk, which is kept beside them.

    Raises:
        FrugalsegError: an image or a mask cannot be read, or all are of one colour.
    """
    indices = data.indices(config.split)
    rng = np.random.default_rng((config.seed, 5))
    if len(indices) > plan.pictures:
        indices = np.sort(rng.permutation(indices)[: plan.pictures])
    say(f"Reading {len(indices)} images")
    bar = _bar if progress else iter
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        reads = [pool.submit(_read, data, int(i), plan) for i in indices]
        read = [one.result() for one in bar(reads)]
    images, labels = [image for image, _ in read], [label for _, label in read]
    kinds = data.classes.num_classes if data.classes and any(x is not None for x in labels) else 0
    _refuse_plain(config, images)
    if not plan.frozen:
        unknown = [
            np.full(image.shape[:2], 255, np.uint8) if label is None else label
            for image, label in read
        ]
        store = PixelStore(images, unknown if kinds else None)
        return RegionMaterial(len(images), kinds, store)
    pictures, truths = _pictures(images, labels, plan)
    say(f"Computing features of {len(pictures)} pictures, {1 + plan.copies} views each")
    net.eval()
    if torch.cuda.is_available():
        net.cuda()
    maps = feature_maps(net, pictures, plan.copies, dense_views(plan), bar)
    scale = (net.centre.cpu(), net.spread.cpu(), net.directions.cpu())
    known = None
    if kinds:
        height, width = maps.plain.shape[-2:]
        rows = ((np.arange(height) + 0.5) * truths.shape[1] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * truths.shape[2] / width).astype(int)
        known = torch.from_numpy(truths[:, rows][:, :, columns].copy())
    return RegionMaterial(len(pictures), kinds, None, maps, known, scale, net.trunk.cpu())


def _read(
    data: RegionImages, i: int, plan: DiscoverPlan
) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """An image at the size at which it is learned from, and its labels at that size."""
    image = read_picture(data.paths[i], 4 if plan.views["channels"] == "rgbi" else 3)
    size = scaled_size((image.shape[0], image.shape[1]), plan.side)
    truth = data.truth(i)
    if truth is not None and truth.shape != size:
        rows = ((np.arange(size[0]) + 0.5) * truth.shape[0] / size[0]).astype(int)
        columns = ((np.arange(size[1]) + 0.5) * truth.shape[1] / size[1]).astype(int)
        truth = np.ascontiguousarray(truth[rows][:, columns])
    return resize_picture(image, size), truth


def _pictures(
    images: list[Pixels], labels: list[NDArray[np.uint8] | None], plan: DiscoverPlan
) -> tuple[Pixels, NDArray[np.uint8]]:
    """Square pieces of all images, and their labels; at most as many as the plan says."""
    pieces, truths = [], []
    for image, label in zip(images, labels, strict=True):
        known = np.full(image.shape[:2], 255, np.uint8) if label is None else label
        joined = np.dstack([image, known])
        for piece in pieces_of(joined, plan.crop):
            pieces.append(piece[..., :-1])
            truths.append(piece[..., -1])
    if len(pieces) > plan.pictures:
        kept = np.sort(np.random.default_rng(5).permutation(len(pieces))[: plan.pictures])
        pieces, truths = [pieces[k] for k in kept], [truths[k] for k in kept]
    return np.stack(pieces), np.stack(truths)


def _refuse_plain(config: DiscoverConfig, images: list[Pixels]) -> None:
    first = images[0].reshape(-1, images[0].shape[2])[0]
    if all(bool((image == first).all()) for image in images):
        raise FrugalsegError(
            f"{config.data}: all images are of one colour, there is nothing to tell apart."
        )


def _bar(items: Iterable[Any]) -> Iterable[Any]:
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, desc="reading", unit="part")
    return bar
