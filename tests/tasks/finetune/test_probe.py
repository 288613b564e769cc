import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from frugalseg.tasks.finetune.probe import (
    choose_method,
    cross_validate,
    fit_classifier,
    fit_probe,
    label_places,
    learn,
    name_groups,
)


def planted(count: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of unlike scales around a centre for each class, and the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    features = np.eye(classes)[labels] * 4 + rng.normal(0, 1, (count, classes))
    return (features * [1, 10, 0.1][:classes] + 5).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probe_is_logistic_regression_on_standardised_features(classes: int) -> None:
    features, labels = planted(1500, classes)
    weight, bias = fit_probe(features, labels, classes)
    scores = features @ weight.T + bias
    found = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=0.01, tol=1e-6).fit(scaler.transform(features), labels)
    expected = model.predict_proba(scaler.transform(features))
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_classes_that_were_not_learned_are_never_answered() -> None:
    features, labels = planted(60)
    kept = labels != 1
    soft = np.full((60, 2), 0.5, np.float32)
    for method in ("probe", "groups", "both"):
        model = fit_classifier(features[kept], soft[kept], labels[kept], 3, method)
        answers = model.probabilities(features, soft)
        np.testing.assert_allclose(answers.sum(1), 1, rtol=1e-5)
        assert not answers[:, 1].any()


def test_groups_are_named_by_shares_and_empty_ones_by_all_items() -> None:
    soft = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    names = name_groups(soft, np.array([0, 0, 1]), 2)
    np.testing.assert_allclose(names, [[8 / 9, 1 / 9], [1 / 3, 2 / 3], [2 / 3, 1 / 3]], rtol=1e-6)


def test_rare_classes_count_more_if_balanced() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(3000) < 0.05).astype(int)
    features = (labels[:, None] + rng.normal(0, 1, (3000, 1))).astype(np.float32)
    soft = np.ones((3000, 1), np.float32)
    answered = [
        fit_classifier(features, soft, labels, 2, "probe", balanced)
        .probabilities(features, soft)
        .argmax(1)
        .mean()
        for balanced in (False, True)
    ]
    assert answered[0] < 0.05 < 0.2 < answered[1]


def test_cross_validation_finds_what_tells_the_classes_apart() -> None:
    features, labels = planted(120)
    images = np.repeat(np.arange(6), 20)
    noise = np.random.default_rng(1).normal(size=features.shape).astype(np.float32)
    told, silent = np.eye(3, dtype=np.float32)[labels], np.full((120, 3), 1 / 3, np.float32)
    _, method, scores = learn(noise, told, labels, images, 3)
    assert method == "groups"
    assert scores["groups"] == 1 > scores["probe"]
    _, method, scores = learn(features, silent, labels, images, 3)
    assert method in ("probe", "both")
    assert scores["probe"] > 0.9 > 0.6 > scores["groups"]
    _, method, scores = learn(features, silent, labels, images // 2, 3)  # three images
    assert (method, scores) == ("both", {})


def test_a_class_in_one_image_alone_and_images_of_one_class() -> None:
    features, labels = planted(40, 2)
    soft = np.ones((40, 1), np.float32)
    images = np.repeat(np.arange(4), 10)
    lone = np.where(images == 2, labels, 0)
    shares = cross_validate(features, soft, lone, images, 2, ("probe", "groups"))
    assert shares["groups"].tolist() == [1, 1, 1]  # without image 2 nothing is told apart
    apart = (images > 1).astype(int)
    assert len(cross_validate(features, soft, apart, images, 2, ("probe",))["probe"]) == 4
    two = images // 2
    assert len(cross_validate(features, soft, apart, two, 2, ("probe",))["probe"]) == 0
    assert learn(features, soft, lone, images // 2, 2)[1:] == ("both", {})


def test_a_small_or_uncertain_lead_is_chance() -> None:
    rule = np.array([0.5, 0.6, 0.4, 0.7])
    assert choose_method({"both": rule, "probe": rule + 0.1}, "both") == "probe"
    uncertain = rule + np.array([0.5, -0.1, -0.2, 0])
    assert choose_method({"both": rule, "probe": uncertain}, "both") == "both"
    assert choose_method({"both": rule, "probe": rule.copy()}, "both") == "both"


def test_places_have_the_class_of_most_labelled_pixels() -> None:
    mask = np.full((8, 12), 255, np.uint8)
    mask[:4, :4] = 1
    mask[:4, 4:8] = [[0, 0, 0, 2]] * 4
    mask[7, 11] = 2  # a point
    assert label_places(mask, (2, 3), 3).tolist() == [[1, 0, 255], [255, 255, 2]]
    # 2.5 places high: the last row of places is half as high
    tall = np.repeat(np.arange(5, dtype=np.uint8), 2)[:, None] * np.ones((1, 4), np.uint8)
    assert label_places(tall, (2.5, 1), 5).tolist() == [[0], [2], [4]]
