import colorsys
import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional

from frugalseg.training import view_colours, views
from frugalseg.training.views import PRESETS, Views

PLAIN = Views(side=12, size=8, crops=(8,), plain_crops=(8,), test_crop=8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int = 5, side: int = 12, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=seeded(9))


def slices(image: torch.Tensor, size: int) -> list[torch.Tensor]:
    """All crops of an image that need no interpolation."""
    room = image.shape[-1] - size + 1
    return [image[:, i : i + size, j : j + size] for i in range(room) for j in range(room)]


def test_plain_views_are_crops_anywhere() -> None:
    image = noise(1)
    made = views.plain_view(image.expand(400, -1, -1, -1), seeded(), PLAIN)
    pieces = torch.stack(slices(image[0], 8))
    which = (made.flatten(1)[:, None] - pieces.flatten(1)).abs().amax(-1).min(1)
    assert which.values.max() < 1e-5
    assert which.indices.bincount(minlength=25).min() >= 4  # 16 expected of each


def test_a_share_of_plain_views_is_centred() -> None:
    settings = dataclasses.replace(PLAIN, plain_centre=0.5)
    image = noise(1)
    made = views.plain_view(image.expand(400, -1, -1, -1), seeded(), settings)
    centred = (made - image[:, :, 2:10, 2:10]).abs().amax((1, 2, 3)) < 1e-5
    assert centred.float().mean().item() == pytest.approx(0.5 + 0.5 / 25, abs=0.08)


@pytest.mark.parametrize(("crop", "size"), [(20, 24), (20, 32), (24, 18)])
def test_the_test_view_is_the_enlarged_centre(crop: int, size: int) -> None:
    settings = Views(side=28, size=size, test_crop=crop)
    image, at = noise(2, 28), (28 - crop) // 2
    cropped = image[:, :, at : at + crop, at : at + crop]
    expected = functional.interpolate(cropped, size=size, mode="bilinear", align_corners=False)
    made = views.test_view(image, settings)
    torch.testing.assert_close(made[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_a_whole_image_has_no_dark_frame_and_a_larger_crop_a_black_one() -> None:
    image = torch.ones(3, 1, 12, 12)
    assert (views.test_view(image, Views(side=12, size=30, channels=1)) > 0.999).all()
    settings = Views(side=12, size=18, channels=1, crops=(18,))
    made = views.transformed_views(image, 1, seeded(), settings)
    torch.testing.assert_close(made.sum((1, 2, 3)), torch.full((3,), 144.0))
    mirrored = dataclasses.replace(settings, outside="reflection")
    assert (views.transformed_views(image, 1, seeded(), mirrored) > 0.999).all()


def test_copies_come_one_after_the_other_and_differ() -> None:
    settings = dataclasses.replace(PLAIN, flip=0.5)
    image = noise(4)
    made = views.transformed_views(image, 3, seeded(), settings).unflatten(0, (3, 4))
    for r in range(3):
        for i in range(4):
            pieces = slices(image[i], 8)
            pieces += [piece.flip(-1) for piece in pieces]
            assert min((made[r, i] - piece).abs().max().item() for piece in pieces) < 1e-5
    assert (made[0] - made[1]).abs().max() > 0.1


@pytest.mark.parametrize("angle", [-33.0, 20.0, 90.0])
def test_rotation_is_about_the_centre_of_the_image(angle: float) -> None:
    settings = Views(side=15, size=15, channels=1)
    image = noise(1, 15, 1)
    none = torch.zeros(1, 2)
    crops = torch.tensor([15.0])
    made = views._sample(image, crops, none, settings, torch.tensor([angle]))[0, 0].numpy()
    slow = ndimage.rotate(image[0, 0].numpy(), angle, reshape=False, order=1)
    at = np.hypot(*(np.mgrid[:15, :15] - 7)) < 6
    assert np.abs(made - slow)[at].max() < 1e-4


def test_a_sheared_scaled_and_moved_place_lands_where_the_matrix_says() -> None:
    settings = Views(side=40, size=20, channels=1)
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    ramps = torch.stack([columns / 40, rows / 40])[:, None]
    crop, shift = torch.full((2,), 16.0), torch.tensor([[3.0, -5.0]] * 2)
    angle, shear = torch.full((2,), 20.0), torch.full((2,), 10.0)
    flipped = torch.tensor([True, True])
    made = views._sample(ramps, crop, shift, settings, angle, shear, flipped) * 40
    a, s = np.radians(20), np.tan(np.radians(10))
    for row, column in ((0, 0), (4, 17), (19, 10)):
        x, y = (np.array([column, row]) + 0.5) / 20 * 16 - 8
        x, y = -x - 5, y + 3  # flipped, and moved to the crop's place
        x = x + s * y
        x, y = np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y
        expected = np.array([x, y]) + 20 - 0.5  # from corners to centres of pixels
        np.testing.assert_allclose(made[:, 0, row, column], expected, atol=1e-3)


def test_hue_is_that_of_the_standard_library() -> None:
    image = noise(2, 4)
    image[0, :, 0, 0] = 0.3  # grey has no hue
    turns = torch.tensor([0.1, -0.12])[:, None, None, None]
    made = view_colours.turn_hue(image, turns)
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
    made = view_colours.jitter(image, seeded(), settings)
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
    assert torch.equal(view_colours.jitter(image, seeded(), settings), image)


def test_sobel_is_that_of_scipy_on_grey() -> None:
    image = noise(2)
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1).numpy()
    made = view_colours.sobel(image).numpy()
    for i in range(2):
        for channel, axis in ((0, 1), (1, 0)):
            expected = -ndimage.sobel(luma[i], axis=axis, mode="constant")
            np.testing.assert_allclose(made[i, channel], expected, atol=1e-5)


def test_cut_out_takes_whole_squares_of_some_images() -> None:
    settings = Views(side=20, size=20, cut=0.5, cut_side=(0.2, 0.7))
    made = views.cut_out(torch.ones(300, 3, 20, 20), seeded(), settings)
    sides = []
    for image in made:
        black = image[0] == 0
        rows, columns = black.any(1).sum().item(), black.any(0).sum().item()
        assert rows == columns
        assert black.sum() == rows * columns
        sides.append(rows)
    assert np.mean(np.array(sides) > 0) == pytest.approx(0.5, abs=0.1)
    assert {min(s for s in sides if s), max(sides)} == {4, 14}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_views_of_their_shape(name: str) -> None:
    settings = PRESETS[name]
    images = (noise(3, settings.side) * 255).to(torch.uint8)
    shape = (settings.out_channels, settings.size, settings.size)
    plain = views.plain_view(images, seeded(), settings)
    several = views.transformed_views(images, 2, seeded(), settings)
    answer = views.test_view(images, settings)
    assert plain.shape == answer.shape == (3, *shape)
    assert several.shape == (6, *shape)
    assert all(v.isfinite().all() and v.dtype == torch.float32 for v in (plain, several, answer))
    again = views.transformed_views(images.float() / 255, 2, seeded(), settings)
    torch.testing.assert_close(several, again)
    other = views.transformed_views(images, 2, seeded(1), settings)
    assert (several - other).abs().max() > 0.01


def test_grey_and_coloured_images_fit_either_setting() -> None:
    colour, single = noise(2), noise(2, channels=1)
    one = dataclasses.replace(PLAIN, channels=1)
    assert views.test_view(colour, one).shape == (2, 1, 8, 8)
    assert views.test_view(single, PLAIN).shape == (2, 3, 8, 8)
    beside = dataclasses.replace(PLAIN, sobel="beside")
    made = views.test_view(colour, beside)
    assert made.shape[1] == beside.out_channels == 5
    torch.testing.assert_close(made[:, :3], colour[:, :, 2:10, 2:10])


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="not \\(N, 1 or 3, 12, 12\\)"):
        views.test_view(noise(1, 10), PLAIN)
    for wrong in ({"sobel": "some"}, {"hue": 0.7}, {"cut_side": (0.7, 0.2)}, {"channels": 2}):
        with pytest.raises(ValueError, match="out of range"):
            dataclasses.replace(PLAIN, **wrong)
