"""Groupings of images to be beaten: k-means on pixels, PCA and features; UMAP and a mixture."""

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.published import Numbers
from experiments.results import kind_of, make_once
from experiments.summary import write_summary
from frugalseg.augment.views import prediction_view
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.config import Names, TaskConfig
from frugalseg.engine.results import Result, make_result
from frugalseg.errors import FrugalsegError
from frugalseg.metrics.clustering import agreement_scores
from frugalseg.models.backbone import settle_batch_norm
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import open_data, resolve
from frugalseg.tasks.cluster.train import build_training_data
from frugalseg.tasks.iic.model import build_net

Floats = NDArray[np.float32]
Groups = NDArray[np.int64]
COMPONENTS = 50  # of PCA
UMAP_FEATURES = 10


@dataclass(frozen=True)
class ImageBaseline(TaskConfig):
    """A grouping of the images of a folder.

    Attributes:
        data, labels, split: the images, as of :class:`ClusterConfig`.
        backbone, width, augment: of the methods that look through a network, as there.
        method: one of ``METHODS``.
        seed: of the method.
    """

    task: typing.ClassVar[str] = "cluster-baseline"
    data: str = ""
    labels: str | None = None
    split: str = "all"
    backbone: str | None = None
    width: int | None = None
    augment: str | None = None
    method: str = ""
    seed: int = 0


def baselines(
    data: Path,
    /,
    *,
    out: Path,
    labels: str | None = None,
    split: str = "all",
    seeds: Numbers = (0, 1, 2),
    methods: Names = (),
    backbone: str | None = None,
    width: int | None = None,
    augment: str | None = None,
    features: Path = Path("features"),
) -> str:
    """Group images in other ways; what is there already is kept.

    Args:
        data: Folder of images, or a data set.
        out: Folder of the result files and table.md.
        labels: A CSV file (file,label), or folders.
        split: Images that are grouped.
        seeds: Of each method.
        methods: By default all; may be given several times.
        backbone: The network of k-means-untrained-backbone and k-means-features.
        width: Of such a backbone of the papers'.
        augment: How it sees images.
        features: Folder that keeps its features.

    Returns:
        The table of all results there.

    Raises:
        FrugalsegError: no such method, a result is of other settings, or the images have no labels
            to score against.
    """
    if unknown := sorted(set(methods) - set(METHODS)):
        raise FrugalsegError(f"No method {unknown[0]!r}: there are {', '.join(METHODS)}.")
    asked: dict[str, Any] = {"data": str(data), "labels": labels, "split": split}
    network: dict[str, Any] = {"backbone": backbone, "width": width, "augment": augment}
    config = ClusterConfig(**asked, **network, features=str(features))
    images = open_data(config)
    if images.labels is None:
        raise FrugalsegError(f"{data} has no labels to score against.")
    config = dataclasses.replace(config, clusters=max(2, len(images.class_names)))
    for method in methods or METHODS:
        options = network if method in _THROUGH_A_NETWORK else {}
        for seed in seeds:
            one = ImageBaseline(**asked, **options, method=method, seed=seed)
            make = partial(_score_groups, one, config, images)
            make_once(one, out / f"{method}-{seed}.json", make, split)
    return write_summary(out)


def _score_groups(one: ImageBaseline, config: ClusterConfig, images: ImageSet) -> Result:
    """Group images and score the groups."""
    assert images.labels is not None
    indices, clusters = images.indices(one.split), len(images.class_names)
    groups = METHODS[one.method](config, images, indices, one.seed)
    what = {
        "run": f"{one.method}-{one.seed}",
        "data": images.name,
        "split": one.split,
        "images": len(indices),
        "method": one.method,
        "clusters": clusters,
    }
    scores = agreement_scores(groups, images.labels[indices], clusters, clusters)
    return make_result(kind_of(one.task), one, what, scores)


def _pixels(images: ImageSet, indices: Groups) -> Floats:
    side = int(images.sizes[indices].min())
    pixels = images.read_all(side, indices).reshape(len(indices), -1)
    return (pixels / np.float32(255)).astype(np.float32)


def _k_means(features: NDArray[Any], clusters: int, seed: int, starts: int = 3) -> Groups:
    from sklearn.cluster import KMeans

    groups = KMeans(clusters, n_init=starts, random_state=seed).fit_predict(features)
    return np.asarray(groups, np.int64)


def _on_pixels(config: ClusterConfig, images: ImageSet, indices: Groups, seed: int) -> Groups:
    return _k_means(_pixels(images, indices), len(images.class_names), seed)


def _on_pca(config: ClusterConfig, images: ImageSet, indices: Groups, seed: int) -> Groups:
    from sklearn.decomposition import PCA

    reduced = PCA(COMPONENTS, random_state=seed).fit_transform(_pixels(images, indices))
    return _k_means(reduced, len(images.class_names), seed)


def _on_umap(config: ClusterConfig, images: ImageSet, indices: Groups, seed: int) -> Groups:
    from sklearn.mixture import GaussianMixture

    try:
        import umap
    except ModuleNotFoundError as error:
        raise FrugalsegError(
            "UMAP is not installed: run 'pip install -c constraints.txt umap-learn', or leave out "
            "the method umap-mixture."
        ) from error
    reducer = umap.UMAP(
        n_components=UMAP_FEATURES, n_neighbors=15, min_dist=0.0, random_state=seed, n_jobs=1
    )
    reduced = reducer.fit_transform(_pixels(images, indices))
    mixture = GaussianMixture(len(images.class_names), n_init=3, random_state=seed)
    return np.asarray(mixture.fit_predict(reduced.astype(np.float64)), np.int64)


def _on_untrained(config: ClusterConfig, images: ImageSet, indices: Groups, seed: int) -> Groups:
    """The backbone as it is before training: what the network's form alone gives."""
    resolved = resolve(config, images)
    views = resolved.views
    torch.manual_seed(seed)
    backbone = build_net(dataclasses.replace(resolved, pretrained=False), 2).backbone
    pixels = images.read_all(views.side, indices).transpose(0, 3, 1, 2)
    parts = torch.split(torch.from_numpy(np.ascontiguousarray(pixels)), 256)
    shown = (prediction_view(part, views) for part in parts[:16] if len(part) > 1)
    settle_batch_norm(backbone, shown)
    backbone.eval()
    with torch.inference_mode():
        features = torch.cat([backbone(prediction_view(part, views)) for part in parts])
    return _k_means(features.numpy(), len(images.class_names), seed)


def _on_features(config: ClusterConfig, images: ImageSet, indices: Groups, seed: int) -> Groups:
    """What heads on a frozen pretrained network stand on: its features, standardised, reduced."""
    resolved = resolve(dataclasses.replace(config, frozen=True), images)
    net = build_net(resolved, 2)
    data = build_training_data(resolved, images, net, Path(str(config.features)))
    return _k_means(data.values["plain"].numpy(), len(images.class_names), seed, starts=10)


Method = Callable[[ClusterConfig, ImageSet, Groups, int], Groups]
METHODS: dict[str, Method] = {
    "k-means-pixels": _on_pixels,
    "k-means-pca": _on_pca,
    "k-means-untrained-backbone": _on_untrained,
    "k-means-features": _on_features,
    "umap-mixture": _on_umap,
}
_THROUGH_A_NETWORK = ("k-means-untrained-backbone", "k-means-features")
