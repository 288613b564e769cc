"""Colours of views: luma, Sobel filters, brightness, contrast, saturation and hue."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from frugalseg.augment.config import BaseAugmentConfig

GREY = (0.299, 0.587, 0.114)  # shares of red, green and blue


def grey(images: Tensor) -> Tensor:
    """(N, 1, H, W) luma of colour images (N, 3, H, W); grey images are returned unchanged."""
    if images.shape[1] == 1:
        return images
    return torch.einsum("nchw,c->nhw", images, _constant(GREY, images))[:, None]


def sobel(images: Tensor) -> Tensor:
    """Horizontal and vertical derivative of the grey image, with zeros outside, not normalised.

    Args:
        images: (N, 1 or 3, H, W).

    Returns:
        (N, 2, H, W): along the columns (left minus right), then along the rows.
    """
    across = _constant([[1, 0, -1], [2, 0, -2], [1, 0, -1]], images)
    return functional.conv2d(grey(images), torch.stack([across, across.T])[:, None], padding=1)


def jitter(images: Tensor, rng: torch.Generator, settings: BaseAugmentConfig) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image by random amounts.

    Their order is drawn once for each call. Grey images have no saturation and no hue.

    Args:
        images: (N, 1 or 3, H, W) in [0, 1].
        rng: on the CPU.
        settings: how far each is changed.

    Returns:
        Images of the same shape.
    """
    count = len(images)
    limits = [settings.brightness, settings.contrast, settings.saturation, settings.hue]
    drawn = [signed(count, limit, rng) for limit in limits]
    factors = [amount.to(images.device, non_blocking=True)[:, None, None, None] for amount in drawn]
    for change in torch.randperm(4, generator=rng).tolist():
        if not limits[change] or (change >= 2 and images.shape[1] == 1):
            continue
        factor = factors[change]
        if change == 3:
            images = turn_hue(images, factor)
            continue
        if change == 0:
            ground: Tensor | float = 0.0
        elif change == 1:
            ground = grey(images).mean((1, 2, 3), keepdim=True)
        else:
            ground = grey(images)
        images = (images + factor * (images - ground)).clamp(0, 1)
    return images


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of images, with saturation and value kept.

    Args:
        images: (N, 3, H, W) in [0, 1].
        turns: (N, 1, 1, 1) shares of the colour circle.

    Returns:
        (N, 3, H, W).
    """
    value, greatest = images.max(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    # the difference of the two channels that follow the greatest one, in sixths of the circle
    following = [torch.roll(images, -i, 1).gather(1, greatest) for i in (1, 2)]
    sixth = 2.0 * greatest + (following[0] - following[1]) / chroma.clamp_min(1e-8)
    sixth = sixth + 6 * turns
    offset = _constant([5.0, 3.0, 1.0], images)[:, None, None]
    k = (offset + sixth) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def _constant(values: Sequence[Any], like: Tensor) -> Tensor:
    """Numbers on the device of a tensor, copied without waiting."""
    return torch.tensor(values, dtype=like.dtype).to(like.device, non_blocking=True)


def signed(count: int, amount: float, rng: torch.Generator) -> Tensor:
    """(count,) numbers drawn evenly from -amount to amount."""
    return (2 * torch.rand(count, generator=rng) - 1) * amount
