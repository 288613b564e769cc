"""Find regions without training: k-means centres of a frozen backbone's features, merged by Ward.

Many centres follow the features closely, whatever the sizes of the regions; merging them with their
masses keeps large regions whole where k-means with few centres cuts them. Features of each stage of
the backbone count alike, and confidence is measured without labels: by how often two views agree.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frugalseg.console import log
from frugalseg.engine.environment import is_main_process, seed_everything
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.errors import FrugalsegError
from frugalseg.iic import clustering_diagnostics
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.iic.model import build_net, share_frozen
from frugalseg.tasks.iic.number import choose_count
from frugalseg.tasks.iic.train import TrainingData
from frugalseg.tasks.iic.ward import ward_groupings

SHARPEST = 1e-3  # least temperature, in mean squared distances from the nearest centre


def merge_centres(
    config: DiscoverConfig,
    run: RunDir,
    backbone: nn.Module | None,
    read: Callable[[TwoHeadNet], TrainingData],
) -> None:
    """Find centres, merge them and finish the run; nothing of it lasts long enough to be resumed.

    Args:
        config, run, backbone, read: as of :func:`frugalseg.tasks.iic.train.train_heads`.

    Raises:
        FrugalsegError: there are fewer places than centres, or as of that function.
    """
    seed_everything(config.seed)
    data = read(build_net(config, 2, backbone))
    places, known = data.values["plain"], data.values["valid"][0]
    p, q = places[known], data.values["changed"][0][known]  # seen in two views
    if len(places) < config.finer:
        raise FrugalsegError(
            f"{config.data}: {len(places)} places are too few for {config.finer} centres: give a "
            "larger --side, or fewer --overclasses."
        )
    if not is_main_process():
        return
    run.begin()
    centres, masses = k_means(places, config.finer, config.seed)
    groupings = ward_groupings(centres.numpy(), masses)
    state: dict[str, Any] = {}
    count = config.classes
    if count == "auto":
        temperature = agreeing_temperature(p, q, centres, torch.arange(config.finer))
        first, second = (soft_centres(x, centres, temperature)[None] for x in (p, q))
        state["counts"] = choose_count(first, second, config.unit, groupings)
        log.info(state["counts"]["says"])
        count = int(state["counts"]["chosen"])
    groups = torch.from_numpy(groupings[config.finer - count])
    temperature = agreeing_temperature(p, q, centres, groups)
    net = build_net(config, count, backbone)
    assert data.frozen is not None
    share_frozen(net, data.frozen)
    net.set_centres(centres, groups, temperature)
    with torch.no_grad():
        first, second = (net.assign(x[..., None, None])[0, :, :, 0, 0] for x in (p, q))
    save_weights(net, run.weights)
    run.finish(
        {
            "resolved": config.plain(),
            "clusters": count,
            "sub_head": 0,
            "overcluster_sub_head": 0,
            "losses": [],
            "diagnostics": clustering_diagnostics(first, second),
            "temperature": temperature,
            **data.state,
            **state,
        }
    )


def k_means(places: Tensor, count: int, seed: int) -> tuple[Tensor, np.ndarray[Any, Any]]:
    """Centres of places by k-means.

    Args:
        places: (N, D) features.
        count: K, at most N.
        seed: draws the first centres.

    Returns:
        (K, D) float32, and the number of places of each.
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct places than centres
        found = KMeans(count, n_init=1, random_state=seed).fit(places.numpy())
    masses = np.bincount(found.labels_, minlength=count)
    return torch.from_numpy(found.cluster_centers_).float(), masses


def soft_centres(features: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """(N, K) probabilities of centres (K, D), as of :meth:`TwoHeadNet.set_centres`."""
    return (-torch.cdist(features, centres).square() / temperature).softmax(1)


def agreeing_temperature(p: Tensor, q: Tensor, centres: Tensor, groups: Tensor) -> float:
    """The temperature at which answers are as confident as two views agree.

    The mean probability of the answers for one view becomes the share of places that belong to the
    same group in both views: no label is needed.

    Args:
        p, q: (N, D) features of places in two views.
        centres: (K, D).
        groups: (K) group of each centre.

    Returns:
        In squared distances; at most the mean squared distance from the nearest centre, and at
        least SHARPEST of it.
    """
    from scipy.optimize import brentq

    distances = torch.cdist(p, centres).square()
    nearest = distances.argmin(1)
    other = torch.cdist(q, centres).argmin(1)
    agreement = float((groups[nearest] == groups[other]).float().mean())
    unit = max(float(distances.min(1).values.mean()), 1e-6)
    members = [groups == k for k in range(int(groups.max()) + 1)]
    least = torch.stack([distances[:, own].amin(1) for own in members], 1)

    def excess(log_temperature: float) -> float:
        soft = (-least / (unit * math.exp(log_temperature))).softmax(1)
        return float(soft.max(1).values.mean()) - agreement

    low, high = math.log(SHARPEST), 0.0
    if excess(low) <= 0:
        return unit * SHARPEST
    if excess(high) >= 0:
        return unit
    return unit * math.exp(brentq(excess, low, high, xtol=1e-3))
