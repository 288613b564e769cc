"""Samplers without parameters: uniform, by image gradients, and by true boundaries."""

from torch import Tensor, nn

from frugalseg.sampling import equal_density_sampling, gradient_density, uniform_sampling

Size = tuple[int, int]


class UniformSampler(nn.Module):
    """Evenly spaced samples, whatever the image."""

    learns = False

    def __init__(self, size: Size):
        super().__init__()
        self.size = size

    def forward(self, thumbnail: Tensor) -> Tensor:
        return uniform_sampling(self.size, len(thumbnail), device=thumbnail.device)


class GradientSampler(nn.Module):
    """Equal density of the gradients of intensity and colour: the edges that need no learning.

    Args:
        size: number of samples ``(h, w)``.
        share, blur: as in :func:`equal_density_sampling`.
        chroma: as in :func:`gradient_density`.
    """

    learns = False
    thumbnail_scale = 3  # thin things show in a finer thumbnail, which costs little here

    def __init__(self, size: Size, share: float = 0.5, blur: float = 0.75, chroma: float = 4.0):
        super().__init__()
        self.size, self.share, self.blur, self.chroma = size, share, blur, chroma

    def forward(self, thumbnail: Tensor) -> Tensor:
        density = gradient_density(thumbnail, self.chroma)
        return equal_density_sampling(density, self.size, self.share, self.blur)


class OracleSampler(nn.Module):
    """Equal density of the true boundaries; for studies only, since it needs the masks.

    Args:
        size: number of samples ``(h, w)``.
        share, blur: as in :func:`equal_density_sampling`.
        all_weight: weight of a boundary of any class; one of a target class has weight 1.
    """

    learns = False
    needs_truth = True

    def __init__(
        self, size: Size, share: float = 0.5, blur: float = 0.75, all_weight: float = 0.25
    ):
        super().__init__()
        self.size, self.share, self.blur, self.all_weight = size, share, blur, all_weight

    def forward(self, maps: Tensor) -> Tensor:
        """``phi`` from boundary maps ``(N, 2, a, b)``, not from a thumbnail."""
        density = maps[:, 0] + self.all_weight * maps[:, 1]
        return equal_density_sampling(density, self.size, self.share, self.blur)
