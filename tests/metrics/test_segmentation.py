from functools import reduce
from operator import add

import numpy as np
import pytest
from scipy import ndimage

from frugalseg.metrics import segmentation
from frugalseg.metrics.segmentation import boundary_distance, count_image, summarise

IGNORE = 255


def random_pair(seed, shape=(37, 53), classes=5, ignored=0.1):
    """Blobs with noise on them, part of them to be ignored; the prediction 80 % right."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.zoom(rng.integers(0, classes, (6, 8)), 7, order=0)[: shape[0], : shape[1]]
    truth = blobs.astype(np.uint8)
    noise = rng.random(shape) < 0.05
    truth[noise] = rng.integers(0, classes, noise.sum())
    truth[rng.random(shape) < ignored] = IGNORE
    prediction = np.where(rng.random(shape) < 0.8, blobs, 0).astype(np.uint8)
    return prediction, truth


def slow_confusion(prediction, truth, classes):
    table = np.zeros((classes, classes), int)
    for p, t in zip(prediction.ravel(), truth.ravel(), strict=True):
        if t != IGNORE:
            table[p, t] += 1
    return table


def slow_boundary(truth):
    height, width = truth.shape
    edge = np.zeros(truth.shape, bool)
    for r in range(height):
        for c in range(width):
            for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if not (0 <= y < height and 0 <= x < width):
                    continue
                if IGNORE not in (truth[r, c], truth[y, x]) and truth[r, c] != truth[y, x]:
                    edge[r, c] = True
    return edge


def slow_objects(prediction, truth, target):
    """Flood fill over the eight neighbours: list of (area, share found)."""
    todo = {tuple(place) for place in np.argwhere(truth == target)}
    objects = []
    while todo:
        front, area, right = [todo.pop()], 0, 0
        while front:
            r, c = front.pop()
            area, right = area + 1, right + (prediction[r, c] == target)
            near = {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & todo
            todo -= near
            front += near
        objects.append((area, right / area))
    return objects


@pytest.mark.parametrize("seed", range(3))
def test_confusion_equals_the_slow_count(seed):
    prediction, truth = random_pair(seed)
    counts = count_image(prediction, truth, 5, [1])
    np.testing.assert_array_equal(counts.confusion, slow_confusion(prediction, truth, 5))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ignored", [0.0, 0.2])
def test_bands_equal_the_euclidean_distance_to_the_boundary(seed, ignored):
    prediction, truth = random_pair(seed, ignored=ignored)
    truth[:, 20:] = 3  # so that some pixels are out of reach
    truth[:3] = IGNORE
    distance = ndimage.distance_transform_edt(~slow_boundary(truth))
    counts = count_image(prediction, truth, 5, [1])
    for i, width in enumerate((1, 2, 4, 8, 16)):
        within = (distance <= width) & (truth != IGNORE)
        assert counts.band_total[i] == within.sum()
        assert counts.band_correct[i] == (within & (prediction == truth)).sum()


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1), (23, 31)])
def test_boundary_distance_on_narrow_images(shape):
    truth = np.zeros(shape, np.uint8)
    truth[: (shape[0] + 2) // 3, : (shape[1] + 2) // 3] = 1
    edge = slow_boundary(truth)
    expected = ndimage.distance_transform_edt(~edge) ** 2 if edge.any() else np.full(shape, 1e9)
    np.testing.assert_array_equal(boundary_distance(truth, 6), np.minimum(expected.round(), 37))


def test_bands_of_a_straight_boundary_and_of_an_ignored_seam():
    truth = np.zeros((10, 40), np.uint8)
    truth[:, 20:] = 1
    counts = count_image(truth, truth, 2, [1])
    assert counts.band_total.tolist() == [10 * (2 * width + 2) for width in (1, 2, 4, 8, 16)]
    truth[:, 19:21] = IGNORE  # the classes no longer touch: no boundary is known
    assert count_image(truth, truth, 2, [1]).band_total.tolist() == [0] * 5


@pytest.mark.parametrize("seed", range(3))
def test_objects_equal_a_flood_fill(seed, monkeypatch):
    prediction, truth = random_pair(seed)
    edges = (2, 5, 20)
    monkeypatch.setattr(segmentation, "OBJECT_SIZES", edges)
    counts = count_image(prediction, truth, 5, [1, 3])
    for target in range(5):
        total, found = [0] * 4, [0] * 4
        for area, share in slow_objects(prediction, truth, target) if target in (1, 3) else ():
            size = sum(area >= edge for edge in edges)
            total[size] += 1
            found[size] += share >= 0.5
        assert counts.objects_total[target].tolist() == total
        assert counts.objects_found[target].tolist() == found
    assert counts.objects_total.sum() > 10


def test_an_object_is_found_with_half_of_its_pixels_and_parts_touch_at_corners(monkeypatch):
    monkeypatch.setattr(segmentation, "OBJECT_SIZES", (2, 3))
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.uint8)
    prediction = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]], np.uint8)
    counts = count_image(prediction, truth, 2, [1])
    assert counts.objects_total[1].tolist() == [1, 1, 0]
    assert counts.objects_found[1].tolist() == [0, 1, 0]


def test_iou_is_of_the_set_and_absent_classes_are_named():
    names = ["road", "car", "train", "sign"]
    first = np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 0, 0, 1]], np.uint8)
    second = np.array([[0, 2, 0, 0]], np.uint8), np.array([[0, 0, 1, 255]], np.uint8)
    counts = count_image(*first, 4, [1, 2]) + count_image(*second, 4, [1, 2])
    scores = summarise(counts, names, [1, 2])
    assert scores["images"] == 2
    assert scores["pixels"] == {"road": 5, "car": 2, "train": 0, "sign": 0}
    # road: 3 right, 5 true, 4 answered; car: 1 right, 2 true, 2 answered.
    assert scores["iou"] == {"road": 3 / 6, "car": 1 / 3, "train": None, "sign": None}
    assert scores["absent"] == ["train", "sign"]
    assert scores["miou"]["all"] == pytest.approx((3 / 6 + 1 / 3) / 2)
    assert scores["miou"]["target"] == pytest.approx(1 / 3)
    assert scores["pixel_accuracy"] == pytest.approx(4 / 7)


@pytest.mark.parametrize("absent", [0, 2, 4])
def test_means_and_confusion_equal_scikit_learn(absent):
    """Over all classes that are true or predicted; and over those that are true, picked by hand."""
    from sklearn.metrics import confusion_matrix, jaccard_score

    prediction, truth = random_pair(absent)
    truth[truth == absent] = IGNORE
    assert (prediction[truth != IGNORE] == absent).any()
    scores = summarise(count_image(prediction, truth, 6, [1, absent]), list("abcdef"), [1, absent])
    known = truth != IGNORE
    pair = truth[known], prediction[known]
    either = jaccard_score(*pair, average="macro", zero_division=0)
    assert scores["miou_true_or_predicted"]["all"] == pytest.approx(either)
    each = jaccard_score(*pair, labels=range(6), average=None, zero_division=0)
    present = np.unique(pair[0])
    assert scores["miou"]["all"] == pytest.approx(each[present].mean()) != pytest.approx(either)
    assert scores["miou_true_or_predicted"]["target"] == pytest.approx(each[[1, absent]].mean())
    assert scores["confusion"] == confusion_matrix(*pair, labels=range(6)).tolist()
    wrong = [int(((pair[1] == k) & (pair[0] != k)).sum()) for k in range(6)]
    assert list(scores["false_pixels"].values()) == wrong
    assert wrong[absent] > 0
    assert wrong[5] == 0  # neither true nor predicted: in no mean
    assert scores["class_names"] == list("abcdef")


def test_iou_equals_torchmetrics():
    from frugalseg._torchvision import patch_torchvision

    patch_torchvision()
    import torch
    from torchmetrics.functional.classification import multiclass_jaccard_index

    pairs = [random_pair(seed) for seed in range(4)]
    counts = reduce(add, (count_image(*pair, 5, [1]) for pair in pairs))
    scores = summarise(counts, list("abcde"), [1])
    prediction, truth = torch.from_numpy(np.stack(pairs, axis=1)).long()
    expected = multiclass_jaccard_index(prediction, truth, 5, average="none", ignore_index=IGNORE)
    np.testing.assert_allclose(list(scores["iou"].values()), expected.numpy(), rtol=1e-6)


def test_mean_of_true_or_predicted_classes_equals_torchmetrics():
    from frugalseg._torchvision import patch_torchvision

    patch_torchvision()
    import torch
    from torchmetrics.functional.classification import multiclass_jaccard_index

    prediction, truth = random_pair(7)
    truth[truth == 3] = IGNORE
    mean = summarise(count_image(prediction, truth, 5, [1]), list("abcde"), [1])
    pair = torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()
    expected = multiclass_jaccard_index(*pair, 5, average="macro", ignore_index=IGNORE)
    assert mean["absent"] == ["d"]
    assert mean["miou_true_or_predicted"]["all"] == pytest.approx(expected.item(), rel=1e-6)


def test_small_object_recall_by_bin():
    truth = np.zeros((40, 40), np.uint8)
    truth[1:3, 1:3] = 1  # 4 pixels
    truth[1:3, 10:12] = 1
    truth[20:30, 20:30] = 2  # 100 pixels
    prediction = truth.copy()
    prediction[1:3, 1:3] = 0
    counts = count_image(prediction, truth, 3, [1, 2])
    objects = summarise(counts, ["a", "b", "c"], [1, 2])["objects"]
    assert objects["bins"][:3] == ["under 16", "16 to 63", "64 to 255"]
    assert objects["classes"]["b"]["recall"] == [0.5, None, None, None, None, None]
    assert objects["classes"]["c"]["recall"][2] == 1
    assert objects["all"]["total"] == [2, 0, 1, 0, 0, 0]


def test_nothing_to_score():
    truth = np.full((5, 5), IGNORE, np.uint8)
    scores = summarise(count_image(np.zeros_like(truth), truth, 2, [1]), ["a", "b"], [1])
    assert scores["miou"] == {"all": None, "target": None}
    assert scores["pixel_accuracy"] is None
    assert scores["absent"] == ["a", "b"]


def test_what_cannot_be_counted_is_refused():
    truth = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="differ in shape"):
        count_image(truth[1:], truth, 2, [1])
    with pytest.raises(ValueError, match="class index 7"):
        count_image(truth, np.full_like(truth, 7), 2, [1])
    with pytest.raises(ValueError, match="answer index 255"):
        count_image(np.full_like(truth, 255), truth, 2, [1])
    with pytest.raises(ValueError, match="shapes"):
        count_image(truth, truth, 2, [1]) + count_image(truth, truth, 3, [1])
