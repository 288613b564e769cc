"""What a discovery learns from: images in one block of memory, or features of a frozen trunk."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence
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
from frugalseg.evaluation.regions import enlarge
from frugalseg.networks.dense import DenseTrunk
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.training.dense_features import FeatureMaps, feature_maps, pieces_of
from frugalseg.training.discover_plan import MEMORY, bands_of, dense_views, memory_of
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
    indices = _chosen(config, plan, data, say)
    say(f"Reading {len(indices)} images")
    labelled = data.classes is not None and any(data.masks[i] is not None for i in indices)
    kinds = data.classes.num_classes if data.classes and labelled else 0
    bar = _bar if progress else iter
    if plan.frozen:
        read = _in_threads(lambda i: _read(data, i, plan), indices, bar)
        return _features(config, plan, read, kinds, net, bar, say)
    sizes = [_size(data, i, plan) for i in indices]
    store = PixelStore(sizes, bands_of(config), labelled)
    places = {int(i): place for place, i in enumerate(indices)}
    _in_threads(lambda i: store.put(places[i], *_read(data, i, plan)), indices, bar)
    _refuse_plain(config, store.rows())
    return RegionMaterial(len(indices), kinds, store)


def _chosen(
    config: DiscoverConfig, plan: DiscoverPlan, data: RegionImages, say: Say
) -> NDArray[np.int64]:
    """The images to learn from: all, or as many as the plan says, drawn by the seed."""
    indices = data.indices(config.split)
    if len(indices) <= plan.pictures:
        return indices
    needed = memory_of(config, plan.side, data.images.sizes[indices])
    why = f"all would take {needed / 2**30:.0f} GiB; " if needed > MEMORY else ""
    say(
        f"{plan.pictures} of {len(indices)} images are learned from, drawn by the seed: "
        f"{why}--pictures says how many, --side how large they are kept."
    )
    rng = np.random.default_rng((config.seed, 5))
    return np.sort(rng.permutation(indices)[: plan.pictures])


def _in_threads(
    work: Callable[[int], Any], indices: NDArray[np.int64], bar: Callable[[Any], Any]
) -> list[Any]:
    """What some work gives for each image."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        begun = [pool.submit(work, int(i)) for i in indices]
        return [one.result() for one in bar(begun)]


def _features(
    config: DiscoverConfig,
    plan: DiscoverPlan,
    read: list[tuple[Pixels, NDArray[np.uint8] | None]],
    kinds: int,
    net: DiscoverNet,
    bar: Callable[[Any], Any],
    say: Say,
) -> RegionMaterial:
    """Features of pieces of the images that were read."""
    images, labels = [image for image, _ in read], [label for _, label in read]
    _refuse_plain(config, (torch.from_numpy(x.reshape(-1, x.shape[2])) for x in images))
    pictures, truths = _pictures(images, labels, plan)
    say(f"Computing features of {len(pictures)} pictures, {1 + plan.copies} views each")
    net.eval()
    if torch.cuda.is_available():
        net.cuda()
    maps = feature_maps(net, pictures, plan.copies, dense_views(plan), bar)
    scale = (net.centre.cpu(), net.spread.cpu(), net.directions.cpu())
    known = None
    if kinds:
        known = torch.from_numpy(np.stack([_nearest(x, maps.plain.shape[-2:]) for x in truths]))
    return RegionMaterial(len(pictures), kinds, None, maps, known, scale, net.trunk.cpu())


def _size(data: RegionImages, i: int, plan: DiscoverPlan) -> tuple[int, int]:
    """Height and width at which an image is learned from."""
    height, width = data.images.sizes[i].tolist()
    return scaled_size((height, width), plan.side)


def _read(
    data: RegionImages, i: int, plan: DiscoverPlan
) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """An image at the size at which it is learned from, and its labels at that size."""
    image = read_picture(data.paths[i], 4 if plan.views["channels"] == "rgbi" else 3)
    if image.shape[:2] != tuple(data.images.sizes[i]):
        raise FrugalsegError(f"{data.paths[i]} has changed its size: give the command again.")
    size = _size(data, i, plan)
    truth = data.truth(i)
    return resize_picture(image, size), None if truth is None else _nearest(truth, size)


def _nearest(labels: NDArray[np.uint8], size: Sequence[int]) -> NDArray[np.uint8]:
    """Labels at another size, each as the nearest one."""
    return np.ascontiguousarray(enlarge(labels, (size[0], size[1])))


def _pictures(
    images: list[Pixels], labels: list[NDArray[np.uint8] | None], plan: DiscoverPlan
) -> tuple[Pixels, NDArray[np.uint8]]:
    """Square pieces of all images, and their labels; at most as many as the plan says."""
    pieces, truths = [], []
    for image, label in zip(images, labels, strict=True):
        known = np.full(image.shape[:2], 255, np.uint8) if label is None else label
        pieces += pieces_of(image, plan.crop)
        truths += pieces_of(known[..., None], plan.crop)
    if len(pieces) > plan.pictures:
        kept = np.sort(np.random.default_rng(5).permutation(len(pieces))[: plan.pictures])
        pieces, truths = [pieces[k] for k in kept], [truths[k] for k in kept]
    return np.stack(pieces), np.stack(truths)[..., 0]


def _refuse_plain(config: DiscoverConfig, images: Iterable[Tensor]) -> None:
    """Refuse images, (pixels, C) each, that hold nothing but one colour."""
    first: Tensor | None = None
    for image in images:
        first = image[0] if first is None else first
        if not bool((image == first).all()):
            return
    raise FrugalsegError(
        f"{config.data}: all images are of one colour, there is nothing to tell apart."
    )


def _bar(items: Iterable[Any]) -> Iterable[Any]:
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, desc="reading", unit="part")
    return bar
