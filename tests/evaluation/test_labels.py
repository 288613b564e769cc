import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from frugalseg.evaluation.labels import name_images, share_curve, suggestion_curve


def planted(count=200, seed=0):
    """Sure answers of 4 clusters and 8 overclusters, two classes of two clusters each."""
    rng = np.random.default_rng(seed)
    finer = rng.integers(8, size=count)
    over = 0.9 * np.eye(8)[finer] + 0.1 * rng.dirichlet(np.ones(8), count)
    main = 0.9 * np.eye(4)[finer // 2] + 0.1 * rng.dirichlet(np.ones(4), count)
    return main, over, finer, finer // 4


def test_all_labels_name_all_clusters_and_one_names_one():
    _, _, finer, labels = planted()
    labels = np.where(np.arange(200) == 3, -1, labels)
    naming, test = np.arange(100), np.arange(100, 200)
    curve = share_curve(finer, labels, naming, test, [1.0, 1 / 99], seeds=5)
    assert curve[0]["labels"] == 99
    assert curve[0]["accuracy"]["mean"] == 1
    one = curve[1]
    assert one["labels"] == 1
    largest = np.bincount(finer[test]).max() / 100
    assert 0 < one["accuracy"]["mean"] <= largest + 1e-9


def test_votes_are_those_of_the_nearest_where_answers_are_sure():
    main, over, _, labels = planted()
    labelled = np.arange(30)
    roots = np.sqrt(np.concatenate([main, over], 1))
    nearest = KNeighborsClassifier(1).fit(roots[:30], labels[:30]).predict(roots)
    named = name_images(main, over, labelled, labels[labelled])
    assert (named == nearest).mean() > 0.97


def test_suggested_images_that_cover_beat_random_ones():
    main, over, finer, labels = planted()
    one_each = [int(np.flatnonzero(finer == k)[0]) for k in (0, 2, 4, 6)]
    curve = suggestion_curve(main, over, labels, lambda n: one_each[:n], [4], seeds=20)
    assert curve[0]["suggested"] == pytest.approx(1.0)
    assert curve[0]["random"]["mean"] < 1
