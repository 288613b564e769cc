"""Scores of regions against a slow matching, scikit-learn and closed forms."""

import itertools

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import jaccard_score

from frugalseg.tasks.discover.evaluate import count_regions, enlarge, region_scores

NAMES = ("a", "b", "c")


def test_enlarging_is_that_of_pillow() -> None:
    groups = np.random.default_rng(0).integers(0, 9, (7, 5), np.uint8)
    for size in ((21, 15), (30, 11), (7, 5)):
        expected = Image.fromarray(groups).resize(size[::-1], Image.Resampling.NEAREST)
        np.testing.assert_array_equal(enlarge(groups, size), np.asarray(expected))


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_best_of_all_matchings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups, truth = rng.integers(0, 3, (12, 9)), rng.integers(0, 3, (12, 9)).astype(np.uint8)
    truth[rng.random((12, 9)) < 0.2] = 255
    scores = region_scores(count_regions(groups, truth, 3, 3), NAMES)
    known = truth != 255
    best = max(
        itertools.permutations(range(3)),
        key=lambda p: (np.array(p)[groups] == truth)[known].mean(),
    )
    answers = np.array(best)[groups][known]
    assert scores["accuracy"] == pytest.approx((answers == truth[known]).mean())
    expected = jaccard_score(truth[known], answers, average=None)
    assert list(scores["iou"].values()) == pytest.approx(expected.tolist())
    assert scores["miou"] == pytest.approx(expected.mean())
    assert scores["labelled"] == known.sum()


def test_one_group_is_right_where_its_class_is() -> None:
    truth = np.repeat(np.array([0, 0, 0, 1], np.uint8), 4).reshape(4, 4)
    scores = region_scores(count_regions(np.zeros((1, 1), np.int64), truth, 3, 3), NAMES)
    assert (scores["accuracy"], scores["used"], scores["mapping"]) == (0.75, 1, [0, -1, -1])
    assert scores["iou"] == {"a": 0.75, "b": 0.0, "c": None}  # no pixel is c
    assert scores["miou"] == 0.375
    with pytest.raises(ValueError, match="no pixel is labelled"):
        region_scores(np.zeros((3, 3), np.int64), NAMES)
    with pytest.raises(ValueError, match="3 names for 2 classes"):
        region_scores(np.ones((2, 2), np.int64), NAMES)
