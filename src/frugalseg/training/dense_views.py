"""Paired views of images whose answers are maps: a plain frame and a changed one, and the way back.

Each image gets a change of its own. A place of the plain frame is found in the changed one by
``place @ linear + move`` in coordinates of [-1, 1] whose corners are the corners of the frame, so
that answers for the changed view can be brought back and compared place by place. What is drawn is
drawn on the CPU, so that a seed gives the same views on every device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from frugalseg.training.view_colours import jitter, signed, sobel

CHANNELS = {"rgb": 3, "sobel": 2, "rgb+sobel": 5, "rgbi": 4}


@dataclass(frozen=True)
class DenseViews:
    """How views are made; by default as published: colours and a flip (Ji et al. 2019).

    Attributes:
        channels: what the network sees: "rgb"; "sobel", the two derivatives of the grey image;
            "rgb+sobel"; "rgbi", colour and infrared.
        flip: probability of a flip left to right.
        rotation: turned by up to so many degrees about the centre...
        shear: ...sheared by up to so many degrees along the rows...
        scale: ...and enlarged by a factor drawn between these; published affine changes are
            30 degrees, 10 degrees, 0.8 to 1.2.
        moved: probability of such an affine change.
        brightness, contrast, saturation: factors are drawn from 1 - b to 1 + b.
        hue: drawn from -h to h turns of the colour circle (at most 0.5).
    """

    channels: str = "rgb"
    flip: float = 0.5
    rotation: float = 0.0
    shear: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    moved: float = 1.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.125

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", tuple(self.scale))  # settings read from YAML have lists
        wrong = [
            self.channels not in CHANNELS,
            len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1],
            not (0 <= self.rotation <= 180 and 0 <= self.shear < 90),
            not all(0 <= p <= 1 for p in (self.flip, self.moved)),
            not all(0 <= v <= 1 for v in (self.brightness, self.contrast, self.saturation)),
            not 0 <= self.hue <= 0.5,
        ]
        if any(wrong):
            raise ValueError(f"views out of range: {self}")

    @property
    def affine(self) -> bool:
        """Whether anything but flips happens to places."""
        return bool(self.moved and (self.rotation or self.shear or self.scale != (1.0, 1.0)))


@dataclass(frozen=True)
class Geometry:
    """Where the places of changed views lie in their plain frames.

    Attributes:
        theta: (N, 2, 3) from (x, y, 1) of the changed view to (x, y) of the plain frame, both in
            [-1, 1]; on the CPU.
        exact: nothing but flips: maps are mirrored, not interpolated.
    """

    theta: Tensor
    exact: bool

    @property
    def inverse(self) -> "Geometry":
        """From the plain frame to the changed view."""
        linear = torch.linalg.inv(self.theta[:, :, :2])
        return Geometry(torch.cat([linear, -linear @ self.theta[:, :, 2:]], 2), self.exact)


def draw_geometry(
    count: int, size: tuple[int, int], rng: torch.Generator, settings: DenseViews
) -> Geometry:
    """Draw one change of places for each image.

    Args:
        count: N.
        size: height and width of the images: turning keeps right angles only if both are known.
        rng: on the CPU.
        settings: how.
    """
    flipped = torch.rand(count, generator=rng) < settings.flip
    moved = torch.rand(count, generator=rng) < settings.moved
    turn = torch.deg2rad(signed(count, settings.rotation, rng) * moved)
    slant = torch.tan(torch.deg2rad(signed(count, settings.shear, rng) * moved))
    low, high = settings.scale
    factor = low + (high - low) * torch.rand(count, generator=rng)
    factor = torch.where(moved, factor, torch.ones(()))
    cos, sin = torch.cos(turn) / factor, torch.sin(turn) / factor
    aspect = size[0] / size[1]  # pixels are square, [-1, 1] is not
    mirror = 1 - 2.0 * flipped
    rows = [
        torch.stack([cos * mirror, (slant * cos - sin) * aspect], -1),
        torch.stack([sin * mirror / aspect, slant * sin + cos], -1),
    ]
    theta = torch.cat([torch.stack(rows, 1), torch.zeros(count, 2, 1)], 2)
    return Geometry(theta, not settings.affine)


def warp(maps: Tensor, geometry: Geometry) -> Tensor:
    """Read maps at the places that a geometry gives; beyond the border its last values.

    Args:
        maps: (N, C, H, W) or, of several sub-heads, (S, N, C, H, W).
        geometry: of N.

    Returns:
        Maps of the same shape.
    """
    if maps.ndim == 5:
        heads, count, clusters, *size = maps.shape
        joined = maps.transpose(0, 1).reshape(count, heads * clusters, *size)
        return warp(joined, geometry).view(count, heads, clusters, *size).transpose(0, 1)
    if geometry.exact:
        flipped = (geometry.theta[:, 0, 0] < 0).to(maps.device, non_blocking=True)
        return torch.where(flipped[:, None, None, None], maps.flip(-1), maps)
    grid = _grid(geometry, maps)
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)


def inside(geometry: Geometry, maps: Tensor) -> Tensor:
    """Places of the target frame whose source lies in the other frame, (N, H, W) bool.

    Args:
        geometry: of N.
        maps: (..., H, W) whose size and device are taken.
    """
    if geometry.exact:
        shape = (len(geometry.theta), *maps.shape[-2:])
        return torch.ones(shape, dtype=torch.bool, device=maps.device)
    grid = _grid(geometry, maps)
    return (grid.abs() <= 1 + 1e-5).all(-1)


def _grid(geometry: Geometry, maps: Tensor) -> Tensor:
    theta = geometry.theta.to(maps.device, maps.dtype, non_blocking=True)
    shape = [len(theta), 1, *maps.shape[-2:]]
    return functional.affine_grid(theta, shape, align_corners=False)


def plain_frame(images: Tensor, settings: DenseViews) -> Tensor:
    """What the network sees of images as they are.

    Args:
        images: (N, 3 or 4, H, W) float in [0, 1].
        settings: how.

    Returns:
        (N, C, H, W).
    """
    if settings.channels in ("rgb", "rgbi"):
        return images
    slopes = sobel(images[:, :3])
    return slopes if settings.channels == "sobel" else torch.cat([images[:, :3], slopes], 1)


def changed_view(
    images: Tensor, rng: torch.Generator, settings: DenseViews
) -> tuple[Tensor, Geometry]:
    """A changed view of each image, and where its places lie in the plain frame.

    Args:
        images: (N, 3 or 4, H, W) float in [0, 1]; infrared keeps its values.
        rng: on the CPU.
        settings: how.

    Returns:
        (N, C, H, W) what the network sees, and the geometry; ``warp(answers, geometry.inverse)``
        brings answers back.
    """
    count, _, height, width = images.shape
    geometry = draw_geometry(count, (height, width), rng, settings)
    moved = warp(images, geometry)
    coloured = jitter(moved[:, :3], rng, settings)
    if images.shape[1] == 4:
        coloured = torch.cat([coloured, moved[:, 3:]], 1)
    return plain_frame(coloured, settings), geometry
