"""Groupings to be beaten: k-means on pixels, on PCA and on an untrained trunk; UMAP + mixture."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.cluster_runs import ClusterConfig, build_net
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.recipes.clustering import Say, all_results, score_groups, write_table

Floats = NDArray[np.float32]
COMPONENTS = 50  # of PCA
UMAP_FEATURES = 10


def run_baselines(
    config: ClusterConfig,
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    methods: Sequence[str] | None = None,
    say: Say = lambda text: None,
) -> str:
    """Group the images of a configuration in other ways; what is there already is kept.

    Args:
        config: its data, split, trunk and views.
        out: folder of the result files and ``table.md``.
        seeds: of each method.
        methods: some of ``METHODS``; by default all.
        say: is told, in words, what begins.

    Returns:
        The table of all results there.

    Raises:
        FrugalsegError: no such method, or the images have no labels to score against.
    """
    from frugalseg.training.cluster_plan import open_image_data

    images = open_image_data(config)
    if images.labels is None:
        raise FrugalsegError(f"{config.data} has no labels to score against.")
    unknown = sorted(set(methods or ()) - set(METHODS))
    if unknown:
        raise FrugalsegError(f"No method {unknown[0]!r}: there are {', '.join(METHODS)}.")
    indices = images.splits[config.split]
    for name in methods or METHODS:
        for seed in seeds:
            path = out / f"{name}-{seed}.json"
            if path.exists():
                continue
            say(f"== {name}-{seed}")
            groups = METHODS[name](config, images, indices, seed)
            score_groups(groups, images, indices, name, seed, path, split=config.split)
    return write_table(all_results(out), out / "table.md")


def _pixels(images: ImageSet, indices: NDArray[np.int64]) -> Floats:
    side = int(images.sizes[indices].min())
    pixels = images.read_all(side, indices).reshape(len(indices), -1)
    return (pixels / np.float32(255)).astype(np.float32)


def _k_means(features: Floats, clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    groups = KMeans(clusters, n_init=3, random_state=seed).fit_predict(features)
    return np.asarray(groups, np.int64)


def _on_pixels(
    config: ClusterConfig, images: ImageSet, indices: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    return _k_means(_pixels(images, indices), len(images.class_names), seed)


def _on_pca(
    config: ClusterConfig, images: ImageSet, indices: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    from sklearn.decomposition import PCA

    reduced = PCA(COMPONENTS, random_state=seed).fit_transform(_pixels(images, indices))
    return _k_means(reduced, len(images.class_names), seed)


def _on_umap(
    config: ClusterConfig, images: ImageSet, indices: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
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


def _on_untrained(
    config: ClusterConfig, images: ImageSet, indices: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    """The trunk as it is before training: what the network's form alone gives."""
    from frugalseg.networks.trunks import settle_batch_norm
    from frugalseg.training.cluster_plan import make_plan, view_settings
    from frugalseg.training.views import test_view

    plan = make_plan(config, images)
    views = view_settings(plan)
    torch.manual_seed(seed)
    trunk = build_net(plan, 2).trunk
    pixels = images.read_all(views.side, indices).transpose(0, 3, 1, 2)
    parts = torch.split(torch.from_numpy(np.ascontiguousarray(pixels)), 256)
    settle_batch_norm(trunk, (test_view(part, views) for part in parts[:16] if len(part) > 1))
    trunk.eval()
    with torch.inference_mode():
        features = torch.cat([trunk(test_view(part, views)) for part in parts])
    return _k_means(features.numpy(), len(images.class_names), seed)


Method = Callable[[ClusterConfig, ImageSet, NDArray[np.int64], int], NDArray[np.int64]]
METHODS: dict[str, Method] = {
    "k-means-pixels": _on_pixels,
    "k-means-pca": _on_pca,
    "k-means-untrained-trunk": _on_untrained,
    "umap-mixture": _on_umap,
}
