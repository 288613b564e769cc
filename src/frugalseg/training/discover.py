"""Train a discovery: features where the trunk is frozen, restarts, the best of them kept."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg._memory import keep_freed_memory
from frugalseg.data.pictures import Pixels, read_picture, resize_picture, scaled_size
from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import (
    TASK,
    DiscoverConfig,
    DiscoverPlan,
    build_discover_net,
    find_discover_run,
    open_discover_run,
)
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import environment
from frugalseg.files import write_whole
from frugalseg.information import clustering_health
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.networks.trunks import settle_batch_norm
from frugalseg.training.agreement import Turns
from frugalseg.training.dense_features import FeatureMaps, feature_maps, pieces_of
from frugalseg.training.dense_views import plain_frame
from frugalseg.training.discover_plan import dense_views, make_discover_plan, open_discover_data
from frugalseg.training.discover_tasks import DiscoverTask, MapTask, PixelTask
from frugalseg.training.pixel_store import PixelStore
from frugalseg.training.restarts import (
    LOWEST,
    finish_run,
    hardware,
    seed_everything,
    state_of_run,
    train_seed,
    training_name,
)

JUDGED = 128  # pictures on which sub-heads and restarts are compared, and batch norm settles
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
    """

    count: int
    kinds: int = 0
    store: PixelStore | None = None
    maps: FeatureMaps | None = None
    labels: Tensor | None = None
    scale: tuple[Tensor, Tensor, Tensor] | None = None


def train_discovery(
    config: DiscoverConfig,
    folder: Path,
    progress: bool = True,
    say: Say = lambda text: None,
    data: RegionImages | None = None,
) -> None:
    """Train a run from its configuration, or go on with an unfinished one.

    Args:
        config: the configuration.
        folder: the run's folder.
        progress: show progress bars.
        say: is told, in words, what begins.
        data: the images, where they are open already.

    Raises:
        FrugalsegError: what the user can mend; all that can be known is known before the folder is
            made and any training starts.
    """
    from frugalseg.training.fit import check_hardware, is_main_process

    keep_freed_memory()
    data = data or open_discover_data(config)
    plan = make_discover_plan(config, data)
    check_hardware(*hardware(config))
    main = is_main_process()
    state = state_of_run(folder, lambda: find_discover_run(folder, config))
    if state.get("finished"):
        say(f"{folder} is finished already.")
        return
    # missing weights are found before anything is written
    net = build_discover_net(plan, 2 if config.classes == "auto" else config.classes)
    material = gather_regions(config, plan, data, net, progress, say)
    if main:
        open_discover_run(folder, config)
        text = json.dumps({**environment(), "seed": config.seed}, indent=1)
        write_whole(text.encode(), folder / "environment.json")
    found: dict[str, Any] = {"pictures": material.count}
    if config.classes == "auto":
        found["counts"] = _count(config, plan, material, folder, progress, say)
        classes = int(found["counts"]["chosen"])
    else:
        classes = config.classes
    outcomes = []
    for seed in range(config.seed, config.seed + config.restarts):
        name = training_name(TASK, config, seed)
        say(f"Training {'the heads' if plan.frozen else 'trunk and heads'}: {classes} regions")
        seed_everything(seed)
        lowest = folder / "checkpoints" / name / LOWEST
        net = build_discover_net(plan, classes)
        task = make_discover_task(config, plan, net, material, seed, lowest)
        judged = partial(judge_regions, count=material.count)
        outcomes.append(train_seed(task, config, folder, name, judged, progress))
    if main:
        finish_run(folder, config, plan, classes, outcomes, found)


def gather_regions(
    config: DiscoverConfig,
    plan: DiscoverPlan,
    data: RegionImages,
    net: DiscoverNet,
    progress: bool,
    say: Say,
) -> RegionMaterial:
    """Read the images, or compute the features of a frozen trunk.

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
    return RegionMaterial(len(pictures), kinds, None, maps, known, scale)


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


def make_discover_task(
    config: DiscoverConfig,
    plan: DiscoverPlan,
    net: DiscoverNet,
    material: RegionMaterial,
    seed: int,
    lowest: Path | None = None,
    order: tuple[str, ...] | None = None,
) -> DiscoverTask:
    """The training of a network on given material."""
    everything = np.arange(material.count)
    places = {"main": everything, "over": everything}
    turns = Turns(places, order or config.order, plan.turn, plan.batch, seed)
    first = (net, turns, plan, config, seed)
    common: dict[str, Any] = {"lowest": lowest, "kinds": material.kinds}
    if material.store is not None:
        return PixelTask(*first, store=material.store, views=dense_views(plan), **common)
    assert material.maps is not None
    assert material.scale is not None
    net.trunk.requires_grad_(False)
    net.centre, net.spread, net.directions = material.scale
    maps = vars(material.maps)
    return MapTask(*first, **maps, labels=material.labels, **common)


def judge_regions(task: DiscoverTask, count: int) -> dict[str, Any]:
    """Settle batch norm, and compare sub-heads without labels, on pictures of the training.

    Returns:
        As :func:`frugalseg.training.cluster.judge` does.
    """
    if torch.cuda.is_available():  # Lightning has taken it off the device
        task.cuda()
    net = task.net
    rng = np.random.default_rng((0, 11))
    places = torch.from_numpy(rng.permutation(count)[:JUDGED])
    if isinstance(task, PixelTask):
        store, crop = task.store, task.plan.crop
        store.to(task.device)
        shown = (
            plain_frame(store.cut(part, store.centres(part, crop), crop)[0], task.views)
            for part in torch.split(places, task.plan.batch)
            if len(part) > 1
        )
        settle_batch_norm(net.trunk, shown)
    net.eval()
    found: dict[str, Any] = {"over_sub_head": 0}
    with torch.no_grad():
        for head in dict.fromkeys(task.turns.order):
            losses, p, q = task.compare(head, places)
            best, each = int(losses.argmin()), [float(loss) for loss in losses]
            if head == "main":
                found |= {"sub_head": best, "losses": each}
                found["health"] = clustering_health(p[best], q[best])
            else:
                found |= {"over_sub_head": best, "over_losses": each}
    return found


def _count(
    config: DiscoverConfig,
    plan: DiscoverPlan,
    material: RegionMaterial,
    folder: Path,
    progress: bool,
    say: Say,
) -> dict[str, Any]:
    """Choose the number of regions from an overclustering trained first."""
    from frugalseg.training.count import count_clusters

    seed_everything(config.seed)
    net = build_discover_net(plan, 2)
    task = make_discover_task(config, plan, net, material, config.seed, order=("over",))

    def answers() -> tuple[Tensor, Tensor]:
        judge_regions(task, material.count)  # settles batch norm
        with torch.no_grad():
            _, p, q = task.compare("over", task.watched)
        return p, q

    say(f"Counting: an overclustering of {plan.over_classes}, to be merged")
    return count_clusters(task, answers, config, folder, progress, say)


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
