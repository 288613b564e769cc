"""Train a discovery: features where the trunk is frozen, restarts, the best of them kept."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frugalseg._memory import keep_freed_memory
from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import DiscoverConfig, DiscoverPlan, build_discover_net
from frugalseg.information import clustering_health
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.networks.trunks import settle_batch_norm
from frugalseg.task_runs import with_given_trunk
from frugalseg.training.agreement import Turns
from frugalseg.training.dense_views import plain_frame
from frugalseg.training.discover_plan import dense_views, make_discover_plan, open_discover_data
from frugalseg.training.discover_tasks import DiscoverTask, MapTask, PixelTask
from frugalseg.training.hardware import hardware, seed_everything
from frugalseg.training.region_material import RegionMaterial, gather_regions
from frugalseg.training.restarts import begin_run, state_of_run, train_restarts

JUDGED = 128  # pictures on which sub-heads and restarts are compared, and batch norm settles
Say = Callable[[str], None]


def train_discovery(
    config: DiscoverConfig,
    folder: Path,
    progress: bool = True,
    say: Say = lambda text: None,
    data: RegionImages | None = None,
    trunk: nn.Module | None = None,
) -> None:
    """Train a run from its configuration, or go on with an unfinished one.

    Args:
        config: the configuration.
        folder: the run's folder.
        progress: show progress bars.
        say: is told, in words, what begins.
        data: the images, where they are open already.
        trunk: a network of one's own in place of a named one; a copy is trained, from its weights.
            What it must take, give and say: :func:`frugalseg.networks.dense.build_dense_trunk`.

    Raises:
        FrugalsegError: what the user can mend; all that can be known is known before the folder is
            made and any training starts.
    """
    from frugalseg.training.fit import check_hardware

    keep_freed_memory()
    config = with_given_trunk(config, trunk)
    data = data or open_discover_data(config)
    plan = make_discover_plan(config, data, trunk)
    check_hardware(*hardware(config))
    if state_of_run(folder, config).get("finished"):
        say(f"{folder} is finished already.")
        return
    # missing weights are found before anything is written; a frozen trunk without weights is drawn
    # here, once for all restarts and for every start of the same seed
    seed_everything(config.seed)
    build = partial(build_discover_net, plan, trunk=trunk)
    material = gather_regions(config, plan, data, build(2), progress, say)
    begin_run(folder, config)
    found: dict[str, Any] = {"pictures": material.count}
    classes = config.classes
    if classes == "auto":
        found["counts"] = _count(config, plan, build, material, folder, progress, say)
        classes = int(found["counts"]["chosen"])

    def make(seed: int, lowest: Path) -> DiscoverTask:
        return make_discover_task(config, plan, build(classes), material, seed, lowest)

    groups, judged = (classes, "regions"), partial(judge_regions, count=material.count)
    train_restarts(config, folder, plan, groups, make, judged, found, progress, say)


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
    assert material.trunk is not None
    net.trunk.load_state_dict(material.trunk.state_dict())
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
    build: Callable[[int], DiscoverNet],
    material: RegionMaterial,
    folder: Path,
    progress: bool,
    say: Say,
) -> dict[str, Any]:
    """Choose the number of regions from an overclustering trained first."""
    from frugalseg.training.count import count_clusters

    seed_everything(config.seed)
    task = make_discover_task(config, plan, build(2), material, config.seed, order=("over",))

    def answers() -> tuple[Tensor, Tensor]:
        judge_regions(task, material.count)  # settles batch norm
        with torch.no_grad():
            _, p, q = task.compare("over", task.watched)
        return p, q

    say(f"Counting: an overclustering of {plan.over_classes}, to be merged")
    return count_clusters(task, answers, config, folder, progress, say)
