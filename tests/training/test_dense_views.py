import pytest
import torch

from frugalseg.training.dense_views import (
    DenseViews,
    changed_view,
    draw_geometry,
    inside,
    plain_frame,
    warp,
)

STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def places(count: int, height: int, width: int) -> torch.Tensor:
    """Images whose colours are the places of their pixels, 0 to 1, and 0."""
    rows = torch.linspace(0, 1, height)[:, None].expand(height, width)
    columns = torch.linspace(0, 1, width).expand(height, width)
    return torch.stack([rows, columns, torch.zeros(height, width)]).expand(count, 3, -1, -1)


def test_flips_are_undone_exactly() -> None:
    images = torch.rand(8, 3, 6, 10, generator=seeded())
    settings = DenseViews(**STILL)
    view, geometry = changed_view(images, seeded(), settings)
    flipped = [bool(torch.equal(v, i.flip(-1))) for v, i in zip(view, images, strict=True)]
    assert 0 < sum(flipped) < 8  # each image has a change of its own
    assert torch.equal(warp(view, geometry.inverse), images)
    assert inside(geometry.inverse, view).all()


@pytest.mark.parametrize("size", [(40, 40), (30, 60)])
def test_places_come_back_where_the_view_holds_them(size: tuple[int, int]) -> None:
    images = places(16, *size)
    settings = DenseViews(rotation=30, shear=10, scale=(0.8, 1.2), **STILL)
    view, geometry = changed_view(images, seeded(1), settings)
    back = geometry.inverse
    valid = inside(back, view)
    error = (warp(view, back) - images).abs().amax(1)
    # the border's last values are repeated: the outermost half pixel of a view is not linear
    assert float(error[valid].quantile(0.98)) < 0.03
    assert 0.5 < float(valid.float().mean()) < 1
    assert float((view - images).abs().max()) > 0.2


def test_a_geometry_and_its_inverse_are_one_another() -> None:
    settings = DenseViews(rotation=45, shear=20, scale=(0.5, 2.0))
    geometry = draw_geometry(9, (20, 30), seeded(), settings)
    ones = torch.eye(3).expand(9, 3, 3)
    bottom = ones[:, 2:]
    there = torch.cat([geometry.theta, bottom], 1)
    back = torch.cat([geometry.inverse.theta, bottom], 1)
    torch.testing.assert_close(there @ back, ones, atol=1e-5, rtol=0)


def test_turning_keeps_right_angles_in_pixels() -> None:
    settings = DenseViews(rotation=90, flip=0)
    theta = draw_geometry(5, (20, 50), seeded(), settings).theta[:, :, :2]
    pixels = torch.tensor([50.0, 20.0])  # half sides stand for 1
    in_pixels = theta * pixels[:, None] / pixels[None, :]
    product = in_pixels @ in_pixels.mT
    torch.testing.assert_close(product, torch.eye(2).expand(5, 2, 2), atol=1e-5, rtol=0)


def test_sub_heads_are_warped_alike() -> None:
    maps = torch.rand(3, 4, 2, 12, 12, generator=seeded())
    geometry = draw_geometry(4, (12, 12), seeded(), DenseViews(rotation=20))
    together = warp(maps, geometry)
    for head in range(3):
        torch.testing.assert_close(together[head], warp(maps[head], geometry))


def test_what_networks_see() -> None:
    images = torch.rand(2, 4, 8, 8, generator=seeded())
    for channels, count in (("rgb", 3), ("sobel", 2), ("rgb+sobel", 5)):
        assert plain_frame(images[:, :3], DenseViews(channels)).shape == (2, count, 8, 8)
    view, geometry = changed_view(images, seeded(), DenseViews("rgbi"))
    assert torch.equal(warp(view, geometry.inverse)[:, 3], images[:, 3])  # infrared stays
    assert not torch.equal(warp(view, geometry.inverse)[:, :3], images[:, :3])


@pytest.mark.parametrize(
    "wrong",
    [{"channels": "grey"}, {"flip": 2}, {"hue": 0.7}, {"scale": (0, 1)}, {"shear": 90}],
)
def test_settings_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="views out of range"):
        DenseViews(**wrong)  # type: ignore[arg-type]
