"""Train a discovery: from images, or heads on features of a frozen backbone."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frugalseg.console import log
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.images import Pixels, resize_image, scaled_size
from frugalseg.engine.environment import default_device
from frugalseg.engine.run_dir import RunDir
from frugalseg.files import in_threads
from frugalseg.models import HEADS
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.discover.config import DiscoverConfig, method_in_words
from frugalseg.tasks.discover.data import MEMORY, memory_of
from frugalseg.tasks.discover.evaluate import enlarge
from frugalseg.tasks.discover.features import PixelStore, feature_maps, pieces_of, sampled_places
from frugalseg.tasks.discover.merge import merge_centres
from frugalseg.tasks.discover.module import DiscoverModule, MapModule, PixelModule
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.train import TrainingData, refuse_equal, train_heads

PLACES = 40_000  # whose features are grouped by the method ward


def train(
    config: DiscoverConfig, images: ImageMaskFolder, run: RunDir, backbone: nn.Module | None = None
) -> None:
    """Train a run, or go on with it: see :func:`train_heads` and :func:`merge_centres`."""
    log.info(f"Method {config.method}: {method_in_words(config)}.")
    method = merge_centres if config.merged else train_heads
    method(config, run, backbone, partial(build_training_data, config, images))


def build_training_data(
    config: DiscoverConfig, data: ImageMaskFolder, net: TwoHeadNet
) -> TrainingData:
    """Read the images, or compute the features of a frozen backbone.

    Args:
        config: resolved.
        data: the images, and masks if they are to be counted.
        net: its backbone computes the features, if it is frozen; its components are set.

    Raises:
        FrugalsegError: an image or a mask cannot be read, or all are of one colour.
    """
    indices = _choose_images(config, data).tolist()
    log.info(f"Reading {len(indices)} images")
    has_masks = any(data.samples[i].mask is not None for i in indices)
    classes = data.class_list.num_classes if data.class_list and has_masks else 0
    sizes = [scaled_size(data.sizes[data.samples[i].image], not_none(config.side)) for i in indices]

    def read(place: int) -> tuple[Pixels, NDArray[np.uint8] | None]:
        """An image and its labels, at the size at which they are learned from."""
        image, truth = data.read(indices[place]), data.truth(indices[place])
        size = sizes[place]
        return resize_image(image, size), None if truth is None else _nearest(truth, size)

    places = range(len(indices))
    if config.merged:
        whole = [image for image, _ in in_threads(read, places, "images")]
        refuse_equal(config, map(_rows, whole), "of one colour")
        log.info(f"Computing features of {len(whole)} images, two views each")
        net = net.eval().to(default_device())
        found = sampled_places(net, whole, PLACES, config.views, config.seed)
        return _training_data(len(whole), MapModule, vars(found), net.cpu())
    if config.frozen:
        return _compute_features(config, list(in_threads(read, places, "images")), classes, net)
    store = PixelStore(sizes, config.bands, classes > 0)
    for _ in in_threads(lambda place: store.put(place, *read(place)), places, "images"):
        pass
    refuse_equal(config, store.rows(), "of one colour")
    return _training_data(len(indices), PixelModule, {"store": store, "classes": classes})


def _choose_images(config: DiscoverConfig, data: ImageMaskFolder) -> NDArray[np.int64]:
    """The images to learn from: all, or as many as the configuration says, drawn by the seed."""
    indices = data.indices(config.split)
    if len(indices) <= not_none(config.max_images):
        return indices
    needed = memory_of(config, not_none(config.side), data.image_sizes(config.split))
    why = f"all would take {needed / 2**30:.0f} GiB; " if needed > MEMORY else ""
    log.info(
        f"{config.max_images} of {len(indices)} images are learned from, drawn by the seed: "
        f"{why}--max-images says how many, --side how large they are kept."
    )
    rng = np.random.default_rng((config.seed, 5))
    return np.sort(rng.permutation(indices)[: config.max_images])


def _compute_features(
    config: DiscoverConfig,
    read: Sequence[tuple[Pixels, NDArray[np.uint8] | None]],
    classes: int,
    net: TwoHeadNet,
) -> TrainingData:
    """Features of square pieces of images; at most as many pieces as the configuration says."""
    refuse_equal(config, (_rows(image) for image, _ in read), "of one colour")
    crop, num_views = not_none(config.crop), not_none(config.num_views)
    pieces, labels = [], []
    for image, truth in read:
        known = np.full(image.shape[:2], 255, np.uint8) if truth is None else truth
        pieces += pieces_of(image, crop)
        labels += pieces_of(known[..., None], crop)
    kept = np.arange(len(pieces))
    if len(pieces) > not_none(config.max_images):
        kept = np.sort(np.random.default_rng(5).permutation(kept)[: config.max_images])
    pictures = np.stack([pieces[k] for k in kept])
    log.info(f"Computing features of {len(pictures)} pictures, {1 + num_views} views each")
    maps = feature_maps(net.eval().to(default_device()), pictures, num_views, config.views)
    known_labels = None
    if classes:
        size = maps.plain.shape[-2:]
        known_labels = torch.from_numpy(np.stack([_nearest(labels[k][..., 0], size) for k in kept]))
    values = {**vars(maps), "labels": known_labels, "classes": classes}
    return _training_data(len(pictures), MapModule, values, net.cpu())


def _rows(image: Pixels) -> Tensor:
    """(H * W, C) pixels of an image."""
    return torch.from_numpy(image.reshape(-1, image.shape[2]))


def _training_data(
    count: int,
    module: type[DiscoverModule],
    values: dict[str, Any],
    frozen: TwoHeadNet | None = None,
) -> TrainingData:
    """Both heads learn from all images or pieces."""
    heads = {name: np.arange(count) for name in HEADS}
    return TrainingData(heads, module, values, frozen, state={"images": count})


def _nearest(labels: NDArray[np.uint8], size: Sequence[int]) -> NDArray[np.uint8]:
    """Labels at another size, by the nearest pixel."""
    return np.ascontiguousarray(enlarge(labels, (size[0], size[1])))
