"""Colours of views: luma, Sobel filters, brightness, contrast, saturation and hue."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

GREY = (0.299, 0.587, 0.114)  # shares of red, green and blue


class Amounts(Protocol):
    """How far colours are changed: factors from 1 - b to 1 + b, hue from -h to h turns."""

    @property
    def brightness(self) -> float: ...
    @property
    def contrast(self) -> float: ...
    @property
    def saturation(self) -> float: ...
    @property
    def hue(self) -> float: ...


def grey(images: Tensor) -> Tensor:
    """(N, 3, H, W) in colour to (N, 1, H, W) luma; grey ones as they are."""
    if images.shape[1] == 1:
        return images
    shares = images.new_tensor(GREY)
    return torch.einsum("nchw,c->nhw", images, shares)[:, None]


def sobel(images: Tensor) -> Tensor:
    """Horizontal and vertical derivative of the grey image, zeros outside it, not normalised.

    Args:
        images: (N, 1 or 3, H, W).

    Returns:
        (N, 2, H, W): along the columns (left minus right), then along the rows.
    """
    across = images.new_tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    return functional.conv2d(grey(images), torch.stack([across, across.T])[:, None], padding=1)


def jitter(images: Tensor, rng: torch.Generator, amounts: Amounts) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image by amounts of its own.

    Their order is drawn once a call. Grey images have no saturation and no hue.

    Args:
        images: (N, 1 or 3, H, W) in [0, 1].
        rng: on the CPU.
        amounts: of each.

    Returns:
        Images like them.
    """
    count = len(images)
    limits = [amounts.brightness, amounts.contrast, amounts.saturation, amounts.hue]
    drawn = [signed(count, limit, rng) for limit in limits]
    factors = [amount.to(images.device)[:, None, None, None] for amount in drawn]
    for which in torch.randperm(4, generator=rng).tolist():
        if not limits[which] or (which >= 2 and images.shape[1] == 1):
            continue
        factor = factors[which]
        if which == 3:
            images = turn_hue(images, factor)
            continue
        if which == 0:
            ground: Tensor | float = 0.0
        elif which == 1:
            ground = grey(images).mean((1, 2, 3), keepdim=True)
        else:
            ground = grey(images)
        images = (images + factor * (images - ground)).clamp(0, 1)
    return images


def turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue in hue, saturation and value.

    Args:
        images: (N, 3, H, W) in [0, 1].
        turns: (N, 1, 1, 1) shares of the colour circle.

    Returns:
        (N, 3, H, W).
    """
    value, most = images.max(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    # the next channel less the one after it, from the greatest on, in sixths of the circle
    following = [torch.roll(images, -i, 1).gather(1, most) for i in (1, 2)]
    sixth = 2.0 * most + (following[0] - following[1]) / chroma.clamp_min(1e-8)
    sixth = sixth + 6 * turns
    offset = images.new_tensor([5.0, 3.0, 1.0])[:, None, None]
    k = (offset + sixth) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


def signed(count: int, amount: float, rng: torch.Generator) -> Tensor:
    """(count,) numbers drawn evenly from -amount to amount."""
    return (2 * torch.rand(count, generator=rng) - 1) * amount
