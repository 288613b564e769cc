"""Paired views of images, made on the batch and on its device: a plain one and transformed ones.

Crop, enlargement, rotation, shear and flip are one sampling of the image, so that pixels are
interpolated once; then colours, cut-out and Sobel filters. What is drawn is drawn on the CPU, so
that a seed gives the same views on every device. Values are in [0, 1]; a network's own mean and
standard deviation are the trunk's matter.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from frugalseg.training.view_colours import grey, jitter, signed, sobel

SOBEL = ("none", "only", "beside")


@dataclass(frozen=True)
class Views:
    """How views are made. Crops are sides in pixels of an image of ``side`` x ``side``.

    Attributes:
        side: images are given at this height and width.
        size: height and width of a view.
        channels: 1 (grey) or 3 (colour); images are converted.
        plain_crops: crops of the plain view, equally probable.
        plain_centre: share of plain views that are cropped at the centre; others anywhere.
        test_crop: crop of the view for answers, always at the centre.
        crops: crops of transformed views, equally probable, anywhere. Larger than the image is
            allowed: what lies outside is black, or mirrored.
        scale: the crop's side is multiplied by a number drawn between these.
        rotation: transformed views are turned by up to so many degrees about the image's centre...
        rotated: ... with this probability.
        shear: sheared by up to so many degrees, always with the rotation.
        flip: probability of a flip left to right.
        brightness, contrast, saturation: factors are drawn from 1 - b to 1 + b.
        hue: drawn from -h to h turns of the colour circle (at most 0.5).
        cut: probability of a black box.
        cut_side: least and greatest side of the box as shares of the view.
        outside: "zeros" (black) or "reflection" (mirrored).
        sobel: "none"; "only", the two derivatives of the grey image alone; "beside" the colours.
    """

    side: int
    size: int
    channels: int = 3
    plain_crops: tuple[int, ...] = ()
    plain_centre: float = 0.0
    test_crop: int = 0
    crops: tuple[int, ...] = ()
    scale: tuple[float, float] = (1.0, 1.0)
    rotation: float = 0.0
    rotated: float = 0.5
    shear: float = 0.0
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    cut: float = 0.0
    cut_side: tuple[float, float] = (0.2, 0.7)
    outside: str = "zeros"
    sobel: str = "none"

    def __post_init__(self) -> None:
        # settings read from YAML have lists
        for name in ("plain_crops", "crops", "scale", "cut_side"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("plain_crops", "crops"):
            object.__setattr__(self, name, getattr(self, name) or (self.side,))
        object.__setattr__(self, "test_crop", self.test_crop or self.side)
        wrong = [
            self.sobel not in SOBEL,
            self.outside not in ("zeros", "reflection"),
            self.channels not in (1, 3),
            min(self.side, self.size, self.test_crop, *self.crops, *self.plain_crops) < 1,
            not 0 < self.scale[0] <= self.scale[1],
            not 0 <= self.cut_side[0] <= self.cut_side[1] <= 1,
            not all(0 <= p <= 1 for p in (self.plain_centre, self.rotated, self.flip, self.cut)),
            not all(0 <= v <= 1 for v in (self.brightness, self.contrast, self.saturation)),
            not 0 <= self.hue <= 0.5,
        ]
        if any(wrong):
            raise ValueError(f"views out of range: {self}")

    @property
    def out_channels(self) -> int:
        """Channels of a view: what the network takes."""
        return {"none": self.channels, "only": 2, "beside": self.channels + 2}[self.sobel]


_JITTER: dict[str, Any] = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.125}
_CIFAR: dict[str, Any] = {"plain_crops": (20,), "test_crop": 20, "crops": (20,), "flip": 0.5}
_STL: dict[str, Any] = {"plain_crops": (64,), "test_crop": 64, "crops": (64,), "flip": 0.5}
PRESETS: dict[str, Views] = {
    # Ji et al. 2019, their settings of each data set
    "mnist": Views(
        side=28,
        size=24,
        channels=1,
        plain_crops=(20,),
        plain_centre=0.5,
        test_crop=20,
        crops=(16, 20, 24),
        rotation=25,
        brightness=0.4,
        contrast=0.4,
    ),
    "cifar": Views(side=32, size=32, sobel="only", **_CIFAR, **_JITTER),
    "stl": Views(side=96, size=64, sobel="only", **_STL, **_JITTER),
    # their supervised fine-tuning on STL10
    "stl-supervised": Views(
        side=96,
        size=64,
        scale=(0.9, 1.1),
        rotation=18,
        shear=10,
        cut=0.5,
        sobel="only",
        **_STL,
        **_JITTER,
    ),
    # ours: photographs for a pretrained network
    "photo": Views(
        side=160,
        size=128,
        plain_crops=(144,),
        test_crop=144,
        crops=(160,),
        scale=(0.5, 0.95),
        rotation=10,
        flip=0.5,
        outside="reflection",
        **_JITTER,
    ),
    "digits": Views(
        side=24,
        size=24,
        channels=1,
        plain_crops=(22,),
        test_crop=22,
        crops=(18, 21, 24),
        rotation=20,
        brightness=0.4,
        contrast=0.4,
    ),
}


def plain_view(images: Tensor, rng: torch.Generator, settings: Views) -> Tensor:
    """One view of each image by a crop alone.

    Args:
        images: (N, C, side, side), uint8 or float in [0, 1], C 1 or 3.
        rng: on the CPU.
        settings: how.

    Returns:
        (N, settings.out_channels, size, size) float32, on the images' device.
    """
    images = as_float(images, settings)
    count = len(images)
    crops = _choose(settings.plain_crops, count, rng)
    centred = torch.rand(count, generator=rng) < settings.plain_centre
    shifts = _shifts(crops, settings.side, rng) * ~centred[:, None]
    return _finish(_sample(images, crops, shifts, settings), settings)


def transformed_views(images: Tensor, copies: int, rng: torch.Generator, settings: Views) -> Tensor:
    """Several independently transformed views of each image.

    Args:
        images: (N, C, side, side), uint8 or float in [0, 1], C 1 or 3.
        copies: R, views of each image.
        rng: on the CPU.
        settings: how.

    Returns:
        (R * N, settings.out_channels, size, size) float32: the first copies of all images, then
        the second ones, and so on; ``.unflatten(0, (R, N))`` takes them apart.
    """
    images = as_float(images, settings)
    count = copies * len(images)
    scale = settings.scale[0] + (settings.scale[1] - settings.scale[0]) * torch.rand(
        count, generator=rng
    )
    crops = _choose(settings.crops, count, rng) * scale
    shifts = _shifts(crops, settings.side, rng)
    turned = torch.rand(count, generator=rng) < settings.rotated
    angle = signed(count, settings.rotation, rng) * turned
    shear = signed(count, settings.shear, rng) * turned
    flipped = torch.rand(count, generator=rng) < settings.flip
    views = _sample(images, crops, shifts, settings, angle, shear, flipped)
    views = jitter(views, rng, settings)
    if settings.cut:
        views = cut_out(views, rng, settings)
    return _finish(views, settings)


def test_view(images: Tensor, settings: Views) -> Tensor:
    """The view from which answers are given: the centre crop.

    Args:
        images: (N, C, side, side), uint8 or float in [0, 1], C 1 or 3.
        settings: how.

    Returns:
        (N, settings.out_channels, size, size) float32.
    """
    return placed_view(images, settings, (0, 0))


test_view.__test__ = False  # type: ignore[attr-defined]  # the name is no test's


def placed_view(
    images: Tensor, settings: Views, place: tuple[int, int], flip: bool = False
) -> Tensor:
    """As :func:`test_view`, at another place: -1, 0 or 1 for rows and columns, (-1, -1) top left.

    Args:
        images, settings: as there.
        place: of the crop.
        flip: left to right.
    """
    images = as_float(images, settings)
    count, room = len(images), (settings.side - settings.test_crop) / 2
    crops = torch.full((count,), float(settings.test_crop))
    shifts = (room * torch.tensor(place, dtype=torch.float32)).expand(count, 2)
    flipped = torch.full((count,), flip)
    return _finish(_sample(images, crops, shifts, settings, flipped=flipped), settings)


def as_float(images: Tensor, settings: Views) -> Tensor:
    """Float images in [0, 1] with the settings' number of channels.

    Raises:
        ValueError: the images are not (N, 1 or 3, side, side).
    """
    expected = (settings.side, settings.side)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or images.shape[2:] != expected:
        raise ValueError(
            f"images are {tuple(images.shape)}, not (N, 1 or 3, {expected[0]}, {expected[1]})"
        )
    images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if images.shape[1] == 3 and settings.channels == 1:
        return grey(images)
    return images.expand(-1, settings.channels, -1, -1)


def cut_out(images: Tensor, rng: torch.Generator, settings: Views) -> Tensor:
    """Blacken a square box, wholly inside, of some images.

    Args:
        images: (N, C, H, H).
        rng: on the CPU.
        settings: probability and sides.

    Returns:
        Images like them.
    """
    count, size = len(images), images.shape[-1]
    least, most = settings.cut_side
    side = ((least + (most - least) * torch.rand(count, generator=rng)) * size).round()
    side = side * (torch.rand(count, generator=rng) < settings.cut)
    start = (torch.rand(2, count, generator=rng) * (size - side + 1)).floor()
    place = torch.arange(size)
    inside = (place >= start[..., None]) & (place < (start + side)[..., None])
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(box.to(images.device), 0.0)


def _choose(crops: tuple[int, ...], count: int, rng: torch.Generator) -> Tensor:
    which = torch.randint(len(crops), (count,), generator=rng)
    return torch.tensor(crops, dtype=torch.float32)[which]


def _shifts(crops: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """(N, 2) rows and columns from the image's centre to the crop's, whole pixels for whole crops.

    A crop inside the image stays inside; one larger than it holds the whole image.
    """
    room = (side - crops).abs()[:, None]
    place = torch.rand(len(crops), 2, generator=rng)
    start = torch.where(room % 1 == 0, (place * (room + 1)).floor().minimum(room), place * room)
    return start - room / 2


def _sample(
    images: Tensor,
    crops: Tensor,
    shifts: Tensor,
    settings: Views,
    angle: Tensor | None = None,
    shear: Tensor | None = None,
    flipped: Tensor | None = None,
) -> Tensor:
    """Read the crops (R * N of them) at the views' size: (R * N, C, size, size).

    A place of the view, seen from the crop's centre, is flipped, moved to the crop's place, sheared
    and turned about the image's centre. `angle` and `shear` are in degrees.
    """
    count, size = len(crops), settings.size
    turn = torch.deg2rad(torch.zeros(count) if angle is None else angle)
    slant = torch.tan(torch.deg2rad(torch.zeros(count) if shear is None else shear))
    cos, sin = torch.cos(turn), torch.sin(turn)
    linear = torch.stack(
        [torch.stack([cos, slant * cos - sin], -1), torch.stack([sin, slant * sin + cos], -1)], 1
    )  # (x, y) of the crop to (x, y) of the image
    half = crops / settings.side
    mirror = torch.ones(count, 2)
    if flipped is not None:
        mirror[:, 0] = 1 - 2.0 * flipped
    move = (linear @ (shifts.flip(-1) * 2 / settings.side)[..., None])[..., 0]
    theta = torch.cat([linear * (half[:, None] * mirror)[:, None], move[..., None]], -1)
    shape = [count, images.shape[1], size, size]
    grid = functional.affine_grid(theta.to(images.device), shape, align_corners=False)
    copies = count // max(len(images), 1)
    images = images.repeat(copies, 1, 1, 1) if copies > 1 else images
    # zeros are laid outside the image's extent afterwards: mixed in by the interpolation they would
    # darken its outermost pixels, a frame that Sobel filters see
    zeros = settings.outside == "zeros"
    mode = "border" if zeros else settings.outside
    views = functional.grid_sample(images, grid, padding_mode=mode, align_corners=False)
    if zeros:
        views = views * (grid.abs() <= 1 + 1e-5).all(-1)[:, None]
    return views.clamp(0, 1)


def _finish(views: Tensor, settings: Views) -> Tensor:
    if settings.sobel == "none":
        return views
    slopes = sobel(views)
    return slopes if settings.sobel == "only" else torch.cat([views, slopes], 1)
