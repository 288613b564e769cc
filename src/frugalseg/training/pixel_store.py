"""Images of all sizes in one block of memory, on whatever device, from which pieces are cut."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class PixelStore:
    """Images of mixed sizes; a batch of pieces is one read, with nothing copied from the host.

    No module: several processes that train together would send its pixels to each other.

    The block is made first and filled image by image, so that none is ever held twice.

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
            place: which one.
            image: (H, W, C), of its size.
            labels: (H, W) class indices, 255 where unknown; None where none are known.
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
        """Move to a device, where it is not there yet."""
        if self.pixels.device != torch.device(device):
            self.pixels, self.starts = self.pixels.to(device), self.starts.to(device)
            self.limits = self.limits.to(device)
            self.labels = None if self.labels is None else self.labels.to(device)
        return self

    def corners(self, places: Tensor, size: int, rng: torch.Generator) -> Tensor:
        """(n, 2) upper left corners of random pieces, inside each image where it is large enough.

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
            ``(n, C, size, size)`` float in [0, 1]; ``(n, size, size)`` whether a place is in the
            image, beyond whose border its last pixels are repeated; and ``(n, size, size)`` uint8
            labels, 255 there and where unknown.
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
