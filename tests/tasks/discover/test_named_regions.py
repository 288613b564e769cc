import numpy as np
import pytest
from sklearn.metrics import accuracy_score, jaccard_score

from frugalseg.tasks.discover.evaluate import (
    count_regions,
    region_names,
    region_scores,
    semi_supervised_scores,
)
from frugalseg.tasks.discover.suggest import suggest_regions

NAMES = ("a", "b", "c")


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and regions that are it under other numbers, a fifth of them wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, (40, 50)).astype(np.uint8)
    regions = np.array([2, 0, 1], np.uint8)[truth]
    wrong = rng.random(truth.shape) < 0.2
    regions[wrong] = rng.integers(0, 3, wrong.sum())
    truth[:4] = 255
    return regions, truth


def test_scores_are_those_of_scikit_learn() -> None:
    regions, truth = planted()
    counts = count_regions(regions, truth, 3, 3)
    assert counts.sum() == 36 * 50
    scores = region_scores(counts, NAMES)
    assert scores["mapping"] == [1, 2, 0]
    answers = np.array([1, 2, 0])[regions[4:]].ravel()
    known = truth[4:].ravel()
    assert scores["accuracy"] == pytest.approx(accuracy_score(known, answers))
    assert scores["miou"] == pytest.approx(jaccard_score(known, answers, average="macro"))
    assert scores["accuracy_of_one_region"] == pytest.approx(np.bincount(known).max() / known.size)
    assert region_names(counts, NAMES) == ("b", "c", "a")


def test_absent_classes_and_left_over_regions() -> None:
    scores = region_scores(np.array([[5, 0], [0, 0], [3, 0]]), ("a", "b"))
    assert scores["accuracy"] == 5 / 8
    assert scores["accuracy_many_to_one"] == 1
    assert scores["iou"] == {"a": 5 / 8, "b": None}
    assert region_names(np.array([[5, 0], [0, 0], [3, 0]]), ("a", "b"))[2] == "region 2"
    with pytest.raises(ValueError, match="no pixel"):
        region_scores(np.zeros((2, 2), int), ("a", "b"))
    with pytest.raises(ValueError, match="not below"):
        count_regions(np.full((2, 2), 3, np.uint8), np.zeros((2, 2), np.uint8), 3, 2)


def test_regions_named_by_few_images() -> None:
    per_image = np.zeros((3, 4, 2), np.int64)
    per_image[0, 0, 0], per_image[0, 1, 1] = 10, 8  # names regions 0 and 1
    per_image[1, 0, 0], per_image[1, 2, 0] = 4, 2  # region 2 was not seen: class 0 is most common
    per_image[2, 1] = [1, 3]
    scores = semi_supervised_scores(per_image, [0], ("a", "b"))
    assert scores["mapping"] == [0, 1, 0, 0]
    assert scores["accuracy"] == 9 / 10
    with pytest.raises(ValueError, match="labelled images"):
        semi_supervised_scores(np.zeros((2, 2, 2), int), [0], ("a", "b"))


def test_suggested_images_show_all_regions_first() -> None:
    shares = np.array([[0.9, 0.1, 0, 0], [0.8, 0.2, 0, 0], [0, 0, 0.5, 0.5], [1, 0, 0, 0]])
    entropy = np.array([0.1, 0.9, 0.1, 0.2])
    chosen = suggest_regions(shares, entropy, 3)
    assert {place for place, _ in chosen[:2]} == {0, 2}
    assert chosen[2] == (1, "its regions are undecided")
    assert sorted(place for place, _ in suggest_regions(shares, entropy, 99)) == [0, 1, 2, 3]
