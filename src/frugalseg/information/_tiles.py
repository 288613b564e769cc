"""The displaced joint on a CPU: overlapping tiles, multiplied in the frequency domain.

A tile of p meets the tile of q around it with a margin of the largest displacement. As the joint
is a sum over tiles and images, so are products of spectra, and a single inverse transform is left
at the end. A few tiles at a time are worked on, so that the work stays in the cache and takes a few
megabytes whatever the batch.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frugalseg._threads import in_parts
from frugalseg.information import _tiles_numba as kernels

SIDE, HALF = kernels.SIDE, kernels.HALF
MOST = 20  # largest displacement: margins then take a little more than half of a tile
AT_ONCE = 8 << 20  # bytes of spectra at a time: about the last cache

Array = np.ndarray[Any, np.dtype[Any]]


def tiling(height: int, width: int, displacement: int) -> tuple[int, int, int]:
    """Rows and columns of the tiles of an image, all alike, and their number."""
    most = SIDE - 2 * displacement
    down, across = math.ceil(height / most), math.ceil(width / most)
    return math.ceil(height / down), math.ceil(width / across), down * across


def joint(p: Tensor, q: Tensor, d: int, weight: Tensor | None) -> Tensor:
    """Counts ``(2d+1, 2d+1, k, k)`` of ``p`` and ``q (n, k, H, W)``, both times ``weight``."""
    k = p.shape[1]
    sums = torch.zeros(HALF * k * k * 2 * SIDE, dtype=p.dtype)
    work = _Work(p, q, d, weight)
    for x, y, _ in work.spectra():
        in_parts(lambda a, b: kernels.add_products(x, y, sums.numpy(), k, a, b), HALF)  # noqa: B023
    rows, columns = _to_displacements(d, p.dtype)
    half = sums.view(-1, 2 * SIDE) @ rows
    half = half.view(HALF, k * k, 2, 2 * d + 1).permute(3, 1, 0, 2).reshape(-1, 2 * HALF)
    # spectra came doubled
    counts = (half @ columns).mul_(0.25 / SIDE**2).view(2 * d + 1, k, k, 2 * d + 1)
    return counts.permute(0, 3, 1, 2).contiguous()


def gradient(
    p: Tensor, q: Tensor, d: int, weight: Tensor | None, change: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of ``p`` and ``q`` where ``change`` is that of the counts."""
    k = p.shape[1]
    rows, columns = _from_displacements(d, p.dtype)
    half = change.permute(2, 3, 0, 1).reshape(-1, 2 * d + 1) @ columns
    half = half.view(k * k, 2 * d + 1, HALF, 2).permute(2, 0, 3, 1).reshape(-1, 4 * d + 2)
    factors = (half @ rows).mul_(0.5 / SIDE**2).view(-1).numpy()
    to_p, to_q = torch.zeros_like(p), torch.zeros_like(q)
    work = _Work(p, q, d, weight)
    for x, y, tiles in work.spectra():
        in_parts(lambda a, b: kernels.gradients(x, y, factors, k, a, b), HALF)  # noqa: B023
        out = to_p.numpy(), to_q.numpy()
        work.in_parts(kernels.add_tiles, (x, y), tiles, out, k)
    return to_p, to_q


class _Work:
    """Spectra of a batch, a few tiles at a time."""

    def __init__(self, p: Tensor, q: Tensor, d: int, weight: Tensor | None) -> None:
        self.maps = p.numpy(), q.numpy()
        self.weight = np.zeros((0, 0, 0), self.maps[0].dtype) if weight is None else weight.numpy()
        self.displacement = d
        rows, columns, _ = tiling(p.shape[2], p.shape[3], d)
        self.inner = rows, columns
        self.tiles = np.array(
            [
                (i, y, x)
                for i in range(p.shape[0])
                for y in range(0, p.shape[2], rows)
                for x in range(0, p.shape[3], columns)
            ]
        )
        angle = 2 * np.pi * np.arange(SIDE) / SIDE
        self.turns = np.stack([np.cos(angle), -np.sin(angle)]).astype(self.maps[0].dtype)

    def spectra(self) -> Iterator[tuple[Array, Array, Array]]:
        """Spectra of p, of q and the tiles that they are of. The next ones take their place."""
        p, k = self.maps[0], self.maps[0].shape[1]
        tile = k * HALF * 2 * SIDE
        # with fewer than four groups the sums of products, k^2 of them, are what is moved most
        count = max(4, round(AT_ONCE / (2 * tile * p.itemsize * kernels.GROUP))) * kernels.GROUP
        count = min(count, math.ceil(len(self.tiles) / kernels.GROUP) * kernels.GROUP)
        out = np.empty(count * tile, p.dtype), np.empty(count * tile, p.dtype)
        for first in range(0, len(self.tiles), count):
            tiles = np.full((count, 3), -1)
            some = self.tiles[first : first + count]
            tiles[: len(some)] = some
            self.in_parts(kernels.spectra, self.maps, tiles, out, k * count)
            yield *out, tiles

    def in_parts(self, work: Any, source: Any, tiles: Array, target: Any, length: int) -> None:
        given = self.weight, tiles, self.inner, self.displacement, self.turns
        in_parts(lambda a, b: work(*source, *given, *target, a, b), length)


def _angles(d: int, frequencies: int) -> Tensor:
    places = torch.arange(2 * d + 1, dtype=torch.float64)
    turns = torch.arange(frequencies, dtype=torch.float64)[:, None] * places
    return 2 * math.pi / SIDE * turns


@lru_cache(8)
def _to_displacements(d: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Inverse transforms that give the wanted displacements only, as matrices.

    ``(2 SIDE, 2 (2d+1))`` from parts by row frequency to parts by row, and ``(2 HALF, 2d+1)`` from
    column frequencies and parts to columns; frequencies whose opposite was left out count twice.
    """
    angle = _angles(d, SIDE)
    cos, sin = angle.cos(), angle.sin()
    rows = torch.cat([torch.cat([cos, sin], 1), torch.cat([-sin, cos], 1)])
    angle = _angles(d, HALF)
    twice = torch.full((HALF, 1), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1
    columns = torch.stack([twice * angle.cos(), -twice * angle.sin()], 1).flatten(0, 1)
    return rows.to(dtype), columns.to(dtype)


@lru_cache(8)
def _from_displacements(d: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The other way: ``(2 (2d+1), 2 SIDE)`` for rows, ``(2d+1, 2 HALF)`` for columns."""
    angle = _angles(d, SIDE).T
    cos, sin = angle.cos(), angle.sin()
    rows = torch.cat([torch.cat([cos, -sin], 1), torch.cat([sin, cos], 1)])
    angle = _angles(d, HALF).T
    columns = torch.stack([angle.cos(), -angle.sin()], 2).flatten(1)
    return rows.contiguous().to(dtype), columns.contiguous().to(dtype)
