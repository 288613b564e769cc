"""Methods to count displaced pairs, and their gradients: all exact, each the fastest somewhere.

- "shifts": one matrix product for each displacement, on shifted views of the same memory;
- "tiles": in the frequency domain, tile by tile in the cache: CPU, float32 (``_tiles``);
- "fft": in the frequency domain with torch's transforms, a few images at a time: any device.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from frugalseg.iic import _tiles

METHODS = ("shifts", "tiles", "fft")
AT_ONCE = 64 << 20  # bytes of spectra at a time in "fft"


class Problem(NamedTuple):
    """Two batches of maps ``(n, k, H, W)``, their weight ``(n, H, W)`` and the displacement d."""

    p: Tensor
    q: Tensor
    weight: Tensor | None
    d: int

    @property
    def span(self) -> int:
        return 2 * self.d + 1


def choose(problem: Problem) -> str:
    """The method that is estimated to be the fastest of those that can be used.

    A product of spectra takes four multiply-adds for each pair of clusters and frequency; a product
    of maps, a plain matrix product that runs faster, counts as a sixth for each pixel. Moving a map
    through memory counts as 10 for each of its pixels and displacements, a transform as 100 for
    each of its frequencies. If "tiles" can be used, torch's transforms count 3.5 times, with 140
    more for each pair of clusters and place (the transforms of the products), and the fixed cost of
    each call decides for small problems. All factors were measured on two cores.
    """
    n, k, height, width = problem.p.shape
    shifts = n * height * width * (k**2 / 6 + 10 * k) * problem.span**2
    size, spectral = _size(problem), 4 * k**2 + 100 * k
    fft = n * size[0] * (size[1] // 2 + 1) * spectral
    if not _tiles_can(problem):
        return "shifts" if shifts <= fft else "fft"
    frequencies = _tiles.tiling(height, width, problem.d)[2] * _tiles.SIDE * _tiles.HALF
    costs = {
        "shifts": shifts + 7e5 * problem.span**2,
        "tiles": n * frequencies * spectral + 20e6,
        "fft": 3.5 * fft + 140 * k**2 * size[0] * size[1] + 3e6,
    }
    return min(costs, key=lambda method: costs[method])


def usable(problem: Problem, method: str | None) -> str:
    """The method, or the fastest if it is None; ``ValueError`` if it cannot be used."""
    method = method or choose(problem)
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if method == "tiles" and not _tiles_can(problem):
        raise ValueError(f"tiles are for float32 on a CPU and displacements up to {_tiles.MOST}")
    return method


def count(problem: Problem, method: str) -> Tensor:
    """``(2d+1, 2d+1, k, k)``: how often cluster a meets cluster b at each displacement."""
    if method == "shifts":
        return _count_shifts(problem)
    if method == "tiles":
        counts = _tiles.joint(problem.p, problem.q, problem.d, problem.weight)
    else:
        counts = _count_fft(problem)
    return _without_noise(counts)


def gradient(problem: Problem, method: str, change: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the maps from the gradient ``change`` of the counts."""
    if method == "tiles":
        return _tiles.gradient(problem.p, problem.q, problem.d, problem.weight, change)
    return (_gradient_shifts if method == "shifts" else _gradient_fft)(problem, change)


def _tiles_can(problem: Problem) -> bool:
    p = problem.p
    return p.device.type == "cpu" and p.dtype == torch.float32 and problem.d <= _tiles.MOST


def _without_noise(counts: Tensor) -> Tensor:
    """Set zeros to 0 again that a transform has rounded (measured: to a third of this bound)."""
    largest = counts.sum((-2, -1)).amax() / counts.shape[-1]
    return torch.where(counts > 2 * torch.finfo(counts.dtype).eps * largest, counts, 0)


def _weighted(maps: Tensor, weight: Tensor | None) -> Tensor:
    return maps if weight is None else maps * weight[:, None]


def _rows(problem: Problem) -> tuple[Tensor, Tensor]:
    """``p (n, k, m)`` and ``q (n, k, m + 2 margin)`` as rows with zeros between and around.

    Rows are W + d apart, so that a displacement in any direction is an offset in memory and a
    shifted map a view.
    """
    p, q = (_weighted(maps, problem.weight) for maps in (problem.p, problem.q))
    n, k, height, width = p.shape
    d, pitch = problem.d, width + problem.d
    if not d:
        return p.flatten(2), q.flatten(2)
    margin = d * pitch + d
    x, y = p.new_zeros(n, k, height * pitch), p.new_zeros(n, k, height * pitch + 2 * margin)
    x.view(n, k, height, pitch)[..., :width] = p
    y[..., margin : margin + height * pitch].view(n, k, height, pitch)[..., :width] = q
    return x, y


def _starts(problem: Problem) -> Iterator[tuple[int, int, int]]:
    """Indices of each displacement, and its offset in the rows of q."""
    pitch = problem.p.shape[3] + problem.d
    for i in range(problem.span):
        for j in range(problem.span):
            yield i, j, i * pitch + j


def _count_shifts(problem: Problem) -> Tensor:
    x, y = _rows(problem)
    counts = x.new_empty(problem.span, problem.span, x.shape[1], x.shape[1])
    for i, j, start in _starts(problem):
        counts[i, j] = torch.bmm(x, y[..., start : start + x.shape[2]].mT).sum(0)
    return counts


def _gradient_shifts(problem: Problem, change: Tensor) -> tuple[Tensor, Tensor]:
    x, y = _rows(problem)
    n, k, height, width = problem.p.shape
    to_x, to_y = torch.zeros_like(x), torch.zeros_like(y)
    for i, j, start in _starts(problem):
        factor = change[i, j].expand(n, k, k)
        view = slice(start, start + x.shape[2])
        to_x.baddbmm_(factor, y[..., view])
        to_y[..., view].baddbmm_(factor.mT, x)
    pitch = width + problem.d
    margin = problem.d * pitch + problem.d
    to_y = to_y[..., margin : margin + x.shape[2]].contiguous()
    to_p, to_q = (a.view(n, k, height, pitch)[..., :width] for a in (to_x, to_y))
    return _weighted(to_p, problem.weight), _weighted(to_q, problem.weight)


def _size(problem: Problem) -> tuple[int, int]:
    """Rows and columns, of fast lengths, so that displacements up to d do not wrap around."""
    height, width = problem.p.shape[2:]
    return next_fast_len(height + problem.d, True), next_fast_len(width + problem.d, True)


def _spectra(problem: Problem) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """A few images at a time, and the spectra of their maps ``(frequency, image, cluster)``."""
    n, k = problem.p.shape[:2]
    size = _size(problem)
    count = max(1, AT_ONCE // (2 * k * size[0] * (size[1] + 2) * problem.p.element_size()))
    for first in range(0, n, count):
        images = slice(first, first + count)
        weight = None if problem.weight is None else problem.weight[images]
        maps = (_weighted(a[images], weight) for a in (problem.p, problem.q))
        p, q = (torch.fft.rfft2(a, size).flatten(2).permute(2, 0, 1) for a in maps)
        yield images, p, q


def _lags(problem: Problem) -> tuple[Tensor, Tensor]:
    """Rows and columns of the displacements -d to d in an inverse transform."""
    lags = torch.arange(-problem.d, problem.d + 1, device=problem.p.device)
    rows, columns = (lags % length for length in _size(problem))
    return rows[:, None], columns


def _count_fft(problem: Problem) -> Tensor:
    size, k = _size(problem), problem.p.shape[1]
    products: Tensor | None = None
    for _, p, q in _spectra(problem):
        p = p.mH
        products = p @ q if products is None else products.baddbmm_(p, q)
    assert products is not None
    maps = torch.fft.irfft2(products.permute(1, 2, 0).reshape(k, k, size[0], -1), size)
    rows, columns = _lags(problem)
    counts: Tensor = maps[..., rows, columns].permute(2, 3, 0, 1).contiguous()
    return counts


def _gradient_fft(problem: Problem, change: Tensor) -> tuple[Tensor, Tensor]:
    size, (k, height, width) = _size(problem), problem.p.shape[1:]
    maps = change.new_zeros(k, k, *size)
    rows, columns = _lags(problem)
    maps[..., rows, columns] = change.permute(2, 3, 0, 1)
    factors = torch.fft.rfft2(maps).flatten(2).permute(2, 0, 1)
    to_p, to_q = torch.empty_like(problem.p), torch.empty_like(problem.q)
    for images, p, q in _spectra(problem):
        weight = None if problem.weight is None else problem.weight[images]
        for to, products in ((to_p, q @ factors.mH), (to_q, p @ factors)):
            spectra = products.permute(1, 2, 0).reshape(-1, k, size[0], size[1] // 2 + 1)
            maps = torch.fft.irfft2(spectra, size)[..., :height, :width]
            to[images] = _weighted(maps, weight)
    return to_p, to_q
