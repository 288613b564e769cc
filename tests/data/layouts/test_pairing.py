import random

import pytest

from frugalseg.data.layouts.pairing import Pairing, label_of, pair_names


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}_sat", "{}_mask"),
        ("{}", "gt_{}"),
        ("{}", "{}_L"),
        ("img-{}-rgb", "lab-{}"),
        ("city/{}_leftImg8bit", "city/{}_gtFine_labelIds"),
        ("x_image_{}", "x_image_mask_{}"),
    ],
)
@pytest.mark.parametrize("cores", [["1", "10", "100", "11", "2"], ["a1_7", "a1_8", "b2_7"]])
def test_constant_parts_are_found(image: str, mask: str, cores: list[str]) -> None:
    images, masks = ([pattern.format(core) for core in cores] for pattern in (image, mask))
    shuffled = random.Random(0).sample(masks, len(masks))
    pairing = pair_names(images, shuffled)
    assert pairing.masks == dict(zip(images, masks, strict=True))
    assert pairing.example in pairing.masks.items()


def test_fewer_masks_than_images_or_more() -> None:
    images = [f"{i}_sat" for i in range(9)]
    few = pair_names(images, ["3_mask", "7_mask"])
    assert few.masks == {"3_sat": "3_mask", "7_sat": "7_mask"}
    more = pair_names(images[:3], [f"{i}_mask" for i in range(9)] + ["readme"])
    assert more.masks == {f"{i}_sat": f"{i}_mask" for i in range(3)}
    assert "5_mask".startswith(more.affixes[0])
    assert "5_mask".endswith(more.affixes[1])
    assert not "readme".endswith(more.affixes[1])


def test_a_single_pair_needs_a_word_for_masks() -> None:
    assert pair_names(["x_image"], ["x_mask"]).masks == {"x_image": "x_mask"}
    assert pair_names(["a", "b"], ["gt_b"]).masks == {"b": "gt_b"}


def test_equal_names_come_first() -> None:
    assert pair_names(["a", "b"], ["a", "b_mask", "a_mask"]) == Pairing({"a": "a"})


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["s0", "s1", "s2"], ["q3", "q10", "q17"]),
        (["1", "2"], ["11", "12"]),  # other numbers, not marks
        (["dog", "cat"], ["dog_mask", "cat_label"]),
        (["a/x", "b/y"], ["a/y_m", "b/x_m"]),
        (["x_image"], ["x_other"]),  # one pair shows nothing
        ([], ["x"]),
    ],
)
def test_other_names_are_not_paired(images: list[str], masks: list[str]) -> None:
    assert pair_names(images, masks).masks == {}


def test_several_masks_of_an_image() -> None:
    images = ["a_leftImg8bit", "b_leftImg8bit"]
    kinds = ["labelIds", "color", "instanceIds"]
    masks = [f"{core}_gtFine_{kind}" for core in "ab" for kind in kinds]
    assert pair_names(images, masks).masks == {
        f"{core}_leftImg8bit": f"{core}_gtFine_labelIds" for core in "ab"
    }
    unclear = pair_names(["a", "b"], ["a_old", "a_new", "b_old", "b_new"])
    assert unclear.masks == {}
    assert unclear.rivals == ("a_new", "a_old")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("7_mask", "7"),
        ("x_gtFine_labelIds", "x"),
        ("gt_0001", "0001"),
        ("a-seg_masks", "a-seg"),
        ("girl_with_masks_on", None),
        ("mask", None),
        ("colour", None),
    ],
)
def test_names_that_say_labels(name: str, image: str | None) -> None:
    assert label_of(name) == image
