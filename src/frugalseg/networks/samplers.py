"""Samplers: from a small view of an image to where its samples go.

Every sampler is a module ``view (N, 3, a, b) in [0, 1] -> phi (N, h, w, 2)`` with a
``loss(view, maps)`` that teaches it from boundary maps of the view (:func:`boundary_maps`), and is
made by name with :func:`build_sampler`. ``oracle`` reads the true maps instead of the view.
"""

import inspect
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg.errors import FrugalsegError
from frugalseg.networks.names import refuse_unknown_options, suggestion
from frugalseg.sampling import (
    cover,
    equal_density_sampling,
    fade_pull,
    minimise_boundary_energy,
    nearest_boundary,
    resize_sampling,
    saliency_sampling,
    scaled_smoothness,
    uniform_sampling,
)

Size = tuple[int, int]
WIDTHS = (6, 12, 24, 40, 48)


def default_view(size: Size, aspect: float) -> Size:
    """Size of the view: twice as many cells as samples, square ones, sides in multiples of 8.

    Args:
        size: number of samples ``(h, w)``.
        aspect: width / height of the images.

    Returns:
        ``(a, b)``.
    """
    cells = 2 * size[0] * size[1]
    height = (cells / aspect) ** 0.5
    return max(16, round(height / 8) * 8), max(16, round(height * aspect / 8) * 8)


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class BoundaryNet(nn.Module):
    """A U-Net small enough to cost a tenth of what it saves.

    One convolution a level on the way down and one on the way up, skips added rather than stacked:
    what is spent goes into the view's full resolution, where small things are seen.

    Args:
        outputs: number of output maps, logits at the view's resolution.
        widths: features of each level, from fine to coarse.
        prior: first answer, as a logit. Boundaries are rare: starting from "no boundary" rather
            than from one half is most of what training would otherwise have to learn first.
        patch: side of the squares of the view whose pixels enter side by side, as features of one
            place: a view finer by this factor at nearly the same cost, answered at the old one.
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
            [first, *(conv(fine, coarse, 2) for fine, coarse in pairwise(widths))]
        )
        self.middle = conv(widths[-1], widths[-1])
        self.narrow = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1, bias=False) for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(conv(fine, fine) for fine in widths[:-1])
        self.head = nn.Conv2d(widths[0], outputs, 1)
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, prior)

    def forward(self, view: Tensor) -> Tensor:
        x = F.pixel_unshuffle(view * 2 - 1, self.patch)
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

    One 3x3 convolution a block, padded, batch norm after each; the first U-Net works at the view's
    resolution down to the control grid's, the second on the control grid.

    Args:
        control: grid of the answer ``(hc, wc)``.
        outputs: number of answers a node.
        width: features of every layer but the first and last (the paper: 256).
        first_width: features at the view's full resolution.
        depths: halvings in the first and in the second U-Net.
    """

    def __init__(
        self,
        control: Size,
        outputs: int = 2,
        width: int = 10,
        first_width: int = 5,
        depths: tuple[int, int] = (3, 2),
    ):
        super().__init__()
        self.control = control
        self.first = _UNet(3, width, (first_width, *([width] * depths[0])))
        self.second = _UNet(width, width, tuple([width] * (depths[1] + 1)))
        self.head = nn.Conv2d(width, outputs, 1)
        nn.init.zeros_(self.head.weight)  # the first answer is: stay
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, view: Tensor) -> Tensor:
        features = F.adaptive_avg_pool2d(self.first(view * 2 - 1), self.control)
        out: Tensor = self.head(self.second(features))
        return out


class _UNet(nn.Module):
    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...]):
        super().__init__()
        self.enter = conv(inputs, widths[0])
        pairs = list(pairwise(widths))
        self.down = nn.ModuleList(conv(fine, coarse, 2) for fine, coarse in pairs)
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


class UniformSampler(nn.Module):
    """Evenly spaced samples, whatever the image."""

    learns = False

    def __init__(self, size: Size):
        super().__init__()
        self.size = size

    def forward(self, view: Tensor) -> Tensor:
        return uniform_sampling(self.size, len(view), device=view.device)


class OracleSampler(nn.Module):
    """Equal density of the true boundaries: for study, it needs the masks.

    Its "view" is the boundary maps ``(N, 2, a, b)``.
    """

    learns = False

    def __init__(
        self, size: Size, share: float = 0.5, blur: float = 0.75, all_weight: float = 0.25
    ):
        super().__init__()
        self.size, self.share, self.blur, self.all_weight = size, share, blur, all_weight

    def forward(self, maps: Tensor) -> Tensor:
        density = maps[:, 0] + self.all_weight * maps[:, 1]
        return equal_density_sampling(density, self.size, self.share, self.blur)


class DensitySampler(nn.Module):
    """Says how much boundary each place holds; equal density makes samples of that.

    Args:
        size: number of samples ``(h, w)``.
        share, blur: as in :func:`equal_density_sampling`.
        all_weight: what a boundary of any class counts beside one of a target class.
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

    def density(self, view: Tensor) -> Tensor:
        """Expected boundary of each cell, targets' plus the weighted rest ``(N, a', b')``."""
        target, every = self.network(view).float().sigmoid().unbind(1)
        density: Tensor = target + self.all_weight * every
        return density

    def forward(self, view: Tensor) -> Tensor:
        return equal_density_sampling(self.density(view), self.size, self.share, self.blur)

    def loss(self, view: Tensor, maps: Tensor) -> Tensor:
        """Logistic loss against the share of boundary pixels in each cell ``(N, 2, a, b)``."""
        shares = F.avg_pool2d(maps, self.network.patch)
        return F.binary_cross_entropy_with_logits(self.network(view), shares)


class DirectSampler(nn.Module):
    """The paper's auxiliary network: regresses the minimiser of the boundary energy (eq. 2).

    Args:
        size: number of samples ``(h, w)``.
        control: grid on which the network answers (the paper: 8x8).
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
        self.network = DoubleUNet(self.control, 2, **network)  # type: ignore[arg-type]

    def control_points(self, view: Tensor) -> Tensor:
        """``(N, hc, wc, 2)``, covering."""
        offset = self.network(view).float().permute(0, 2, 3, 1)
        return cover(uniform_sampling(self.control, device=view.device) + offset)

    def forward(self, view: Tensor) -> Tensor:
        return resize_sampling(self.control_points(view), self.size)

    def loss(self, view: Tensor, maps: Tensor) -> Tensor:
        nearest = nearest_boundary(maps[:, 0] > 0, self.control).to(view)
        goal = minimise_boundary_energy(nearest, self.weights)
        return (self.control_points(view) - goal).square().sum(-1).mean()


class BoundarySampler(nn.Module):
    """Predicts the nearest boundary of each node; the exact minimiser makes phi of it.

    What is predicted is the expected goal of a pull that fades with distance
    (:func:`fade_pull`), so an unsure answer pulls weakly: no threshold anywhere.

    Args:
        size: number of samples ``(h, w)``.
        control: grid of the nodes.
        smoothness: of the energy, as on an 8x8 grid.
        fade: relative distance over which the pull fades.
        network: options of :class:`DoubleUNet`.
    """

    learns = True

    def __init__(
        self,
        size: Size,
        control: Size = (16, 16),
        smoothness: float = 0.05,
        fade: float = 0.12,
        **network: int | tuple[int, int],
    ):
        super().__init__()
        self.size, self.control = size, (control[0], control[1])
        self.weights, self.fade = scaled_smoothness(smoothness, self.control), fade
        self.network = DoubleUNet(self.control, 2, **network)  # type: ignore[arg-type]

    def goals(self, view: Tensor) -> Tensor:
        """Expected goal of each node ``(N, hc, wc, 2)``."""
        offset = self.network(view).float().permute(0, 2, 3, 1)
        goals: Tensor = uniform_sampling(self.control, device=view.device) + offset
        return goals

    def forward(self, view: Tensor) -> Tensor:
        phi = minimise_boundary_energy(self.goals(view), self.weights)
        return resize_sampling(cover(phi), self.size)

    def loss(self, view: Tensor, maps: Tensor) -> Tensor:
        nearest = nearest_boundary(maps[:, 0] > 0, self.control).to(view)
        return (self.goals(view) - fade_pull(nearest, self.fade)).square().sum(-1).mean()


class SaliencySampler(nn.Module):
    """Kernel sampling by learned saliency (Recasens et al. 2018; Jin et al. 2022).

    Args:
        size: number of samples ``(h, w)``.
        sigma: kernel width, as in :func:`saliency_sampling`.
        floor: saliency of a place without anything, beside at most 1.
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
        # squared error hardly teaches a saturated sigmoid: a milder first answer
        self.network = BoundaryNet(1, tuple(widths), prior=-2.0)

    def saliency(self, view: Tensor) -> Tensor:
        """``(N, a', b')`` above 0."""
        out: Tensor = self.network(view)[:, 0].float().sigmoid() + self.floor
        return out

    def forward(self, view: Tensor) -> Tensor:
        return saliency_sampling(self.saliency(view), self.size, self.sigma)

    def loss(self, view: Tensor, maps: Tensor) -> Tensor:
        """Jin's edge loss: squared distance to the edge map, each scaled to its largest value."""
        edges = maps[:, 0] / maps[:, 0].amax((1, 2), keepdim=True).clamp_min(1e-6)
        return 100 * (self.saliency(view) - self.floor - edges).square().mean()


SAMPLERS: dict[str, type[nn.Module]] = {
    "density": DensitySampler,
    "direct": DirectSampler,
    "boundary": BoundarySampler,
    "saliency": SaliencySampler,
    "uniform": UniformSampler,
    "oracle": OracleSampler,
}


def list_samplers() -> list[str]:
    """Names that :func:`build_sampler` knows, the default first."""
    return list(SAMPLERS)


def build_sampler(name: str, size: Size, **options: object) -> nn.Module:
    """Make a sampler by name.

    Args:
        name: one of :func:`list_samplers`.
        size: number of samples ``(h, w)``.
        options: arguments of that sampler's class.

    Raises:
        FrugalsegError: for an unknown name or option, or a value that cannot be.
    """
    if name not in SAMPLERS:
        near = suggestion(name, SAMPLERS)
        raise FrugalsegError(f"No sampler {name!r}{near}: choose from {', '.join(SAMPLERS)}.")
    known = set(inspect.signature(SAMPLERS[name]).parameters) - {"size"}
    if "network" in known:  # where it hands further options on
        known |= set(inspect.signature(DoubleUNet).parameters) - {"control", "outputs"}
    refuse_unknown_options(f"The sampler {name!r}", options, known - {"network"})
    try:
        sampler = SAMPLERS[name](size, **options)
    except (TypeError, ValueError) as error:
        raise FrugalsegError(f"Sampler {name}: {error}.") from error
    # convolutions run faster so, on CPUs too
    return sampler.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _resize(x: Tensor, size: Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
