import dataclasses

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from frugalseg.tasks.cluster.evaluate import (
    Answers,
    agreement_with_overcluster,
    place_answers,
    scores,
)
from frugalseg.tasks.cluster.suggest import suggest


def soft(count: int, clusters: int, seed: int) -> np.ndarray:
    raw = np.random.default_rng(seed).gamma(0.3, size=(count, clusters)) + 1e-6
    return (raw / raw.sum(1, keepdims=True)).astype(np.float32)


def answers(count: int = 60, labels: np.ndarray | None = None) -> Answers:
    every = np.stack([soft(count, 4, seed) for seed in range(3)])
    return Answers(
        names=tuple(f"{i}.jpg" for i in range(count)),
        indices=np.arange(count),
        probabilities=every[1],
        overcluster_probabilities=soft(count, 9, 9),
        sub_heads=every.argmax(-1),
        diagnostics={},
        labels=labels,
        class_names=("ape", "bee", "cat"),
    )


def test_scores_of_all_sub_heads() -> None:
    labels = np.random.default_rng(0).integers(-1, 3, 60)
    one = answers(labels=labels)
    found = scores(one)
    known = labels >= 0
    each = []
    for assigned in one.sub_heads:
        counts = np.zeros((4, 3), int)
        np.add.at(counts, (assigned[known], labels[known]), 1)
        rows, columns = linear_sum_assignment(-counts)
        each.append(counts[rows, columns].sum() / known.sum())
    assert found["accuracy"] == pytest.approx(each[1])
    assert found["sub_heads"]["mean"] == pytest.approx(np.mean(each))
    assert found["sub_heads"]["greatest"] == pytest.approx(max(each))
    overcluster = one.overcluster_probabilities.argmax(1)
    right = sum(
        np.bincount(labels[known & (overcluster == o)], minlength=3).max() for o in range(9)
    )
    assert found["accuracy_over"] == pytest.approx(right / known.sum())
    with pytest.raises(ValueError, match="no image is labelled"):
        scores(answers())


def test_clusters_are_named_by_their_labels() -> None:
    assert answers().cluster_names == ("cluster 0", "cluster 1", "cluster 2", "cluster 3")
    assigned = answers().assigned
    labels = np.select([assigned == 0, assigned == 1, assigned == 2], [2, 0, 2], -1)
    named = answers(labels=labels).cluster_names
    assert named == ("cat (1)", "ape", "cat (2)", "cluster 3")
    half = np.flatnonzero(assigned == 1)
    labels[half[::2]] = 1
    assert answers(labels=labels).cluster_names[1] in ("ape and bee", "bee and ape")


def test_neighbours_on_the_map_have_similar_answers() -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 120)
    p = np.eye(3)[kinds] * 0.9 + 0.1 * soft(120, 3, 5)
    places = place_answers(p, p)
    distance = np.linalg.norm(places[:, None] - places, axis=-1) + 1e9 * np.eye(120)
    assert (kinds[distance.argmin(1)] == kinds).mean() > 0.95
    assert np.array_equal(places, place_answers(p, p))
    assert place_answers(p[:5], p[:5]).shape == (5, 2)
    assert place_answers(p[:1], p[:1]).shape == (1, 2)
    same = np.full((30, 3), 1 / 3)
    assert np.isfinite(place_answers(same, same)).all()


def test_many_images_are_placed_beside_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    from frugalseg.tasks.cluster import evaluate as clusters

    monkeypatch.setattr(clusters, "MAPPED", 60)
    kinds = np.arange(200) % 3
    p = np.eye(3)[kinds]
    places = place_answers(p, p)
    middles = np.stack([places[kinds == kind].mean(0) for kind in range(3)])
    nearest = np.linalg.norm(places[:, None] - middles, axis=-1).argmin(1)
    assert (nearest == kinds).mean() > 0.95


def test_typical_images_come_first_then_finer_and_unsure_ones() -> None:
    one = answers()
    asked = suggest(one, 20)
    places = [place for place, _ in asked]
    assert len(places) == len(set(places)) == 20
    p = one.probabilities
    sizes = np.bincount(p.argmax(1), minlength=4)
    first = [int(p[place].argmax()) for place in places[:4]]
    assert [sizes[cluster] for cluster in first] == sorted(sizes, reverse=True)
    for place, cluster in zip(places[:4], first, strict=True):
        stands = p[:, cluster] * agreement_with_overcluster(p, one.overcluster_probabilities)
        assert stands[place] == stands[p.argmax(1) == cluster].max()
        assert f"cluster {cluster}" in dict(asked)[place]
    ranked = np.sort(p, 1)
    margins = ranked[:, -1] - ranked[:, -2]
    unsure = [place for place, why in asked if why.startswith("between")]
    assert margins[unsure[0]] == margins.min()
    # clusters, then the finer groups that none of them stands for
    group = one.overcluster_probabilities.argmax(1)
    covered = group[places[:4]].tolist()
    later = 4 + len(set(group) - set(covered))
    assert all("typical of group" in why for _, why in asked[4:later])
    assert set(covered).isdisjoint(group[places[4:later]])
    assert set(group[places[:later]]) == set(group)
    # then by size, a sixth of them undecided
    every = suggest(one, 60)
    assert len(dict(every)) == 60
    assert [why.startswith("between") for _, why in every[later : later + 12]] == 2 * [
        *(5 * [False]),
        True,
    ]


def test_groups_get_labels_in_proportion_to_their_sizes() -> None:
    sizes = np.array([40, 12, 8])
    overcluster = np.repeat(np.eye(3, 5), sizes, 0) * 0.95 + 0.01  # two groups are empty
    one = dataclasses.replace(
        answers(), probabilities=overcluster, overcluster_probabilities=overcluster
    )
    labels = np.bincount(overcluster[[place for place, _ in suggest(one, 30)]].argmax(1))
    np.testing.assert_allclose(labels, sizes / 2, atol=2)


def test_few_suggestions_are_the_first_of_many() -> None:
    one = answers()
    asked = suggest(one, 20)
    assert suggest(one, 2) == asked[:2]
