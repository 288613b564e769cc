"""Affine transforms of images and maps, one for each image, and their inverses.

Places are coordinates (x, y) in [-1, 1] whose corners are the corners of the frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Affine:
    """Transforms from places in views to places in their images.

    Attributes:
        theta: (N, 2, 3) from (x, y, 1) of the view to (x, y) of the image; on the CPU.
        flips_only: the transforms are flips or nothing: maps are mirrored, not interpolated.
    """

    theta: Tensor
    flips_only: bool = False

    @property
    def inverse(self) -> "Affine":
        """The transforms from the images to the views."""
        linear = torch.linalg.inv(self.theta[:, :, :2])
        theta = torch.cat([linear, -linear @ self.theta[:, :, 2:]], 2)
        return Affine(theta, self.flips_only)


def affine(
    extent: Tensor,
    flipped: Tensor,
    rotation: Tensor,
    shear: Tensor,
    shift: Tensor | None = None,
    aspect: float = 1.0,
    flips_only: bool = False,
) -> Affine:
    """Transforms for N views: flip, shrink, shift, then shear and turn.

    Args:
        extent: (N,) side of the view as a share of the image's.
        flipped: (N,) bool, left to right.
        rotation, shear: (N,) degrees; about the image's centre, and along its rows.
        shift: (N, 2) from the image's centre to the view's, (x, y) as shares of half the image; 0
            by default.
        aspect: height / width of the images, as pixels are square but [-1, 1] is not.
        flips_only: of :class:`Affine`.
    """
    turn, slant = torch.deg2rad(rotation), torch.tan(torch.deg2rad(shear))
    cos, sin = torch.cos(turn), torch.sin(turn)
    rows = [
        torch.stack([cos, (slant * cos - sin) * aspect], -1),
        torch.stack([sin / aspect, slant * sin + cos], -1),
    ]
    linear = torch.stack(rows, 1)
    move = torch.zeros(len(extent), 2, 1) if shift is None else linear @ shift[..., None]
    columns = torch.stack([extent * (1 - 2.0 * flipped), extent], -1)
    return Affine(torch.cat([linear * columns[:, None], move], 2), flips_only)


def warp(
    maps: Tensor, geometry: Affine, size: tuple[int, int] | None = None, outside: str = "border"
) -> Tensor:
    """Read images or maps at the places of views.

    Args:
        maps: (N, C, H, W) or, of several sub-heads, (S, N, C, H, W).
        geometry: transforms of the N images.
        size: height and width of the views, if not those of the maps.
        outside: values outside the maps: "border" (the outermost ones), "reflection" or "zeros".

    Returns:
        Maps of the views' size, otherwise of the same shape.
    """
    if maps.ndim == 5:
        joined = warp(maps.transpose(0, 1).flatten(1, 2), geometry, size, outside)
        shape = (maps.shape[1], len(maps), maps.shape[2], *joined.shape[2:])
        return joined.view(shape).transpose(0, 1)
    if geometry.flips_only and size is None:
        flipped = (geometry.theta[:, 0, 0] < 0).to(maps.device, non_blocking=True)
        return torch.where(flipped[:, None, None, None], maps.flip(-1), maps)
    grid = _grid(geometry, maps, size)
    # zeros are set afterwards: interpolation with them would darken the image's outermost pixels, a
    # frame that Sobel filters see
    mode = "border" if outside == "zeros" else outside
    read = functional.grid_sample(maps, grid, padding_mode=mode, align_corners=False)
    return read * _within(grid)[:, None] if outside == "zeros" else read


def inside(geometry: Affine, maps: Tensor) -> Tensor:
    """Whether each place of the views lies in the images, (N, H, W) bool.

    Args:
        geometry: transforms of N images.
        maps: (..., H, W), for their size and device.
    """
    if geometry.flips_only:
        shape = (len(geometry.theta), *maps.shape[-2:])
        return torch.ones(shape, dtype=torch.bool, device=maps.device)
    return _within(_grid(geometry, maps))


def _grid(geometry: Affine, maps: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    theta = geometry.theta.to(maps.device, maps.dtype, non_blocking=True)
    shape = [len(theta), 1, *(size or maps.shape[-2:])]
    return functional.affine_grid(theta, shape, align_corners=False)


def _within(grid: Tensor) -> Tensor:
    return (grid.abs() <= 1 + 1e-5).all(-1)
