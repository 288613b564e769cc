"""What a clustering run answers for images, and how good the answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.information import (
    agreement_scores,
    confusion,
    many_to_one,
    mean_and_spread,
)

SECOND = 0.5
MAPPED = 1500  # images that are placed on the map by their answers; others go beside the nearest


@dataclass(frozen=True)
class Answers:
    """Answers of a run for N images.

    Attributes:
        names: of the images.
        indices: (N,) of the images in their set.
        probabilities: (N, k) of the chosen sub-head.
        over_probabilities: (N, K) of a sub-head of the overclustering head.
        sub_heads: (S, N) most probable cluster by every sub-head.
        losses: (S) of the sub-heads, in nats, from the training.
        health: as `clustering_health` gives it; "agreement" only for the run's own images.
        labels: (N,) class indices, -1 where unknown; None where there are none.
        class_names: what they mean.
    """

    names: tuple[str, ...]
    indices: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    over_probabilities: NDArray[np.float32]
    sub_heads: NDArray[np.int64]
    losses: tuple[float, ...]
    health: dict[str, float]
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()

    @property
    def clusters(self) -> int:
        """k."""
        return int(self.probabilities.shape[1])

    @property
    def assigned(self) -> NDArray[np.int64]:
        """(N,) most probable clusters."""
        most: NDArray[np.int64] = self.probabilities.argmax(1)
        return most

    @property
    def cluster_names(self) -> tuple[str, ...]:
        """Clusters by the most frequent class of their labelled images, numbered where shared.

        Where a second class makes up at least `SECOND` of the first, both are named.
        """
        plain = tuple(f"cluster {i}" for i in range(self.clusters))
        if self.labels is None or not (self.labels >= 0).any():
            return plain
        counts = confusion(self.assigned, self.labels, self.clusters, len(self.class_names))
        mapping = many_to_one(counts)
        kinds = [
            plain[cluster] if kind < 0 else self._kinds(counts[cluster])
            for cluster, kind in enumerate(mapping)
        ]
        numbers = [1 + kinds[:i].count(kind) for i, kind in enumerate(kinds)]
        return tuple(
            f"{kind} ({number})" if kinds.count(kind) > 1 else kind
            for kind, number in zip(kinds, numbers, strict=True)
        )

    def _kinds(self, counts: NDArray[np.int64]) -> str:
        """The class or two classes that a cluster with such counts stands for."""
        order = np.argsort(-counts, kind="stable")[:2]
        second = len(order) > 1 and counts[order[1]] >= SECOND * counts[order[0]]
        return " and ".join(self.class_names[i] for i in order[: 2 if second else 1])

    @property
    def places(self) -> NDArray[np.float64]:
        """(N, 2) on a map where images of similar answers are neighbours."""
        return place_answers(self.probabilities, self.over_probabilities)


def scores(answers: Answers) -> dict[str, Any]:
    """How well clusters and labels agree.

    Returns:
        As `agreement_scores`, and "sub_heads": mean, spread, least and greatest one-to-one accuracy
        over the sub-heads; "accuracy_over": of the overclusters, each named by its most frequent
        class on the same images.

    Raises:
        ValueError: no image is labelled.
    """
    if answers.labels is None:
        raise ValueError("no image is labelled")
    labels, kinds = answers.labels, len(answers.class_names)
    found = agreement_scores(answers.assigned, labels, answers.clusters, kinds)
    each = [
        agreement_scores(assigned, labels, answers.clusters, kinds)["accuracy"]
        for assigned in answers.sub_heads
    ]
    over = answers.over_probabilities
    finer = agreement_scores(over.argmax(1), labels, over.shape[1], kinds)
    return {
        **found,
        "sub_heads": mean_and_spread(each),
        "accuracy_over": finer["accuracy_many_to_one"],
    }


def agreement_with_over(
    probabilities: NDArray[np.floating], over: NDArray[np.floating]
) -> NDArray[np.float64]:
    """How far the finer grouping agrees with each image's cluster.

    Args:
        probabilities: (N, k).
        over: (N, K).

    Returns:
        (N,) in [0, 1]: the sum over overclusters of the image's answer times the share of the
        image's cluster in the overcluster.
    """
    joint = over.T.astype(np.float64) @ probabilities  # (K, k)
    shares = joint / np.maximum(joint.sum(1, keepdims=True), 1e-12)
    expected = over @ shares
    own: NDArray[np.float64] = expected[np.arange(len(over)), probabilities.argmax(1)]
    return own


def place_answers(
    probabilities: NDArray[np.floating], over: NDArray[np.floating], seed: int = 0
) -> NDArray[np.float64]:
    """Places of images on a map by their answers of both heads.

    Distances are Hellinger's; up to `MAPPED` images are placed by t-SNE, others at the mean place
    of their three nearest among these.

    Args:
        probabilities: (N, k).
        over: (N, K).
        seed: of the choice of images and of t-SNE.

    Returns:
        (N, 2).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.neighbors import NearestNeighbors

    roots = np.sqrt(np.concatenate([probabilities, over], 1).clip(0)).astype(np.float64)
    count = len(roots)
    if count < 12:
        return PCA(2).fit_transform(roots) if count > 2 else np.zeros((count, 2))
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:MAPPED])
    # equal answers would lie on one point, and t-SNE warns of them
    noise = 1e-4 * np.random.default_rng(seed).standard_normal((len(chosen), roots.shape[1]))
    perplexity = min(30.0, (len(chosen) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    mapped = tsne.fit_transform(roots[chosen] + noise)
    near = NearestNeighbors(n_neighbors=3).fit(roots[chosen])
    places: NDArray[np.float64] = mapped[near.kneighbors(roots, return_distance=False)].mean(1)
    places[chosen] = mapped
    return places
