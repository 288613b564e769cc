"""The displaced joint on a CPU: overlapping tiles, multiplied in the frequency domain.

A tile of p is paired with the tile of q around it, which has a margin of the largest displacement.
The joint is a sum over tiles and images, and so is its transform: products of spectra are added up,
and a single inverse transform follows. A few tiles are processed at a time, so that the work stays
in the cache and takes a few megabytes whatever the batch.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frugalseg._threads import parallel_for
from frugalseg.iic import _tiles_numba as kernels

SIDE, HALF = kernels.SIDE, kernels.HALF
MOST = 20  # largest displacement: margins then take a little more than half of a tile
AT_ONCE = 8 << 20  # bytes of spectra at a time: about the size of the last-level cache

Array = np.ndarray[Any, np.dtype[Any]]


def tiling(height: int, width: int, displacement: int) -> tuple[int, int, int]:
    """Rows and columns of the tiles of an image, which are all alike, and their number."""
    largest = SIDE - 2 * displacement
    down, across = math.ceil(height / largest), math.ceil(width / largest)
    return math.ceil(height / down), math.ceil(width / across), down * across


def joint(p: Tensor, q: Tensor, d: int, weight: Tensor | None) -> Tensor:
    """Counts ``(2d+1, 2d+1, k, k)`` of ``p`` and ``q (n, k, H, W)``, both times ``weight``."""
    k = p.shape[1]
    sums = torch.zeros(HALF * k * k * 2 * SIDE, dtype=p.dtype)
    work = _Work(p, q, d, weight)
    for x, y, _ in work.spectra():
        parallel_for(lambda a, b: kernels.add_products(x, y, sums.numpy(), k, a, b), HALF)  # noqa: B023
    rows, columns, _, _ = _transforms(d, p.dtype)
    half = sums.view(-1, 2 * SIDE) @ rows
    half = half.view(HALF, k * k, 2, 2 * d + 1).permute(3, 1, 0, 2).reshape(-1, 2 * HALF)
    # the factor 1 / 4 is for the two spectra, which are doubled
    counts = (half @ columns).mul_(0.25 / SIDE**2).view(2 * d + 1, k, k, 2 * d + 1)
    return counts.permute(0, 3, 1, 2).contiguous()


def gradient(
    p: Tensor, q: Tensor, d: int, weight: Tensor | None, change: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of ``p`` and ``q`` from the gradient ``change`` of the counts."""
    k = p.shape[1]
    _, _, rows, columns = _transforms(d, p.dtype)
    half = change.permute(2, 3, 0, 1).reshape(-1, 2 * d + 1) @ columns
    half = half.view(k * k, 2 * d + 1, HALF, 2).permute(2, 0, 3, 1).reshape(-1, 4 * d + 2)
    factors = (half @ rows).mul_(0.5 / SIDE**2).view(-1).numpy()
    to_p, to_q = torch.zeros_like(p), torch.zeros_like(q)
    work = _Work(p, q, d, weight)
    for x, y, tiles in work.spectra():
        parallel_for(lambda a, b: kernels.gradients(x, y, factors, k, a, b), HALF)  # noqa: B023
        out = to_p.numpy(), to_q.numpy()
        work.parallel_for(kernels.add_tiles, (x, y), tiles, out, k)
    return to_p, to_q


class _Work:
    """Spectra of a batch, a few tiles at a time."""

    def __init__(self, p: Tensor, q: Tensor, d: int, weight: Tensor | None) -> None:
        self.maps = p.numpy(), q.numpy()
        self.weight = np.zeros((0, 0, 0), self.maps[0].dtype) if weight is None else weight.numpy()
        self.displacement = d
        n, _, height, width = p.shape
        rows, columns, _ = tiling(height, width, d)
        self.inner = rows, columns
        places = product(range(n), range(0, height, rows), range(0, width, columns))
        self.tiles = np.array(list(places))  # image, row and column
        angle = 2 * np.pi * np.arange(SIDE) / SIDE
        self.turns = np.stack([np.cos(angle), -np.sin(angle)]).astype(self.maps[0].dtype)

    def spectra(self) -> Iterator[tuple[Array, Array, Array]]:
        """Yield spectra of p and of q and their tiles. The next ones overwrite them."""
        p, k = self.maps[0], self.maps[0].shape[1]
        tile = k * HALF * 2 * SIDE
        # with fewer than four groups, moving the k^2 sums of products would take the most time
        count = max(4, round(AT_ONCE / (2 * tile * p.itemsize * kernels.GROUP))) * kernels.GROUP
        count = min(count, math.ceil(len(self.tiles) / kernels.GROUP) * kernels.GROUP)
        out = np.empty(count * tile, p.dtype), np.empty(count * tile, p.dtype)
        for first in range(0, len(self.tiles), count):
            tiles = np.full((count, 3), -1)
            chosen = self.tiles[first : first + count]
            tiles[: len(chosen)] = chosen
            self.parallel_for(kernels.spectra, self.maps, tiles, out, k * count)
            yield *out, tiles

    def parallel_for(self, work: Any, source: Any, tiles: Array, target: Any, length: int) -> None:
        """Call a kernel for ``length`` items in parallel, from ``source`` to ``target``."""
        settings = self.weight, tiles, self.inner, self.displacement, self.turns
        parallel_for(lambda a, b: work(*source, *settings, *target, a, b), length)


@lru_cache(8)
def _transforms(d: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inverse transforms to the displacements -d to d alone, and transforms from them, as matrices.

    ``(2 SIDE, 2 (2d+1))`` from parts by row frequency to parts by row and ``(2 HALF, 2d+1)`` from
    column frequencies and parts to columns, where frequencies whose opposite is not stored count
    twice; then ``(2 (2d+1), 2 SIDE)`` for rows and ``(2d+1, 2 HALF)`` for columns.
    """
    frequencies = torch.arange(SIDE, dtype=torch.float64)[:, None]
    angle = 2 * math.pi / SIDE * (frequencies * torch.arange(2 * d + 1, dtype=torch.float64))
    cos, sin = angle.cos(), angle.sin()
    rows = torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)]).to(dtype)
    columns = torch.stack([cos[:HALF], -sin[:HALF]], 1).to(dtype)
    doubled = columns.clone()
    doubled[1:-1] *= 2
    columns, doubled = columns.flatten(0, 1), doubled.flatten(0, 1)
    return rows, doubled, rows.T.contiguous(), columns.T.contiguous()
