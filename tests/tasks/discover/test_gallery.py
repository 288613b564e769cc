import math

import numpy as np
import pytest

from frugalseg.tasks.discover.gallery import (
    PATCH,
    SIDE,
    ExampleCollector,
    choose_uncertain,
    choose_varied,
    class_paint,
    cut_patch,
    entropy_map,
    heat,
    show,
    surest_place,
)
from frugalseg.tasks.discover.predict import RegionPrediction


def halves(
    share: float, sure: float = 0.9, name: str = "a.jpg", size: int = 40
) -> RegionPrediction:
    """An image whose left is of region 0 and whose right of region 1, answered with `sure`."""
    left = np.arange(size) < round(share * size)
    first = np.where(left, sure, 1 - sure)
    soft = np.broadcast_to(np.stack([first, 1 - first])[:, None], (2, size, size))
    labels = np.broadcast_to(np.where(left, 0, 1), (size, size)).astype(np.uint8)
    pixels = np.dstack([labels * 200] * 3).astype(np.uint8)
    return RegionPrediction(name, labels, pixels, soft.astype(np.float32))


def test_entropy_is_a_share_of_its_greatest() -> None:
    soft = np.array([[1, 0.5, 1 / 3, 0.9], [0, 0.5, 1 / 3, 0.05], [0, 0, 1 / 3, 0.05]])[:, None]
    by_hand = -(0.9 * math.log(0.9) + 0.1 * math.log(0.05)) / math.log(3)
    expected = [0, math.log(2) / math.log(3), 1, by_hand]
    assert entropy_map(soft)[0] == pytest.approx(expected, abs=1e-12)


def test_the_surest_place_lies_in_the_middle_of_the_purest_square() -> None:
    soft = np.full((2, 32, 48), 0.4)
    soft[1, 8:12, 20:24] = 0.8  # exactly the size of the square that is scored
    soft[0] = 1 - soft[1]
    row, column, sure = surest_place(soft, 1)
    assert abs(row * 32 - 10) <= 1
    assert abs(column * 48 - 22) <= 1
    assert sure == pytest.approx(0.8)


def test_a_patch_fades_what_is_outside_and_stays_inside_the_image() -> None:
    image = np.full((80, 120, 3), 100, np.uint8)
    image[:40] = 200
    inside = image[..., 0] == 200
    middle = cut_patch(image, inside, 0.5, 0.5)
    assert middle.shape == (PATCH, PATCH, 3)
    assert (middle[5] == 200).all()
    assert (middle[-5] == round(0.3 * 100 + 0.7 * 250)).all()
    assert (cut_patch(image, inside, 0, 1) == 200).all()


def test_examples_come_with_shares_entropy_and_confidence() -> None:
    examples = ExampleCollector(2, 2)
    examples.add(halves(0.25, 0.9))
    examples.add(halves(1.0, 1.0))
    assert examples.shares == pytest.approx(np.array([[0.25, 0.75], [1, 0]]))
    expected = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    assert examples.entropies == pytest.approx([expected, 0], abs=1e-6)
    first, second = examples.confidence
    assert first == pytest.approx((0.25 * 0.9 + 1) / 1.25)
    assert second == pytest.approx(0.9)


def test_patches_are_of_many_images_the_surest_first() -> None:
    count = 40
    examples = ExampleCollector(3, count)
    for i in range(count):
        two = halves(0.5, 0.6 + 0.4 * (i % 5) / 4, f"{i}.jpg")
        soft = np.concatenate([two.soft, np.zeros_like(two.soft[:1])])
        examples.add(RegionPrediction(two.name, two.labels, two.pixels, soft))
    first, second, empty = examples.patches()
    assert empty == []
    assert examples.confidence[2] is None
    for patches in (first, second):
        # each fifth image is wholly sure, and each eighth of all images has one of them
        assert [patch.sure for patch in patches] == pytest.approx([1.0] * 8)
        assert len({patch.name for patch in patches}) == 8


def test_varied_images_stand_for_groups() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0.9, 0.1, 0], [0, 0.5, 0.5], [0.1, 0.1, 0.8]])
    shares = np.concatenate([middles[[g] * n] for g, n in ((0, 30), (1, 10), (2, 20))])
    shares = shares + rng.normal(0, 0.01, shares.shape)
    chosen = choose_varied(shares, 3)
    assert [int(i >= 30) + int(i >= 40) for i in chosen] == [0, 2, 1]
    assert choose_varied(shares[:2], 8).tolist() == [0, 1]
    assert choose_varied(np.ones((9, 1)), 4).tolist() == [0]
    assert choose_uncertain(np.array([0.1, 0.4, 0.2, 0.3]), 2, [1]).tolist() == [3, 2]


def test_pictures_of_an_image_are_small_and_of_one_size() -> None:
    prediction = halves(0.5, 0.5, size=2 * SIDE)
    colours = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    paint = class_paint([1, -1], colours, 3)
    assert paint.tolist() == [[128] * 3, [255, 0, 0], [128] * 3]
    shown = show(prediction, colours, np.full(prediction.labels.shape, 1, np.uint8), paint)
    assert list(shown.pictures) == ["image", "regions", "masks"]
    assert {picture.shape for picture in shown.pictures.values()} == {(SIDE, SIDE, 3)}
    assert shown.pictures["regions"][0, 0].tolist() == [128, 0, 0]
    assert shown.pictures["masks"][0, -1].tolist() == [228, 100, 100]
    assert shown.entropy == pytest.approx(1)
    assert list(show(prediction, colours, None, paint).pictures) == ["image", "regions"]
    uncertain = show(prediction, colours, None, paint, uncertain=True).pictures["entropy"]
    assert uncertain.shape == (SIDE, SIDE, 3)


def test_heat_is_grey_where_sure_and_bright_where_not() -> None:
    image = np.full((10, 10, 3), 100, np.uint8)
    cold, hot = heat(image, np.zeros((5, 5))), heat(image, np.ones((5, 5)))
    assert (cold == 45).all()
    assert (hot[..., 0] > 200).all()
    assert (hot[..., 2] < 150).all()
