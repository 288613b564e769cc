import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from frugalseg.iic import UNUSED
from frugalseg.metrics.clustering import agreement_scores, mean_and_spread


def test_scores_are_those_of_scikit_learn_and_unknown_labels_are_left_out():
    rng = np.random.default_rng(0)
    a, b = rng.integers(5, size=200), rng.integers(4, size=200)
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


def test_nothing_labelled_has_no_scores():
    with pytest.raises(ValueError, match="no item is labelled"):
        agreement_scores([0, 1], [-1, -1], 2, 2)


def test_mean_and_spread():
    values = [0.5, 0.9, 0.7]
    spread = mean_and_spread(values)
    assert spread["std"] == pytest.approx(np.std(values))
    assert (spread["least"], spread["greatest"]) == (0.5, 0.9)
