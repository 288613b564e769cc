"""Train a clustering run: features where the trunk is frozen, restarts, the best of them kept."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frugalseg._memory import keep_freed_memory
from frugalseg.cluster_runs import ClusterConfig, Plan, build_net
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.information import clustering_health, iic_loss
from frugalseg.networks.heads import ClusterNet, principal_directions, project
from frugalseg.networks.trunks import Trunk, check_features, settle_batch_norm
from frugalseg.task_runs import with_given_trunk
from frugalseg.training.agreement import Turns
from frugalseg.training.cluster_plan import (
    make_plan,
    open_image_data,
    training_indices,
    view_settings,
)
from frugalseg.training.cluster_tasks import ClusterTask, FeatureTask, ImageTask
from frugalseg.training.features import frozen_features, nearest_images
from frugalseg.training.hardware import hardware, seed_everything
from frugalseg.training.restarts import begin_run, state_of_run, train_restarts
from frugalseg.training.views import test_view

JUDGED = 4000  # images on which sub-heads and restarts are compared, and batch norm settles
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Material:
    """What a training learns from.

    Attributes:
        places: of the images of each head, in the order of ``indices``.
        indices: of the images in their set.
        labels: by place, -1 where unknown; None where there are none.
        pixels: (N, C, side, side) uint8, where the trunk learns.
        plain, transformed, near: reduced features and neighbours, where it is frozen.
        scale: mean, standard deviation and directions by which they were reduced.
        trunk: that computed them.
    """

    places: dict[str, NDArray[np.int64]]
    indices: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    pixels: Tensor | None = None
    plain: Tensor | None = None
    transformed: Tensor | None = None
    near: Tensor | None = None
    scale: tuple[Tensor, Tensor, Tensor] | None = None
    trunk: Trunk | None = None


def train_clustering(
    config: ClusterConfig,
    folder: Path,
    progress: bool = True,
    say: Say = lambda text: None,
    images: ImageSet | None = None,
    trunk: nn.Module | None = None,
) -> None:
    """Train a run from its configuration, or go on with an unfinished one.

    Args:
        config: the configuration.
        folder: the run's folder.
        progress: show progress bars.
        say: is told, in words, what begins.
        images: the set, where it is open already.
        trunk: a network of one's own in place of a named one; a copy is trained, from its weights.
            What it must take, give and say: :func:`frugalseg.networks.trunks.build_trunk`.

    Raises:
        FrugalsegError: what the user can mend; all that can be known is known before the folder is
            made and any training starts.
    """
    from frugalseg.training.fit import check_hardware

    keep_freed_memory()
    config = with_given_trunk(config, trunk)
    images = images or open_image_data(config)
    plan = make_plan(config, images)
    check_hardware(*hardware(config))
    if state_of_run(folder, config).get("finished"):
        say(f"{folder} is finished already.")
        return
    # unknown trunks and missing weights are found before anything is written; a frozen trunk
    # without weights is drawn here, once for all restarts and for every start of the same seed
    seed_everything(config.seed)
    build = partial(build_net, plan, trunk=trunk)
    first = build(2).trunk
    if trunk is not None:
        check_features(first, plan.channels, plan.views["size"])
    begin_run(folder, config)
    material = gather(config, plan, images, first, folder, progress, say)
    found: dict[str, Any] = {"class_names": list(images.class_names)}
    clusters = config.clusters
    if clusters == "auto":
        found["counts"] = _count(config, plan, build, material, folder, progress, say)
        clusters = int(found["counts"]["chosen"])

    def make(seed: int, lowest: Path) -> ClusterTask:
        return make_task(config, plan, build(clusters), material, seed, lowest)

    groups, judged = (clusters, "clusters"), partial(judge, material=material)
    train_restarts(config, folder, plan, groups, make, judged, found, progress, say)


def _count(
    config: ClusterConfig,
    plan: Plan,
    build: Callable[[int], ClusterNet],
    material: Material,
    folder: Path,
    progress: bool,
    say: Say,
) -> dict[str, Any]:
    """Choose the number of clusters from an overclustering trained first."""
    from frugalseg.training.count import count_clusters

    seed_everything(config.seed)
    task = make_task(config, plan, build(2), material, config.seed, order=("over",))

    def answers() -> tuple[Tensor, Tensor]:
        judge(task, material)  # settles batch norm
        return assign_in_parts(task, "over", torch.split(task.watched, 200))

    say(f"Counting: an overclustering of {plan.over_clusters}, to be merged")
    return count_clusters(task, answers, config, folder, progress, say)


def gather(
    config: ClusterConfig,
    plan: Plan,
    images: ImageSet,
    trunk: Trunk,
    folder: Path,
    progress: bool,
    say: Say,
) -> Material:
    """Read the images, or compute the features of a frozen trunk, which is kept beside them.

    Raises:
        FrugalsegError: an image cannot be read, or all are equal.
    """
    indices = training_indices(config, images)
    order = indices["over"]
    places = {name: np.searchsorted(order, some) for name, some in indices.items()}
    labels = None if images.labels is None else images.labels[order]
    if not plan.frozen:
        say(f"Reading {len(order)} images")
        pixels = images.read_all(plan.views["side"], order)
        _refuse_equal(config, torch.from_numpy(pixels))
        stacked = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return Material(places, order, labels, pixels=stacked)
    say(f"Computing features of {len(order)} images, {1 + plan.copies} views each")
    trunk.eval()
    if torch.cuda.is_available():
        trunk = trunk.cuda()
    kept = Path(config.features) if config.features else folder / "checkpoints" / "features"
    bar = _bar if progress else iter
    plain, transformed = frozen_features(trunk, plan, images, order, kept, bar)
    _refuse_equal(config, plain)
    scale = principal_directions(plain, plan.components)
    plain = project(plain, *scale)
    transformed = torch.stack([project(some, *scale) for some in transformed])
    near = nearest_images(plain, plan.neighbours) if plan.neighbours else None
    return Material(places, order, labels, None, plain, transformed, near, scale, trunk.cpu())


def make_task(
    config: ClusterConfig,
    plan: Plan,
    net: ClusterNet,
    material: Material,
    seed: int,
    lowest: Path | None = None,
    order: tuple[str, ...] | None = None,
) -> ClusterTask:
    """The training of a network on given material."""
    heads = order or config.order
    turns = Turns(material.places, heads, plan.turn, plan.batch, seed, config.shuffle)
    common: dict[str, Any] = {"lowest": lowest, "labels": material.labels}
    first = (net, turns, plan, config, seed)
    if material.pixels is not None:
        views = view_settings(plan)
        return ImageTask(*first, pixels=material.pixels, views=views, **common)
    net.trunk.requires_grad_(False)
    assert material.plain is not None
    assert material.transformed is not None
    assert material.scale is not None
    assert material.trunk is not None
    net.trunk.load_state_dict(material.trunk.state_dict())
    net.centre, net.spread, net.directions = material.scale
    features = {"plain": material.plain, "transformed": material.transformed}
    return FeatureTask(*first, **features, near=material.near, **common)


def judge(task: ClusterTask, material: Material) -> dict[str, Any]:
    """Settle batch norm, and compare sub-heads without labels, on images of the training.

    Returns:
        "sub_head" of the main head (of lowest loss), "losses" of all, "health" of the chosen one;
        "over_sub_head" and "over_losses"; of heads that the task trains.
    """
    if torch.cuda.is_available():  # Lightning has taken it off the device
        task.cuda()
    net, order = task.net, task.turns.order
    rng = np.random.default_rng((0, 11))
    places = torch.from_numpy(rng.permutation(material.places[order[0]])[:JUDGED])
    parts = [part for part in torch.split(places, 200) if len(part) > 1]
    if material.pixels is not None:
        pixels, views = material.pixels, view_settings(task.plan)
        shown = (test_view(pixels[part].to(task.device), views) for part in parts)
        settle_batch_norm(net.trunk, shown)
    net.eval()
    found: dict[str, Any] = {"over_sub_head": 0}
    for head in dict.fromkeys(order):
        p, q = assign_in_parts(task, head, parts)
        losses = iic_loss(p, q)
        best, each = int(losses.argmin()), [float(loss) for loss in losses]
        if head == "main":
            found |= {"sub_head": best, "losses": each}
            found["health"] = clustering_health(p[best], q[best, 0])
        else:
            found |= {"over_sub_head": best, "over_losses": each}
    return found


def assign_in_parts(task: ClusterTask, head: str, parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Assignments of two views of some images, without gradient: as ``ClusterTask.assign``."""
    with torch.inference_mode():
        answers = [
            task.assign(head, part, torch.Generator().manual_seed(k))
            for k, part in enumerate(parts)
        ]
    return torch.cat([a for a, _ in answers], 1), torch.cat([b for _, b in answers], 2)


def _refuse_equal(config: ClusterConfig, values: Tensor) -> None:
    if bool((values == values[:1]).all()):
        raise FrugalsegError(
            f"{config.data}: all images are equal, there is nothing to tell apart."
        )


def _bar(items: Iterable[Any]) -> Iterable[Any]:
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, desc="features", unit="piece")
    return bar
