import numpy as np
import pytest
from sklearn.metrics import accuracy_score, adjusted_rand_score, confusion_matrix, jaccard_score

from frugalseg.metrics.confusion import (
    accuracy,
    adjusted_rand,
    as_classes,
    class_iou,
    confusion,
    mean_of_known,
)


def draw(answers, classes, count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(answers, size=count), rng.integers(classes, size=count)


def test_the_table_is_that_of_scikit_learn():
    answers, truth = draw(4, 4)
    expected = confusion_matrix(truth, answers).T
    np.testing.assert_array_equal(confusion(answers, truth, 4, 4), expected)
    images = answers.reshape(6, 10).astype(np.uint8), truth.reshape(6, 10).astype(np.uint8)
    np.testing.assert_array_equal(confusion(*images, 4, 4), expected)


def test_what_is_not_known_is_left_out_whatever_was_answered():
    answers, truth = draw(4, 300)
    whole = confusion(answers, truth, 4, 300)
    assert whole[:, 255].sum() == (truth == 255).sum()  # a class like others in wide integers
    truth[:9], answers[:9] = -1, 99
    assert confusion(answers, truth, 4, 300).sum() == 51
    pixels = np.array([[0, 255, 1]], np.uint8)
    assert confusion(pixels, pixels, 2, 2).tolist() == [[1, 0], [0, 1]]
    assert confusion([], [], 2, 3).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("answers", "truth", "says"),
    [
        ([0, 2], [0, 0], "answer index 2 is not below 2"),
        ([0, -1], [0, 0], "answer index -1"),
        ([0, 1], [0, 3], "class index 3 is not below 3"),
        ([0], [0, 0], "differ in shape"),
    ],
)
def test_what_cannot_be_counted_is_refused(answers, truth, says):
    with pytest.raises(ValueError, match=says):
        confusion(answers, truth, 2, 3)


def test_answers_stand_for_classes():
    answers, truth = draw(5, 3)
    mapping = np.array([2, 0, -1, 0, 1])
    counts = as_classes(confusion(answers, truth, 5, 3), mapping)
    named = mapping[answers]
    assert accuracy(counts) == pytest.approx(accuracy_score(truth, named))
    expected = jaccard_score(truth, named, labels=[0, 1, 2], average=None)
    assert class_iou(counts) == pytest.approx(expected.tolist())


def test_absent_classes_are_in_no_mean():
    iou = class_iou(np.array([[3, 0, 0], [1, 2, 0], [0, 1, 0]]))
    assert iou == [3 / 4, 2 / 4, None]
    assert mean_of_known(iou) == 5 / 8
    assert mean_of_known([None]) is None
    with pytest.raises(ValueError, match="no item is labelled"):
        accuracy(np.zeros((2, 2), int))


def test_the_rand_index_is_that_of_scikit_learn():
    for seed in range(5):
        one, other = draw(5, 4, 200, seed)
        counts = confusion(one, other, 6, 4)
        assert adjusted_rand(counts) == adjusted_rand_score(one, other)
    assert adjusted_rand(np.array([[7]])) == 1
    many = np.array([[3_000_000_000, 1], [0, 4_000_000_000]])
    assert adjusted_rand(many) == pytest.approx(1)
