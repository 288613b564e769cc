import dataclasses

import pytest

from frugalseg.augment.config import (
    PRESETS,
    AugmentConfig,
    BaseAugmentConfig,
    DenseAugmentConfig,
    with_augment_options,
)
from frugalseg.errors import FrugalsegError

PLAIN = AugmentConfig(side=12, size=8)
DENSE = DenseAugmentConfig()


@pytest.mark.parametrize(
    ("views", "wrong", "says"),
    [
        (
            PLAIN,
            {"sobel": "some"},
            "sobel of views is 'some': .* one of none, only, beside",
        ),
        (PLAIN, {"cut_side": (0.7, 0.2)}, "cut_side .* two numbers between 0 and 1, the smaller"),
        (PLAIN, {"channels": 2}, "channels of views is 2: it must be one of 1, 3"),
        (PLAIN, {"crops": (8, 0)}, "crops of views is \\(8, 0\\): it must be .*between 1"),
        (DENSE, {"channels": "grey"}, "channels .* one of rgb, sobel"),
        *((views, {"hue": 0.7}, "hue of views is 0.7: .* 0.5") for views in (PLAIN, DENSE)),
        *((views, {"flip": 2}, "flip of views is 2") for views in (PLAIN, DENSE)),
        *((views, {"scale": (0, 1)}, "scale of views") for views in (PLAIN, DENSE)),
        *((views, {"shear": 90}, "shear of views is 90") for views in (PLAIN, DENSE)),
    ],
)
def test_settings_out_of_range_are_named(
    views: BaseAugmentConfig, wrong: dict[str, object], says: str
) -> None:
    with pytest.raises(FrugalsegError, match=says):
        dataclasses.replace(views, **wrong)  # type: ignore[arg-type]


def test_lists_of_yaml_become_tuples() -> None:
    views = with_augment_options(PRESETS["mnist"], {"crops": [16, 20], "scale": [0.9, 1.0]})
    assert (views.crops, views.scale, views.plain_crops) == ((16, 20), (0.9, 1.0), (20,))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rotatoin": 3}, "no setting 'rotatoin' \\(did you mean 'rotation'"),
        ({"channels": "rgb"}, "no setting 'channels'"),
        ({"rotation": 200}, "rotation of views is 200: it must be .*between 0 and 180"),
        ({"rotation": "much"}, "--augment-options cannot be used"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, object], says: str) -> None:
    with pytest.raises(FrugalsegError, match=says):
        with_augment_options(DENSE, options, fixed={"channels"})


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(FrugalsegError, match="did you mean 'mnist'"):
        PRESETS.find("mnits")
