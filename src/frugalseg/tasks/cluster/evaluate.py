"""The answers of a clustering for images, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.iic import many_to_one, one_to_one
from frugalseg.metrics.clustering import agreement_scores, mean_and_spread
from frugalseg.metrics.confusion import accuracy, as_classes, confusion

SECOND = 0.5  # of a cluster's most frequent class: a class with so many images names it too
MAPPED = 1500  # images that t-SNE places on the map; the others go beside the nearest of these


@dataclass(frozen=True)
class Answers:
    """Answers of a run for N images.

    Attributes:
        names: of the images.
        indices: (N,) of the images in their set.
        probabilities: (N, k) of the chosen sub-head.
        overcluster_probabilities: (N, K) of a sub-head of the overclustering head.
        sub_heads: (S, N) most probable cluster by every sub-head.
        diagnostics: of `frugalseg.iic.clustering_diagnostics`; "agreement" only for the run's own
            images.
        labels: (N,) class indices, -1 if unknown; None without labels.
        class_names: of these classes.
    """

    names: tuple[str, ...]
    indices: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    overcluster_probabilities: NDArray[np.float32]
    sub_heads: NDArray[np.int64]
    diagnostics: dict[str, float]
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()

    @property
    def clusters(self) -> int:
        """k."""
        return int(self.probabilities.shape[1])

    @property
    def assigned(self) -> NDArray[np.int64]:
        """(N,) most probable clusters."""
        clusters: NDArray[np.int64] = self.probabilities.argmax(1)
        return clusters

    @cached_property
    def cluster_names(self) -> tuple[str, ...]:
        """Names of the clusters: the most frequent class of their labelled images, or both classes
        if the second has at least `SECOND` times as many images; numbered if clusters share a name.
        """
        plain = tuple(f"cluster {i}" for i in range(self.clusters))
        if self.labels is None or not (self.labels >= 0).any():
            return plain
        counts = confusion(self.assigned, self.labels, self.clusters, len(self.class_names))
        names = list(plain)
        for cluster in np.flatnonzero(counts.any(1)):
            row = counts[cluster]
            order = np.argsort(-row, kind="stable")[:2]
            frequent = order[row[order] >= SECOND * row[order[0]]]
            names[cluster] = " and ".join(self.class_names[i] for i in frequent)
        return tuple(
            f"{name} ({1 + names[:i].count(name)})" if names.count(name) > 1 else name
            for i, name in enumerate(names)
        )

    @property
    def places(self) -> NDArray[np.float64]:
        """(N, 2) on a map where images of similar answers are neighbours."""
        return place_answers(self.probabilities, self.overcluster_probabilities)


def scores(answers: Answers) -> dict[str, Any]:
    """Scores of the clusters against the labels.

    Returns:
        The scores of `agreement_scores`, whose confusion has clusters by row and classes by column;
        "class_names" of the columns; "sub_heads": mean, spread, least and greatest one-to-one
        accuracy over the sub-heads; "accuracy_over": accuracy of the overclusters if each stands
        for its most frequent class.

    Raises:
        ValueError: no image is labelled.
    """
    if answers.labels is None:
        raise ValueError("no image is labelled")
    labels, classes, clusters = answers.labels, len(answers.class_names), answers.clusters
    overcluster = answers.overcluster_probabilities
    finer = confusion(overcluster.argmax(1), labels, overcluster.shape[1], classes)
    each = [confusion(assigned, labels, clusters, classes) for assigned in answers.sub_heads]
    return {
        **agreement_scores(answers.assigned, labels, clusters, classes),
        "class_names": list(answers.class_names),
        "sub_heads": mean_and_spread(
            [accuracy(as_classes(counts, one_to_one(counts))) for counts in each]
        ),
        "accuracy_over": accuracy(as_classes(finer, many_to_one(finer))),
    }


def agreement_with_overcluster(
    probabilities: NDArray[np.floating], overcluster: NDArray[np.floating]
) -> NDArray[np.float64]:
    """The agreement of the overclustering with each image's cluster.

    Args:
        probabilities: (N, k).
        overcluster: (N, K).

    Returns:
        (N,) in [0, 1]: the sum over overclusters of the image's answer times the share of the
        image's cluster in the overcluster.
    """
    joint = overcluster.T.astype(np.float64) @ probabilities  # (K, k)
    shares = joint / np.maximum(joint.sum(1, keepdims=True), 1e-12)
    expected = overcluster @ shares
    own: NDArray[np.float64] = expected[np.arange(len(overcluster)), probabilities.argmax(1)]
    return own


def place_answers(
    probabilities: NDArray[np.floating], overcluster: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Places of images on a map, on which images with similar answers are neighbours.

    Distances are Hellinger distances. t-SNE places up to `MAPPED` images; each of the others goes
    to the mean place of the three nearest of these.

    Args:
        probabilities: (N, k).
        overcluster: (N, K).

    Returns:
        (N, 2).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors

    roots = np.sqrt(np.concatenate([probabilities, overcluster], 1).clip(0)).astype(np.float64)
    count = len(roots)
    if count < 12:
        return PCA(2).fit_transform(roots) if count > 2 else np.zeros((count, 2))
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:MAPPED])
    # t-SNE warns of equal answers
    noise = 1e-4 * np.random.default_rng(0).standard_normal((len(chosen), roots.shape[1]))
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=0)
    mapped = tsne.fit_transform(roots[chosen] + noise)
    near = NearestNeighbors(n_neighbors=3).fit(roots[chosen])
    places: NDArray[np.float64] = mapped[near.kneighbors(roots, return_distance=False)].mean(1)
    places[chosen] = mapped
    return places
