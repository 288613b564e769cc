"""Classifiers of features and of soft assignments to groups, learned from few labels, on arrays.

A probe is a linear classifier on standardised features (logistic regression). Naming gives each
group, found without labels, the classes of the labelled items in it. Both give probabilities, and
their mean, by a share that grows with the number of items, is the third method. Which of them
answers best is found by cross-validation.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

STRENGTH = 0.01  # inverse weight of the penalty on a probe's weights, for standardised features
FEW = 1000  # items, below which the penalty weighs in proportion
# labelled places, or images, from which the probe has half of the answer of "both"
HALFWAY_PLACES = 20
HALFWAY_IMAGES = 50
METHODS = ("probe", "groups", "both")
RULE = "both"  # the method for fewer images than cross-validation needs
ENOUGH = 4  # labelled images from which cross-validation chooses
FOLDS = 5
IGNORED = 255


@dataclass(frozen=True)
class Classifier:
    """Class probabilities of features and soft assignments.

    Attributes:
        weight: (C, F) of the features as they are.
        bias: (C,), -1e4 for a class that was not learned.
        names: (K, C) probability of each class in each group.
        share: of the probe in the answer; that of the groups is the rest.
    """

    weight: Floats
    bias: Floats
    names: Floats
    share: float

    def probabilities(self, features: Floats, soft: Floats) -> Floats:
        """Probabilities (N, C) of features (N, F) and soft assignments (N, K)."""
        scores = features @ self.weight.T + self.bias
        scores = np.exp(scores - scores.max(1, keepdims=True))
        probed = scores / scores.sum(1, keepdims=True)
        answers: Floats = self.share * probed + (1 - self.share) * (soft @ self.names)
        return answers


def probe_share(method: str, items: int, halfway: int) -> float:
    """The share of the probe in the answers of a method that learns from so many items."""
    return {"probe": 1.0, "groups": 0.0}.get(method, items / (items + halfway))


def learn(
    features: Floats,
    soft: Floats,
    labels: Indices,
    images: Indices,
    classes: int,
    method: str = "auto",
    balanced: bool = False,
    seed: int = 0,
    halfway: int = HALFWAY_PLACES,
) -> tuple[Classifier, str, dict[str, float]]:
    """Choose the method by cross-validation over images, if there are four or more, and learn.

    Args:
        features, soft, labels, classes, balanced, halfway: as of :func:`fit_classifier`.
        images: (N,) the image of each item.
        method: one of :data:`METHODS`, or auto: "both", unless cross-validation over four images or
            more says clearly that another is better.
        seed: of the cross-validation.

    Returns:
        The classifier, its method, and the scores of all methods, if they were compared.
    """
    scores: dict[str, float] = {}
    chosen = RULE if method == "auto" else method
    if method == "auto" and len(np.unique(images)) >= ENOUGH:
        items = (features, soft, labels, images, classes)
        shares = cross_validate(*items, METHODS, balanced, seed, halfway)
        if len(shares[RULE]) > 1:
            chosen = choose_method(shares, RULE)
            scores = {name: float(each.mean()) for name, each in shares.items()}
    classifier = fit_classifier(features, soft, labels, classes, chosen, balanced, halfway)
    return classifier, chosen, scores


def fit_classifier(
    features: Floats,
    soft: Floats,
    labels: Indices,
    classes: int,
    method: str,
    balanced: bool = False,
    halfway: int = HALFWAY_PLACES,
) -> Classifier:
    """Learn a classifier from labelled items.

    Args:
        features: (N, F).
        soft: (N, K) assignments to groups, summing to 1 over K.
        labels: (N,) class indices, of two classes or more.
        classes: C, of which some may have no item.
        method: "probe", "groups" or "both".
        balanced: whether classes count alike in the probe.
        halfway: number of items from which the probe has half of the answer of "both".
    """
    weight = np.zeros((classes, features.shape[1]), np.float32)
    bias = np.zeros(classes, np.float32)
    share = probe_share(method, len(labels), halfway)
    if share:
        weight, bias = fit_probe(features, labels, classes, balanced)
    return Classifier(weight, bias, name_groups(soft, labels, classes), share)


def fit_probe(
    features: Floats, labels: Indices, classes: int, balanced: bool = False
) -> tuple[Floats, Floats]:
    """Logistic regression on standardised features, as weights of the features as they are.

    Args:
        features: (N, F).
        labels: (N,) class indices, of two classes or more.
        classes: C.
        balanced: whether classes count alike.

    Returns:
        (C, F) and (C,), whose softmax gives probabilities; the bias of a class without an item is
        -1e4, so that its probability is 0.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    spread = np.where(spread > 1e-6, spread, 1)
    standard = ((features - centre) / spread).astype(np.float32)
    weighting = "balanced" if balanced else None
    strength = min(1.0, STRENGTH * max(1.0, FEW / len(labels)))
    model = LogisticRegression(C=strength, class_weight=weighting, max_iter=200, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough
        model.fit(standard, labels)
    learned, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # one row, for the second class
        learned, bias = np.concatenate([0 * learned, learned]), np.append(0 * bias, bias)
    weight, offset = np.zeros((classes, features.shape[1])), np.full(classes, -1e4)
    weight[model.classes_] = learned / spread
    offset[model.classes_] = bias - (learned / spread) @ centre
    return weight.astype(np.float32), offset.astype(np.float32)


def name_groups(soft: Floats, labels: Indices, classes: int) -> Floats:
    """The probability of each class in each group.

    Args:
        soft: (N, K) assignments of labelled items, summing to 1 over K.
        labels: (N,) class indices.
        classes: C.

    Returns:
        (K, C), summing to 1 over C: shares of the items in a group, with those of all items added
        as one more item, which alone speak for a group without one.
    """
    counts = np.zeros((soft.shape[1], classes))
    for label in np.unique(labels):
        counts[:, label] = soft[labels == label].sum(0, dtype=np.float64)
    counts += counts.sum(0) / counts.sum()
    names: Floats = (counts / counts.sum(1, keepdims=True)).astype(np.float32)
    return names


def cross_validate(
    features: Floats,
    soft: Floats,
    labels: Indices,
    images: Indices,
    classes: int,
    methods: Sequence[str],
    balanced: bool = False,
    seed: int = 0,
    halfway: int = HALFWAY_PLACES,
) -> dict[str, NDArray[np.float64]]:
    """The share of items that each method gets right in images that it has not learned from.

    Args:
        features, soft, labels, classes, balanced, halfway: as of :func:`fit_classifier`.
        images: (N,) the image of each item, two different ones or more.
        methods: to compare.
        seed: of the division into five parts, or as many as there are images.

    Returns:
        For each method the share in each image, 0 to 1; if `balanced`, of items that are weighted
        so that all classes count alike. Images are left out if there is but one class without them.
    """
    numbers = np.random.default_rng((seed, 6)).permutation(np.unique(images))
    weights = np.ones(len(labels))
    if balanced:
        weights /= np.bincount(labels, minlength=classes)[labels]
    shares: dict[str, list[float]] = {method: [] for method in methods}
    for part in np.array_split(numbers, min(FOLDS, len(numbers))):
        held = np.isin(images, part)
        if len(np.unique(labels[~held])) < 2:
            continue
        count = int((~held).sum())
        model = fit_classifier(
            features[~held], soft[~held], labels[~held], classes, "both", balanced
        )
        for method in methods:
            model = replace(model, share=probe_share(method, count, halfway))
            right = model.probabilities(features[held], soft[held]).argmax(1) == labels[held]
            for image in part:
                own = images[held] == image
                shares[method].append(float(np.average(right[own], weights=weights[held][own])))
    return {method: np.array(each) for method, each in shares.items()}


def choose_method(shares: Mapping[str, NDArray[np.float64]], rule: str) -> str:
    """The method with the best mean, if it is clearly above that of `rule`; else `rule`.

    Args:
        shares: of each method in each image, as of :func:`cross_validate`.
        rule: the method that is usually the best, one of those compared.

    Returns:
        The best method if its mean lead over `rule` is more than two standard errors.
    """
    best = max(shares, key=lambda method: float(shares[method].mean()))
    lead = shares[best] - shares[rule]
    error = lead.std(ddof=1) / math.sqrt(len(lead))
    return best if lead.mean() > 2 * error else rule


def choice_in_words(method: str, scores: Mapping[str, float]) -> str:
    """What was chosen, and the cross-validated scores if there are any."""
    judged = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
    why = f"right in cross-validation over images: {judged}" if scores else "not cross-validated"
    return f"Learned by {method!r} ({why})"


def label_places(
    mask: NDArray[np.uint8], extent: tuple[float, float], classes: int
) -> NDArray[np.uint8]:
    """The class of most labelled pixels at each place of a smaller map.

    Args:
        mask: (H, W) class indices, 255 where nothing is said.
        extent: height and width of the image in places, which need not be whole.
        classes: number of classes.

    Returns:
        (h, w), the extent rounded up; 255 at places without a labelled pixel. A single labelled
        pixel decides a place.
    """
    rows, columns = (
        ((np.arange(length) + 0.5) * places / length).astype(np.int64)
        for length, places in zip(mask.shape, extent, strict=True)
    )
    shape = math.ceil(extent[0]), math.ceil(extent[1])
    places = rows[:, None] * shape[1] + columns
    known = mask != IGNORED
    index = places[known] * classes + mask[known]
    counts = np.bincount(index, minlength=shape[0] * shape[1] * classes).reshape(-1, classes)
    labels = np.where(counts.any(1), counts.argmax(1), IGNORED)
    return labels.reshape(shape).astype(np.uint8)
