"""Learn a classifier of places from the masks of some images, on the network of a discovery."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import log, track
from frugalseg.data.class_lists.classes import lack_of_classes, write_classes
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.environment import default_device, seed_everything
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_csv
from frugalseg.tasks.discover.predict import DiscoverRun
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.masks import choose_masks, masked_images
from frugalseg.tasks.finetune.net import probe_net
from frugalseg.tasks.finetune.places import extent_in_places, place_inputs
from frugalseg.tasks.finetune.probe import IGNORED, choice_in_words, label_places, learn
from frugalseg.tasks.iic.config import not_none

PLACES = 20_000  # labelled places of all images together from which a classifier learns


def train_places(config: FinetuneConfig, data: ImageMaskFolder, run: RunDir) -> None:
    """Learn from masks; an interrupted run begins again, since it takes a minute at most.

    Args:
        config: resolved.
        data: images and masks.
        run: its folder.

    Raises:
        FrugalsegError: the masks do not suffice, or a file cannot be read; the folder is not made.
    """
    discovery = DiscoverRun.load(config.clustering)
    parts, names = choose_masks(config, data), data.classes.names
    masks = {i: not_none(data.truth(i)) for i in track(parts.learned.tolist(), "masks")}
    labels = labels_of_places(discovery, data, masks)
    counts = np.stack([np.bincount(x.ravel(), minlength=256)[: len(names)] for x in labels])
    lack = lack_of_classes(names, counts.sum(0), f"the {len(labels)} masks to learn from")
    if lack:
        raise FrugalsegError(f"{config.masks}: {lack[0].upper()}{lack[1:].rstrip('.')}.")
    _say_lone_classes(names, counts)
    run.begin()
    seed_everything(config.seed)
    chosen = draw_places(labels, config.seed)
    net = probe_net(discovery, len(names)).to(default_device()).eval()
    known: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    for i, places in zip(track(parts.learned, "images"), chosen, strict=True):
        features, soft = place_inputs(discovery, net, data.read(int(i)))
        known.append((features[places], soft[places]))
    features, soft = (np.concatenate(part) for part in zip(*known, strict=True))
    truth = np.concatenate([x[p] for x, p in zip(labels, chosen, strict=True)]).astype(np.int64)
    images = np.repeat(np.arange(len(chosen)), [len(places[0]) for places in chosen])
    items = (features, soft, truth, images, len(names))
    classifier, method, scores = learn(*items, config.method, config.balanced, config.seed)
    log.info(f"{choice_in_words(method, scores)}, from {len(truth)} places of {len(chosen)} masks.")
    net.set_classifier(classifier)
    save_weights(net, run.weights)
    write_classes(data.classes, run.path / "classes.csv")
    used = dict.fromkeys(parts.learned.tolist(), "training")
    used |= dict.fromkeys(parts.scored.tolist(), "score")
    rows = [(data.names[i], used.get(i, "")) for i in masked_images(data, "all").tolist()]
    write_csv([("file", "used"), *rows], run.path / "masks.csv")
    run.finish(
        {
            "resolved": config.plain(),
            "discovery": discovery.config.plain(),
            "source": discovery.state,
            "class_names": list(names),
            "method": method,
            "cross_validation": scores,
            "places": len(truth),
            "learned": len(parts.learned),
            "scored": len(parts.scored),
            "split": parts.split,
        }
    )


def labels_of_places(
    discovery: DiscoverRun, data: ImageMaskFolder, masks: Mapping[int, NDArray[np.uint8]]
) -> list[NDArray[np.uint8]]:
    """(h, w) classes at the network's resolution, 255 where the mask says nothing.

    Args:
        discovery: whose network it is.
        data: the images.
        masks: by number of the image, (H, W) class indices.
    """
    labels = []
    for i, mask in masks.items():
        extent = extent_in_places(discovery, data.sizes[data.samples[i].image])
        labels.append(label_places(mask, extent, data.classes.num_classes))
    return labels


def draw_places(
    labels: Sequence[NDArray[np.uint8]], seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and columns of labelled places of each image; all, or as many as there may be."""
    rng = np.random.default_rng((seed, 7))
    places = [np.flatnonzero(each != IGNORED) for each in labels]
    share = min(1.0, PLACES / sum(map(len, places)))
    chosen = []
    for each, known in zip(labels, places, strict=True):
        kept = np.sort(rng.permutation(known)[: int(np.ceil(share * len(known)))])
        rows, columns = np.unravel_index(kept, each.shape)
        chosen.append((rows, columns))
    return chosen


def _say_lone_classes(names: Sequence[str], counts: NDArray[Any]) -> None:
    """Warn of classes in one image alone, and of those in none."""
    shown = (counts > 0).sum(0)
    for number, words in ((0, "no mask to learn from"), (1, "one mask to learn from alone")):
        few = [name for name, count in zip(names, shown.tolist(), strict=True) if count == number]
        if few and (number == 0 or len(counts) > 1):
            answered = ", so it is never answered" if number == 0 else ""
            log.warning(f"{', '.join(few)}: in {words}{answered}.")
