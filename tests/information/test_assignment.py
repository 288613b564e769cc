import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    adjusted_rand_score,
    confusion_matrix,
    normalized_mutual_info_score,
)

from frugalseg.information import (
    UNUSED,
    accuracy,
    agreement_scores,
    confusion,
    many_to_one,
    mean_and_spread,
    one_to_one,
)
from reference.information import slow_matching


def draw(clusters, classes, count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(clusters, size=count), rng.integers(classes, size=count)


def test_confusion_is_that_of_scikit_learn():
    a, b = draw(4, 4)
    np.testing.assert_array_equal(confusion(a, b, 4, 4), confusion_matrix(a, b))


@pytest.mark.parametrize(("clusters", "classes"), [(4, 4), (6, 3), (3, 5)])
def test_one_to_one_is_the_best_of_all_ways(clusters, classes):
    for seed in range(10):
        a, b = draw(clusters, classes, seed=seed)
        counts = confusion(a, b, clusters, classes)
        mapping = one_to_one(counts)
        given = mapping[mapping != UNUSED]
        assert len(set(given)) == len(given)
        right = accuracy(mapping, a, b) * len(a)
        assert round(right) == slow_matching(counts)


def test_many_to_one_on_one_split_applied_to_another():
    counts = confusion([0, 0, 0, 1, 2], [2, 2, 1, 0, 0], 4, 3)
    mapping = many_to_one(counts)
    assert mapping.tolist() == [2, 0, 0, UNUSED]
    clusters, classes = np.array([0, 1, 2, 3, 3]), np.array([2, 0, 1, 0, -1])
    assert accuracy(mapping, clusters, classes) == accuracy_score(
        classes[:4], mapping[clusters[:4]]
    )


def test_scores_are_those_of_scikit_learn_and_unknown_labels_are_left_out():
    a, b = draw(5, 4, 200)
    b[::7] = -1
    known = b >= 0
    scores = agreement_scores(a, b, 6, 4)
    assert scores["nmi"] == pytest.approx(normalized_mutual_info_score(b[known], a[known]))
    assert scores["ari"] == pytest.approx(adjusted_rand_score(b[known], a[known]))
    assert scores["labelled"] == known.sum()
    assert scores["unused_clusters"] == [5]
    assert scores["mapping"].count(UNUSED) == 2
    assert scores["accuracy"] <= scores["accuracy_many_to_one"]


def test_renamed_clusters_score_one():
    b = np.arange(40) % 4
    scores = agreement_scores((b + 1) % 4, b, 4, 4)
    assert scores["accuracy"] == scores["nmi"] == scores["ari"] == 1
    assert scores["mapping"] == [3, 0, 1, 2]


def test_what_cannot_be_scored():
    with pytest.raises(ValueError, match="no item is labelled"):
        agreement_scores([0, 1], [-1, -1], 2, 2)
    with pytest.raises(ValueError, match="not below"):
        confusion([0, 2], [0, 0], 2, 1)
    with pytest.raises(ValueError, match="not both"):
        confusion([0], [0, 0], 1, 1)


def test_mean_and_spread():
    values = [0.5, 0.9, 0.7]
    found = mean_and_spread(values)
    assert found["std"] == pytest.approx(np.std(values))
    assert (found["least"], found["greatest"]) == (0.5, 0.9)
