import colorsys
import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage

from frugalseg.augment import colour
from frugalseg.augment.config import AugmentConfig

PLAIN = AugmentConfig(side=12, size=8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 5, side: int = 12, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=seeded(9))


def test_hue_is_that_of_the_standard_library() -> None:
    image = noise(2, 4)
    image[0, :, 0, 0] = 0.3  # grey has no hue
    turns = torch.tensor([0.1, -0.12])[:, None, None, None]
    made = colour.turn_hue(image, turns)
    for i in range(2):
        for row in range(4):
            for column in range(4):
                h, s, v = colorsys.rgb_to_hsv(*image[i, :, row, column].tolist())
                expected = colorsys.hsv_to_rgb((h + turns[i].item()) % 1, s, v)
                np.testing.assert_allclose(made[i, :, row, column], expected, atol=1e-5)


@pytest.mark.parametrize("which", ["brightness", "contrast", "saturation"])
def test_colours_are_mixed_with_what_they_lose(which: str) -> None:
    settings = dataclasses.replace(PLAIN, **{which: 0.4})
    image = noise(60) * 0.5 + 0.2  # nothing is clamped
    made = colour.jitter(image, seeded(), settings)
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    without = {
        "brightness": torch.zeros(1),
        "contrast": luma.mean((2, 3), keepdim=True),
        "saturation": luma,
    }[which]
    # made = factor * image + (1 - factor) * without
    factor = ((made - without) / (image - without)).flatten(1).median(1).values
    again = factor[:, None, None, None] * (image - without) + without
    torch.testing.assert_close(made, again, atol=1e-4, rtol=0)
    assert 0.6 <= factor.min() < 0.7
    assert 1.3 < factor.max() <= 1.4


def test_grey_images_have_no_colours_to_change() -> None:
    settings = dataclasses.replace(PLAIN, channels=1, saturation=1.0, hue=0.5)
    image = noise(3, channels=1)
    assert torch.equal(colour.jitter(image, seeded(), settings), image)


def test_sobel_is_that_of_scipy_on_grey() -> None:
    image = noise(2)
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1).numpy()
    made = colour.sobel(image).numpy()
    for i in range(2):
        for channel, axis in ((0, 1), (1, 0)):
            expected = -ndimage.sobel(luma[i], axis=axis, mode="constant")
            np.testing.assert_allclose(made[i, channel], expected, atol=1e-5)
