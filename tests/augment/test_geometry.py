import numpy as np
import pytest
import torch
from scipy import ndimage

from frugalseg.augment.config import AugmentConfig, DenseAugmentConfig
from frugalseg.augment.geometry import inside, warp
from frugalseg.augment.views import _sample, changed_view, draw_affine

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose colours are the places of their pixels, 0 to 1, and 0."""
    rows = torch.linspace(0, 1, height)[:, None].expand(height, width)
    columns = torch.linspace(0, 1, width).expand(height, width)
    return torch.stack([rows, columns, torch.zeros(height, width)]).expand(count, 3, -1, -1)


@pytest.mark.parametrize("angle", [-33.0, 20.0, 90.0])
def test_rotation_is_about_the_centre_of_the_image(angle: float) -> None:
    settings = AugmentConfig(side=15, size=15, channels=1)
    image = torch.rand(1, 1, 15, 15, generator=seeded(9))
    none = torch.zeros(1, 2)
    crops = torch.tensor([15.0])
    made = _sample(image, crops, none, settings, torch.tensor([angle]))[0, 0].numpy()
    slow = ndimage.rotate(image[0, 0].numpy(), angle, reshape=False, order=1)
    at = np.hypot(*(np.mgrid[:15, :15] - 7)) < 6
    assert np.abs(made - slow)[at].max() < 1e-4


def test_a_sheared_scaled_and_moved_place_lands_where_the_matrix_says() -> None:
    settings = AugmentConfig(side=40, size=20, channels=1)
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    ramps = torch.stack([columns / 40, rows / 40])[:, None]
    crop, shift = torch.full((2,), 16.0), torch.tensor([[3.0, -5.0]] * 2)
    angle, shear = torch.full((2,), 20.0), torch.full((2,), 10.0)
    flipped = torch.tensor([True, True])
    made = _sample(ramps, crop, shift, settings, angle, shear, flipped) * 40
    a, s = np.radians(20), np.tan(np.radians(10))
    for row, column in ((0, 0), (4, 17), (19, 10)):
        x, y = (np.array([column, row]) + 0.5) / 20 * 16 - 8
        x, y = -x - 5, y + 3  # flipped, and moved to the crop's place
        x = x + s * y
        x, y = np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y
        expected = np.array([x, y]) + 20 - 0.5  # from corners to centres of pixels
        np.testing.assert_allclose(made[:, 0, row, column], expected, atol=1e-3)


def test_flips_are_undone_exactly() -> None:
    images = torch.rand(8, 3, 6, 10, generator=seeded())
    settings = DenseAugmentConfig(**STILL)
    view, geometry = changed_view(images, seeded(), settings)
    flipped = [bool(torch.equal(v, i.flip(-1))) for v, i in zip(view, images, strict=True)]
    assert 0 < sum(flipped) < 8  # each image has a change of its own
    assert torch.equal(warp(view, geometry.inverse), images)
    assert inside(geometry.inverse, view).all()


@pytest.mark.parametrize("size", [(40, 40), (30, 60)])
def test_places_come_back_where_the_view_holds_them(size: tuple[int, int]) -> None:
    images = places(16, *size)
    settings = DenseAugmentConfig(rotation=30, shear=10, scale=(0.8, 1.2), **STILL)
    view, geometry = changed_view(images, seeded(1), settings)
    back = geometry.inverse
    valid = inside(back, view)
    error = (warp(view, back) - images).abs().amax(1)
    # the border's last values are repeated: the outermost half pixel of a view is not linear
    assert float(error[valid].quantile(0.98)) < 0.03
    assert 0.5 < float(valid.float().mean()) < 1
    assert float((view - images).abs().max()) > 0.2


def test_a_geometry_and_its_inverse_are_one_another() -> None:
    settings = DenseAugmentConfig(rotation=45, shear=20, scale=(0.5, 2.0))
    geometry = draw_affine(9, (20, 30), seeded(), settings)
    ones = torch.eye(3).expand(9, 3, 3)
    bottom = ones[:, 2:]
    there = torch.cat([geometry.theta, bottom], 1)
    back = torch.cat([geometry.inverse.theta, bottom], 1)
    torch.testing.assert_close(there @ back, ones, atol=1e-5, rtol=0)


def test_turning_keeps_right_angles_in_pixels() -> None:
    settings = DenseAugmentConfig(rotation=90, flip=0)
    theta = draw_affine(5, (20, 50), seeded(), settings).theta[:, :, :2]
    pixels = torch.tensor([50.0, 20.0])  # half sides stand for 1
    in_pixels = theta * pixels[:, None] / pixels[None, :]
    product = in_pixels @ in_pixels.mT
    torch.testing.assert_close(product, torch.eye(2).expand(5, 2, 2), atol=1e-5, rtol=0)


def test_sub_heads_are_warped_alike() -> None:
    maps = torch.rand(3, 4, 2, 12, 12, generator=seeded())
    geometry = draw_affine(4, (12, 12), seeded(), DenseAugmentConfig(rotation=20))
    together = warp(maps, geometry)
    for head in range(3):
        torch.testing.assert_close(together[head], warp(maps[head], geometry))
