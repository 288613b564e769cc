"""The data of a discovery in memory: pixels of images, or maps of features of a frozen backbone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.augment.config import DenseAugmentConfig
from frugalseg.augment.geometry import inside, warp
from frugalseg.augment.views import changed_view, plain_frame
from frugalseg.console import track
from frugalseg.data.images import Pixels
from frugalseg.models.heads import TwoHeadNet, principal_directions, project

BATCH = 8  # pictures computed at once
COMPONENT_PLACES = 50_000  # places whose features give the principal components


@dataclass(frozen=True)
class FeatureMaps:
    """Features that heads on a frozen backbone learn from.

    Attributes:
        plain: (N, D, h, w) float16 reduced features.
        changed: (V, N, D, h, w) float16 of changed views, brought back to the plain frame.
        valid: (V, N, h, w) whether a place was in the view.
    """

    plain: Tensor
    changed: Tensor
    valid: Tensor


def pieces_of(image: Pixels, size: int) -> list[Pixels]:
    """Squares that cover an image along its longer side, spaced evenly; small ones are padded.

    Args:
        image: (H, W, C), its shorter side `size` or more.
        size: of the squares.
    """
    missing = [(0, max(0, size - length)) for length in image.shape[:2]]
    image = np.pad(image, (*missing, (0, 0)), "edge")
    starts = []
    for length in image.shape[:2]:
        count = max(1, round(length / size + 0.2))
        starts.append(np.linspace(0, length - size, count).round().astype(np.int64))
    return [image[y : y + size, x : x + size] for y in starts[0] for x in starts[1]]


def feature_maps(
    net: TwoHeadNet,
    pictures: NDArray[np.uint8],
    num_views: int,
    views: DenseAugmentConfig,
) -> FeatureMaps:
    """Compute features of pictures and of changed views, and reduce them to principal components.

    Sets the network's centre, spread and directions. The views do not depend on a run's seed.

    Args:
        net: in evaluation mode, on its device.
        pictures: (N, size, size, C) uint8.
        num_views: V, changed views of each.
        views: how they are made.
    """
    device = net.backbone.mean.device
    # components come first: full features of all pictures would not fit into memory
    rng = np.random.default_rng(0)
    drawn = pictures[rng.permutation(len(pictures))[: 16 * BATCH]]
    with torch.inference_mode():
        rows = []
        for i in range(0, len(drawn), BATCH):
            features = net.backbone(plain_frame(_floats(drawn[i : i + BATCH], device), views))
            rows.append(features.permute(0, 2, 3, 1).flatten(0, 2))
        places = torch.cat(rows)
        chosen = torch.from_numpy(rng.permutation(len(places))[:COMPONENT_PLACES])
        scale = principal_directions(places[chosen.to(device)], net.components)
    net.centre, net.spread, net.directions = (part.clone() for part in scale)
    generator = torch.Generator().manual_seed(0)
    plain, changed, valid = [], [], []
    with torch.inference_mode():
        for start in track(range(0, len(pictures), BATCH), "batches"):
            batch = _floats(pictures[start : start + BATCH], device)
            plain.append(net.reduce(net.backbone(plain_frame(batch, views))).half().cpu())
            maps, known = [], []
            for _ in range(num_views):
                view, geometry = changed_view(batch, generator, views)
                features = net.reduce(net.backbone(view))
                maps.append(warp(features, geometry.inverse).half().cpu())
                known.append(inside(geometry.inverse, features).cpu())
            changed.append(torch.stack(maps))
            valid.append(torch.stack(known))
    return FeatureMaps(torch.cat(plain), torch.cat(changed, 1), torch.cat(valid, 1))


def sampled_places(
    net: TwoHeadNet, images: Sequence[Pixels], count: int, views: DenseAugmentConfig, seed: int
) -> FeatureMaps:
    """Compute features of places drawn from whole images, and reduce them to principal components.

    Sets the network's centre, spread and directions; the maps of a backbone count alike.

    Args:
        net: in evaluation mode, on its device.
        images: (H, W, C) uint8 each.
        count: places, spread over the images.
        views: how the changed view of each image is made.
        seed: draws places and views.

    Returns:
        (N, D) plain and (1, N, D) changed features and (1, N) valid, as of :class:`FeatureMaps`.
    """
    generator = torch.Generator().manual_seed(seed)
    device, each = net.backbone.mean.device, -(-count // len(images))
    rows: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for image in track(images, "images"):
            batch = _floats(image[None], device)
            plain = net.backbone(plain_frame(batch, views))
            view, geometry = changed_view(batch, generator, views)
            changed = warp(net.backbone(view), geometry.inverse)
            there = inside(geometry.inverse, plain)[0].flatten()
            places = torch.randperm(plain[0, 0].numel(), generator=generator)[:each]
            both = (part[0].flatten(1)[:, places].T for part in (plain, changed))
            rows.append((*(part.cpu() for part in both), there[places].cpu()))
        plain, changed, valid = (torch.cat(parts) for parts in zip(*rows, strict=True))
        scale = principal_directions(plain, net.components, net.backbone.blocks)
        reduced, other = (project(part, *scale) for part in (plain, changed))
    net.centre, net.spread, net.directions = (part.clone() for part in scale)
    return FeatureMaps(reduced, other[None], valid[None])


def _floats(pictures: NDArray[np.uint8], device: torch.device) -> Tensor:
    stacked = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    return stacked.to(device).float() / 255


class PixelStore:
    """Images of all sizes in one block of memory, on any device, from which pieces are cut.

    A batch of pieces is one read on the device; nothing is copied from the host. The block is made
    first and filled image by image, so that no image is held twice. It is not a module: processes
    that train together would send its pixels to each other.

    Args:
        sizes: height and width of each image.
        channels: C.
        labelled: whether there are labels too.

    Attributes:
        sizes: (N, 2) heights and widths, on the CPU.
    """

    def __init__(
        self, sizes: Sequence[tuple[int, int]], channels: int, labelled: bool = False
    ) -> None:
        self.sizes = torch.tensor(sizes)
        counts = self.sizes.prod(1)
        total = int(counts.sum())
        self.pixels = torch.empty(total, channels, dtype=torch.uint8)
        self.labels = torch.full((total,), 255, dtype=torch.uint8) if labelled else None
        self.starts, self.limits = counts.cumsum(0) - counts, self.sizes.clone()

    def __len__(self) -> int:
        return len(self.sizes)

    def put(
        self, place: int, image: NDArray[np.uint8], labels: NDArray[np.uint8] | None = None
    ) -> None:
        """Fill in an image, while the block is on the CPU.

        Args:
            place: number of the image.
            image: (H, W, C), of its size.
            labels: (H, W) class indices, 255 if unknown; None without a mask.
        """
        inside = self._inside(place)
        self.pixels[inside] = torch.from_numpy(image.reshape(-1, image.shape[2]))
        if self.labels is not None and labels is not None:
            self.labels[inside] = torch.from_numpy(labels.ravel())

    def rows(self) -> Iterator[Tensor]:
        """The pixels (H * W, C) of one image after the other, not copied."""
        return (self.pixels[self._inside(place)] for place in range(len(self)))

    def _inside(self, place: int) -> slice:
        start = int(self.starts[place])
        return slice(start, start + int(self.sizes[place].prod()))

    def to(self, device: torch.device | str) -> "PixelStore":
        """Move to a device, unless it is there already."""
        if self.pixels.device != torch.device(device):
            self.pixels, self.starts = self.pixels.to(device), self.starts.to(device)
            self.limits = self.limits.to(device)
            self.labels = None if self.labels is None else self.labels.to(device)
        return self

    def corners(self, places: Tensor, size: int, rng: torch.Generator) -> Tensor:
        """(n, 2) upper left corners of random pieces, inside the images if these are large enough.

        Args:
            places: (n,) which images, on the CPU.
            size: height and width of a piece.
            rng: on the CPU.
        """
        room = (self.sizes[places] - size).clamp_min(0)
        return (torch.rand(len(places), 2, generator=rng) * (room + 1)).long().minimum(room)

    def centres(self, places: Tensor, size: int) -> Tensor:
        """(n, 2) upper left corners of the pieces in the middle of each image."""
        return (self.sizes[places] - size).clamp_min(0) // 2

    def cut(self, places: Tensor, corners: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a piece from each of some images.

        Args:
            places: (n,) which images.
            corners: (n, 2) rows and columns of upper left corners.
            size: height and width.

        Returns:
            ``(n, C, size, size)`` float in [0, 1], with the last pixels of an image repeated beyond
            its border; ``(n, size, size)`` whether a place is in the image; and
            ``(n, size, size)`` uint8 labels, 255 if unknown or beyond the border.
        """
        device = self.pixels.device
        places = places.to(device, non_blocking=True)
        corners = corners.to(device, non_blocking=True)
        wanted = corners[:, :, None] + torch.arange(size, device=device)  # (n, 2, size)
        limits = self.limits[places]
        there = wanted < limits[:, :, None]
        rows, columns = wanted.minimum(limits[:, :, None] - 1).unbind(1)
        first = self.starts[places][:, None, None]
        index = first + rows[:, :, None] * limits[:, 1, None, None] + columns[:, None, :]
        inside = there[:, 0, :, None] & there[:, 1, None, :]
        images = self.pixels[index].permute(0, 3, 1, 2).float() / 255
        if self.labels is None:
            labels = torch.full_like(index, 255, dtype=torch.uint8)
        else:
            labels = self.labels[index].masked_fill(~inside, 255)
        return images, inside, labels
