"""Gradients of an image: a density of samples for which nothing is learned."""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def gradient_density(image: Tensor, chroma: float = 4.0) -> Tensor:
    """How strongly intensity and colour change at each pixel, above what is usual in the image.

    The magnitude of central differences of luma and of the two colour differences (red and blue
    less luma), less its median over the image, so that noise and texture do not count.

    Args:
        image: ``(N, 3, a, b)`` in ``[0, 1]``.
        chroma: weight of the colour differences; luma has weight 1.

    Returns:
        ``(N, a, b)``, at least 0.

    Raises:
        ValueError: the image has another shape.

    >>> image = torch.zeros(1, 3, 2, 5)
    >>> image[..., 3:] = 1
    >>> gradient_density(image)[0, 0].tolist()
    [0.0, 0.0, 0.5, 0.5, 0.0]
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"an image is (N, 3, a, b), not {tuple(image.shape)}")
    luma = torch.einsum("nchw,c->nhw", image, image.new_tensor(LUMA))
    parts = [luma, chroma * (image[:, 0] - luma), chroma * (image[:, 2] - luma)]
    padded = F.pad(torch.stack(parts, 1), (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    magnitude = (across.square() + down.square()).sum(1).sqrt()
    usual = magnitude.flatten(1).median(1).values[:, None, None]
    return (magnitude - usual).clamp_min(0)
