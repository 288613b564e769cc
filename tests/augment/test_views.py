import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from frugalseg.augment.config import PRESETS, AugmentConfig, DenseAugmentConfig
from frugalseg.augment.geometry import warp
from frugalseg.augment.views import (
    changed_view,
    cut_out,
    plain_frame,
    plain_view,
    prediction_view,
    transformed_views,
)

PLAIN = AugmentConfig(side=12, size=8, crops=(8,), plain_crops=(8,), test_crop=8)


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
    made = plain_view(image.expand(400, -1, -1, -1), seeded(), PLAIN)
    pieces = torch.stack(slices(image[0], 8))
    which = (made.flatten(1)[:, None] - pieces.flatten(1)).abs().amax(-1).min(1)
    assert which.values.max() < 1e-5
    assert which.indices.bincount(minlength=25).min() >= 4  # 16 expected of each


def test_a_share_of_plain_views_is_centred() -> None:
    settings = dataclasses.replace(PLAIN, plain_centre=0.5)
    image = noise(1)
    made = plain_view(image.expand(400, -1, -1, -1), seeded(), settings)
    centred = (made - image[:, :, 2:10, 2:10]).abs().amax((1, 2, 3)) < 1e-5
    assert centred.float().mean().item() == pytest.approx(0.5 + 0.5 / 25, abs=0.08)


@pytest.mark.parametrize(("crop", "size"), [(20, 24), (20, 32), (24, 18)])
def test_the_view_for_predictions_is_the_enlarged_centre(crop: int, size: int) -> None:
    settings = AugmentConfig(side=28, size=size, test_crop=crop)
    image, at = noise(2, 28), (28 - crop) // 2
    cropped = image[:, :, at : at + crop, at : at + crop]
    expected = functional.interpolate(cropped, size=size, mode="bilinear", align_corners=False)
    made = prediction_view(image, settings)
    torch.testing.assert_close(made[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


def test_a_whole_image_has_no_dark_frame_and_a_larger_crop_a_black_one() -> None:
    image = torch.ones(3, 1, 12, 12)
    assert (prediction_view(image, AugmentConfig(side=12, size=30, channels=1)) > 0.999).all()
    settings = AugmentConfig(side=12, size=18, channels=1, crops=(18,))
    made = transformed_views(image, 1, seeded(), settings)
    torch.testing.assert_close(made.sum((1, 2, 3)), torch.full((3,), 144.0))
    mirrored = dataclasses.replace(settings, outside="reflection")
    assert (transformed_views(image, 1, seeded(), mirrored) > 0.999).all()


def test_views_of_an_image_come_one_after_the_other_and_differ() -> None:
    settings = dataclasses.replace(PLAIN, flip=0.5)
    image = noise(4)
    made = transformed_views(image, 3, seeded(), settings).unflatten(0, (3, 4))
    for r in range(3):
        for i in range(4):
            pieces = slices(image[i], 8)
            pieces += [piece.flip(-1) for piece in pieces]
            assert min((made[r, i] - piece).abs().max().item() for piece in pieces) < 1e-5
    assert (made[0] - made[1]).abs().max() > 0.1


def test_cut_out_takes_whole_squares_of_some_images() -> None:
    settings = AugmentConfig(side=20, size=20, cut=0.5, cut_side=(0.2, 0.7))
    made = cut_out(torch.ones(300, 3, 20, 20), seeded(), settings)
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
    plain = plain_view(images, seeded(), settings)
    several = transformed_views(images, 2, seeded(), settings)
    answer = prediction_view(images, settings)
    assert plain.shape == answer.shape == (3, *shape)
    assert several.shape == (6, *shape)
    assert all(v.isfinite().all() and v.dtype == torch.float32 for v in (plain, several, answer))
    again = transformed_views(images.float() / 255, 2, seeded(), settings)
    torch.testing.assert_close(several, again)
    other = transformed_views(images, 2, seeded(1), settings)
    assert (several - other).abs().max() > 0.01


def test_grey_and_coloured_images_fit_either_setting() -> None:
    colour, single = noise(2), noise(2, channels=1)
    one = dataclasses.replace(PLAIN, channels=1)
    assert prediction_view(colour, one).shape == (2, 1, 8, 8)
    assert prediction_view(single, PLAIN).shape == (2, 3, 8, 8)
    beside = dataclasses.replace(PLAIN, sobel="beside")
    made = prediction_view(colour, beside)
    assert made.shape[1] == beside.out_channels == 5
    torch.testing.assert_close(made[:, :3], colour[:, :, 2:10, 2:10])


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="not \\(N, 1 or 3, 12, 12\\)"):
        prediction_view(noise(1, 10), PLAIN)


def test_the_view_for_predictions_at_another_place_is_the_crop_there() -> None:
    image = noise(2)
    torch.testing.assert_close(prediction_view(image, PLAIN, (-1, 1)), image[:, :, :8, 4:])
    flipped = prediction_view(image, PLAIN, (1, 0), flip=True)
    torch.testing.assert_close(flipped, image[:, :, 4:, 2:10].flip(-1))


def test_what_networks_see() -> None:
    images = torch.rand(2, 4, 8, 8, generator=seeded())
    for channels, count in (("rgb", 3), ("sobel", 2), ("rgb+sobel", 5)):
        settings = DenseAugmentConfig(channels=channels)
        frame = plain_frame(images[:, :3], settings)
        assert frame.shape == (2, settings.out_channels, 8, 8) == (2, count, 8, 8)
    view, geometry = changed_view(images, seeded(), DenseAugmentConfig(channels="rgbi"))
    assert torch.equal(warp(view, geometry.inverse)[:, 3], images[:, 3])  # infrared stays
    assert not torch.equal(warp(view, geometry.inverse)[:, :3], images[:, :3])
