"""Samplers: from a thumbnail of an image to the positions of its samples.

Every sampler is a module ``thumbnail (N, 3, a, b) in [0, 1] -> phi (N, h, w, 2)``. Those that learn
have a ``loss(thumbnail, maps)`` of boundary maps of the thumbnail's size (:func:`boundary_maps`).
:func:`build_sampler` builds them by name. ``oracle`` reads the true maps instead of the thumbnail.
"""

import inspect
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg.errors import FrugalsegError
from frugalseg.models import SAMPLERS
from frugalseg.models.paper_nets import conv
from frugalseg.registry import refuse_unknown_options
from frugalseg.sampling import (
    cover,
    equal_density_sampling,
    fade_pull,
    minimise_boundary_energy,
    nearest_boundary,
    resize_sampling,
    saliency_sampling,
    scaled_smoothness,
    separable_sampling,
    uniform_sampling,
)

Size = tuple[int, int]
WIDTHS = (6, 12, 24, 40, 48)


def default_thumbnail(size: Size, aspect: float, sampler: str = "density") -> Size:
    """Size of the thumbnail: twice as many pixels as samples, square pixels, sides multiples of 8.

    Args:
        size: number of samples ``(h, w)``.
        aspect: width / height of the images.
        sampler: its name; a class with ``thumbnail_scale`` gets a thumbnail finer by that factor.

    Returns:
        Height and width ``(a, b)``.
    """
    scale = getattr(SAMPLERS.find(sampler), "thumbnail_scale", 1)
    height = scale * (2 * size[0] * size[1] / aspect) ** 0.5
    return max(16, round(height / 8) * 8), max(16, round(height * aspect / 8) * 8)


class BoundaryNet(nn.Module):
    """A U-Net small enough to cost a tenth of the computation that it saves.

    Each level has one convolution on the way down and one on the way up; skips are added rather
    than stacked. Most of the cost is at the thumbnail's full resolution, which shows small objects.

    Args:
        outputs: number of output maps: logits, at the thumbnail's resolution divided by ``patch``.
        widths: features of each level, from fine to coarse.
        prior: output before training, as a logit. Boundaries are rare: without it most of the early
            training would go into learning that.
        patch: side of the squares of thumbnail pixels that become the features of one place. The
            thumbnail can be finer by this factor at nearly the same cost, with outputs at the
            coarser resolution.
    """

    def __init__(
        self,
        outputs: int,
        widths: tuple[int, ...] = WIDTHS,
        prior: float = -4.0,
        patch: int = 1,
    ):
        super().__init__()
        self.patch = patch
        first = conv(3 * patch**2, widths[0])
        self.down = nn.ModuleList(
            [first, *(conv(fine, coarse, stride=2) for fine, coarse in pairwise(widths))]
        )
        self.middle = conv(widths[-1], widths[-1])
        self.narrow = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1, bias=False) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(conv(fine, fine) for fine in widths[:-1])
        self.head = nn.Conv2d(widths[0], outputs, 1)
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, prior)

    def forward(self, thumbnail: Tensor) -> Tensor:
        x = F.pixel_unshuffle(thumbnail * 2 - 1, self.patch)
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        x = self.middle(x)
        ways = zip(levels[-2::-1], reversed(self.narrow), reversed(self.up), strict=True)
        for skip, narrow, up in ways:
            x = up(skip + _resize(narrow(x), skip.shape[-2:]))
        out: Tensor = self.head(x)
        return out


class DoubleUNet(nn.Module):
    """The paper's two stacked U-Nets: boundary finding, then point selection (section 3.2).

    Each block is a padded 3x3 convolution with batch norm. The first U-Net works from the
    thumbnail's resolution down to the control grid's, the second on the control grid.

    Args:
        control: grid of the output ``(hc, wc)``, two numbers for each node.
        width: features of every layer but the first and last (the paper: 256).
        first_width: features at the thumbnail's full resolution.
        depths: halvings in the first and in the second U-Net.
    """

    def __init__(
        self,
        control: Size,
        width: int = 10,
        first_width: int = 5,
        depths: tuple[int, int] = (3, 2),
    ):
        super().__init__()
        self.control = control
        self.first = _UNet(3, width, (first_width, *([width] * depths[0])))
        self.second = _UNet(width, width, tuple([width] * (depths[1] + 1)))
        self.head = nn.Conv2d(width, 2, 1)
        nn.init.zeros_(self.head.weight)  # before training, nodes stay in place
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, thumbnail: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(self.first(thumbnail * 2 - 1), self.control)
        out: Tensor = self.head(self.second(features))
        return out


class _UNet(nn.Module):
    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...]):
        super().__init__()
        self.enter = conv(inputs, widths[0])
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(conv(fine, coarse, stride=2) for fine, coarse in pairs)
        self.up = nn.ModuleList(conv(fine + coarse, fine) for fine, coarse in pairs)
        self.leave = nn.Identity() if widths[0] == outputs else conv(widths[0], outputs)

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.enter(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels[-1]
        for skip, up in zip(levels[-2::-1], reversed(self.up), strict=True):
            x = up(torch.cat([skip, _resize(x, skip.shape[-2:])], 1))
        out: Tensor = self.leave(x)
        return out


class DensitySampler(nn.Module):
    """Predicts the share of boundary pixels in each cell, and samples at equal density of it.

    Args:
        size: number of samples ``(h, w)``.
        share, blur: as in :func:`equal_density_sampling`.
        all_weight: weight of a boundary of any class; one of a target class has weight 1.
        widths, patch: as in :class:`BoundaryNet`.
    """

    learns = True

    def __init__(
        self,
        size: Size,
        share: float = 0.5,
        blur: float = 0.75,
        all_weight: float = 0.25,
        widths: tuple[int, ...] = WIDTHS,
        patch: int = 1,
    ):
        super().__init__()
        self.size, self.share, self.blur, self.all_weight = size, share, blur, all_weight
        self.network = BoundaryNet(2, tuple(widths), patch=patch)

    def density(self, thumbnail: Tensor) -> Tensor:
        """Expected boundary of each cell, targets' and the weighted rest's ``(N, a', b')``."""
        of_targets, of_all = self.network(thumbnail).float().sigmoid().unbind(1)
        density: Tensor = of_targets + self.all_weight * of_all
        return density

    def forward(self, thumbnail: Tensor) -> Tensor:
        return equal_density_sampling(self.density(thumbnail), self.size, self.share, self.blur)

    def loss(self, thumbnail: Tensor, maps: Tensor) -> Tensor:
        """Logistic loss against the share of boundary pixels in each cell ``(N, 2, a, b)``."""
        shares = F.avg_pool2d(maps, self.network.patch)
        return F.binary_cross_entropy_with_logits(self.network(thumbnail), shares)


class SeparableSampler(DensitySampler):
    """Places rows and columns separately by the predicted density: a zoom that cannot fold.

    The placement of Thavamani et al. 2023 ("Learning to Zoom and Unzoom"), with equal density
    along each axis in place of a kernel; options are those of :class:`DensitySampler`.
    """

    def forward(self, thumbnail: Tensor) -> Tensor:
        return separable_sampling(self.density(thumbnail), self.size, self.share, self.blur)


class DirectSampler(nn.Module):
    """The paper's auxiliary network: regresses the minimiser of the boundary energy (eq. 2).

    Args:
        size: number of samples ``(h, w)``.
        control: grid of the network's output (the paper: 8x8).
        smoothness: of the energy, as on an 8x8 grid (:func:`scaled_smoothness`; the paper: 1).
        network: options of :class:`DoubleUNet`.
    """

    learns = True

    def __init__(
        self,
        size: Size,
        control: Size = (16, 16),
        smoothness: float = 0.25,
        **network: int | tuple[int, int],
    ):
        super().__init__()
        self.size, self.control = size, (control[0], control[1])
        self.weights = scaled_smoothness(smoothness, self.control)
        self.network = DoubleUNet(self.control, **network)  # type: ignore[arg-type]

    def nodes(self, thumbnail: Tensor) -> Tensor:
        """Predicted position of each node ``(N, hc, wc, 2)``."""
        offset = self.network(thumbnail).float().permute(0, 2, 3, 1)
        nodes: Tensor = uniform_sampling(self.control, device=thumbnail.device) + offset
        return nodes

    def forward(self, thumbnail: Tensor) -> Tensor:
        return resize_sampling(cover(self.nodes(thumbnail)), self.size)

    def loss(self, thumbnail: Tensor, maps: Tensor) -> Tensor:
        """Squared distance to the minimiser of the energy of the true boundaries."""
        goal = minimise_boundary_energy(self.nearest(maps).to(thumbnail), self.weights)
        return (cover(self.nodes(thumbnail)) - goal).square().sum(-1).mean()

    def nearest(self, maps: Tensor) -> Tensor:
        """The nearest target boundary of each node in maps ``(N, 2, a, b)``: ``(N, hc, wc, 2)``."""
        return nearest_boundary(maps[:, 0] > 0, self.control)


class BoundarySampler(DirectSampler):
    """Predicts the nearest boundary of each node; ``phi`` is the exact minimiser of the energy.

    The network predicts the expected goal of a pull that fades with distance (:func:`fade_pull`):
    an uncertain prediction pulls weakly, without any threshold.

    Args:
        size: number of samples ``(h, w)``.
        control: grid of the nodes.
        smoothness: of the energy, as on an 8x8 grid.
        fade: relative distance over which the pull fades.
        network: options of :class:`DoubleUNet`.
    """

    def __init__(
        self,
        size: Size,
        control: Size = (16, 16),
        smoothness: float = 0.05,
        fade: float = 0.12,
        **network: int | tuple[int, int],
    ):
        super().__init__(size, control, smoothness, **network)
        self.fade = fade

    def forward(self, thumbnail: Tensor) -> Tensor:
        phi = minimise_boundary_energy(self.nodes(thumbnail), self.weights)
        return resize_sampling(cover(phi), self.size)

    def loss(self, thumbnail: Tensor, maps: Tensor) -> Tensor:
        """Squared distance to the goals of the true boundaries' pull."""
        goal = fade_pull(self.nearest(maps).to(thumbnail), self.fade)
        return (self.nodes(thumbnail) - goal).square().sum(-1).mean()


class SaliencySampler(nn.Module):
    """Kernel sampling by learned saliency (Recasens et al. 2018; Jin et al. 2022).

    Args:
        size: number of samples ``(h, w)``.
        sigma: kernel width, as in :func:`saliency_sampling`.
        floor: added to the predicted saliency, which is at most 1.
        widths: as in :class:`BoundaryNet`.
    """

    learns = True

    def __init__(
        self,
        size: Size,
        sigma: float = 0.06,
        floor: float = 0.05,
        widths: tuple[int, ...] = WIDTHS,
    ):
        super().__init__()
        self.size, self.sigma, self.floor = size, sigma, floor
        # a milder prior, as squared error hardly moves a saturated sigmoid
        self.network = BoundaryNet(1, tuple(widths), prior=-2.0)

    def saliency(self, thumbnail: Tensor) -> Tensor:
        """``(N, a', b')`` above 0."""
        out: Tensor = self.network(thumbnail)[:, 0].float().sigmoid() + self.floor
        return out

    def forward(self, thumbnail: Tensor) -> Tensor:
        return saliency_sampling(self.saliency(thumbnail), self.size, self.sigma)

    def loss(self, thumbnail: Tensor, maps: Tensor) -> Tensor:
        """Jin's edge loss: squared distance to the edge map, each scaled to its largest value."""
        edges = maps[:, 0] / maps[:, 0].amax((1, 2), keepdim=True).clamp_min(1e-6)
        return 100 * (self.saliency(thumbnail) - self.floor - edges).square().mean()


def build_sampler(name: str, size: Size, **options: object) -> nn.Module:
    """Build a sampler by name.

    Args:
        name: one of :data:`frugalseg.models.SAMPLERS`.
        size: number of samples ``(h, w)``.
        options: arguments of that sampler's class.

    Raises:
        FrugalsegError: the name or an option is unknown, or a value is out of range.
    """
    sampler_class = SAMPLERS.find(name)
    known = set(inspect.signature(sampler_class).parameters) - {"size"}
    if "network" in known:  # the sampler passes further options on
        known |= set(inspect.signature(DoubleUNet).parameters) - {"control"}
    refuse_unknown_options(f"The sampler {name!r}", options, known - {"network"})
    try:
        sampler: nn.Module = sampler_class(size, **options)
    except (TypeError, ValueError) as error:
        raise FrugalsegError(f"Sampler {name}: {error}.") from error
    # convolutions run faster in this layout, on CPUs too
    return sampler.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _resize(x: Tensor, size: Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
