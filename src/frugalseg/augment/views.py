"""Plain and transformed views of a batch of images, made on the batch's device.

Crop, enlargement, rotation, shear and flip are a single sampling of the image, so that pixels are
interpolated once; colours, cut-out and Sobel filters follow. Random numbers are drawn on the CPU,
so that a seed gives the same views on every device. Values are in [0, 1]; the backbone normalises
them by its own mean and standard deviation.

Networks that give a vector for each image learn from :func:`plain_view` and
:func:`transformed_views`. Those that give maps learn from :func:`plain_frame` and
:func:`changed_view`, which returns its affine transform, so that the maps of a changed view can be
warped back and compared place by place.
"""

import torch
from torch import Tensor

from frugalseg.augment.colour import grey, jitter, signed, sobel
from frugalseg.augment.config import AugmentConfig, DenseAugmentConfig
from frugalseg.augment.geometry import Affine, affine, warp


def plain_view(images: Tensor, rng: torch.Generator, settings: AugmentConfig) -> Tensor:
    """A view of each image by a crop alone.

    Args:
        images: (N, C, side, side), uint8 or float in [0, 1], C 1 or 3.
        rng: on the CPU.
        settings: of the views.

    Returns:
        (N, settings.out_channels, size, size) float32, on the images' device.
    """
    images = as_float(images, settings)
    count = len(images)
    crops = _choose(settings.plain_crops, count, rng)
    centred = torch.rand(count, generator=rng) < settings.plain_centre
    shifts = _shifts(crops, settings.side, rng) * ~centred[:, None]
    return _finish(_sample(images, crops, shifts, settings), settings)


def transformed_views(
    images: Tensor, num_views: int, rng: torch.Generator, settings: AugmentConfig
) -> Tensor:
    """Several independently transformed views of each image.

    Args:
        images: (N, C, side, side), uint8 or float in [0, 1], C 1 or 3.
        num_views: R, views of each image.
        rng: on the CPU.
        settings: of the views.

    Returns:
        (R * N, settings.out_channels, size, size) float32: the first views of all images, then
        the second views, and so on; ``.unflatten(0, (R, N))`` separates them.
    """
    images = as_float(images, settings)
    count = num_views * len(images)
    scale = _between(settings.scale, count, rng)
    crops = _choose(settings.crops, count, rng) * scale
    shifts = _shifts(crops, settings.side, rng)
    turned = torch.rand(count, generator=rng) < settings.affine_probability
    angle = signed(count, settings.rotation, rng) * turned
    shear = signed(count, settings.shear, rng) * turned
    flipped = torch.rand(count, generator=rng) < settings.flip
    views = _sample(images, crops, shifts, settings, angle, shear, flipped)
    views = jitter(views, rng, settings)
    if settings.cut:
        views = cut_out(views, rng, settings)
    return _finish(views, settings)


def prediction_view(
    images: Tensor, settings: AugmentConfig, place: tuple[int, int] = (0, 0), flip: bool = False
) -> Tensor:
    """The view for predictions: the centre crop, or that at another place.

    Args:
        images: (N, C, side, side), uint8 or float in [0, 1], C 1 or 3.
        settings: of the views.
        place: of the crop, -1, 0 or 1 for rows and columns; (-1, -1) is the top left.
        flip: left to right.

    Returns:
        (N, settings.out_channels, size, size) float32.
    """
    images = as_float(images, settings)
    count, room = len(images), (settings.side - settings.test_crop) / 2
    crops = torch.full((count,), float(settings.test_crop))
    shifts = (room * torch.tensor(place, dtype=torch.float32)).expand(count, 2)
    flipped = torch.full((count,), flip)
    return _finish(_sample(images, crops, shifts, settings, flipped=flipped), settings)


def as_float(images: Tensor, settings: AugmentConfig) -> Tensor:
    """Convert images to float in [0, 1] and to the settings' number of channels.

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


def cut_out(images: Tensor, rng: torch.Generator, settings: AugmentConfig) -> Tensor:
    """Blacken a square box inside an image, with the probability that the settings give.

    Args:
        images: (N, C, H, H).
        rng: on the CPU.
        settings: probability of a box and its sides.

    Returns:
        Images of the same shape.
    """
    count, size = len(images), images.shape[-1]
    side = (_between(settings.cut_side, count, rng) * size).round()
    side = side * (torch.rand(count, generator=rng) < settings.cut)
    start = (torch.rand(2, count, generator=rng) * (size - side + 1)).floor()
    place = torch.arange(size)
    inside = (place >= start[..., None]) & (place < (start + side)[..., None])
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(box.to(images.device), 0.0)


def _between(limits: tuple[float, float], count: int, rng: torch.Generator) -> Tensor:
    """(count,) numbers drawn evenly between two."""
    low, high = limits
    return low + (high - low) * torch.rand(count, generator=rng)


def _choose(crops: tuple[int, ...], count: int, rng: torch.Generator) -> Tensor:
    """(count,) of the crops, drawn with equal probability."""
    indices = torch.randint(len(crops), (count,), generator=rng)
    return torch.tensor(crops, dtype=torch.float32)[indices]


def _shifts(crops: Tensor, side: int, rng: torch.Generator) -> Tensor:
    """(N, 2) rows and columns from the image's centre to the crop's, whole pixels for whole crops.

    A smaller crop lies inside the image; a larger one holds the whole image.
    """
    room = (side - crops).abs()[:, None]
    place = torch.rand(len(crops), 2, generator=rng)
    start = torch.where(room % 1 == 0, (place * (room + 1)).floor().minimum(room), place * room)
    return start - room / 2


def _sample(
    images: Tensor,
    crops: Tensor,
    shifts: Tensor,
    settings: AugmentConfig,
    angle: Tensor | None = None,
    shear: Tensor | None = None,
    flipped: Tensor | None = None,
) -> Tensor:
    """Read the R * N crops at the views' size: (R * N, C, size, size).

    A place of the view, relative to the crop's centre, is flipped, moved to the crop's place,
    sheared and turned about the image's centre. `angle` and `shear` are in degrees.
    """
    zeros, side = torch.zeros(len(crops)), settings.side
    geometry = affine(
        crops / side,
        zeros.bool() if flipped is None else flipped,
        zeros if angle is None else angle,
        zeros if shear is None else shear,
        shifts.flip(-1) * 2 / side,
    )
    num_views = len(crops) // max(len(images), 1)
    images = images.repeat(num_views, 1, 1, 1) if num_views > 1 else images
    return warp(images, geometry, (settings.size, settings.size), settings.outside).clamp(0, 1)


def _finish(views: Tensor, settings: AugmentConfig) -> Tensor:
    """Add Sobel filters, or replace the colours by them."""
    if settings.sobel == "none":
        return views
    slopes = sobel(views)
    return slopes if settings.sobel == "only" else torch.cat([views, slopes], 1)


def plain_frame(images: Tensor, settings: DenseAugmentConfig) -> Tensor:
    """The network's input for unchanged images.

    Args:
        images: (N, 3 or 4, H, W) float in [0, 1].
        settings: of the views.

    Returns:
        (N, settings.out_channels, H, W).
    """
    if settings.channels in ("rgb", "rgbi"):
        return images
    slopes = sobel(images[:, :3])
    return slopes if settings.channels == "sobel" else torch.cat([images[:, :3], slopes], 1)


def changed_view(
    images: Tensor, rng: torch.Generator, settings: DenseAugmentConfig
) -> tuple[Tensor, Affine]:
    """A changed view of each image, and its transform to the plain frame.

    Args:
        images: (N, 3 or 4, H, W) float in [0, 1]; infrared keeps its values.
        rng: on the CPU.
        settings: of the views.

    Returns:
        The network's input (N, settings.out_channels, H, W), and the geometry;
        ``warp(maps, geometry.inverse)`` brings maps of the view back to the plain frame.
    """
    count, _, height, width = images.shape
    geometry = draw_affine(count, (height, width), rng, settings)
    view = warp(images, geometry)
    coloured = jitter(view[:, :3], rng, settings)
    if images.shape[1] == 4:
        coloured = torch.cat([coloured, view[:, 3:]], 1)
    return plain_frame(coloured, settings), geometry


def draw_affine(
    count: int, size: tuple[int, int], rng: torch.Generator, settings: DenseAugmentConfig
) -> Affine:
    """Draw an affine transform for each image.

    Args:
        count: N.
        size: height and width of the images, which rotations need to keep right angles.
        rng: on the CPU.
        settings: of the views.
    """
    flipped = torch.rand(count, generator=rng) < settings.flip
    changed = torch.rand(count, generator=rng) < settings.affine_probability
    rotation = signed(count, settings.rotation, rng) * changed
    shear = signed(count, settings.shear, rng) * changed
    factor = _between(settings.scale, count, rng)
    extent = 1 / torch.where(changed, factor, torch.ones(()))
    aspect = size[0] / size[1]
    flips_only = settings.flips_only
    return affine(extent, flipped, rotation, shear, aspect=aspect, flips_only=flips_only)
