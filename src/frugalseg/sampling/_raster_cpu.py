"""Rasters of the triangulated grid of samples on the CPU, in bands on torch's number of threads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg._threads import run_tasks, split_range
from frugalseg.sampling import _raster_numba as kernels

Array = NDArray[Any]


def _in_bands(work: Callable[[int, int, int], None], images: int, length: int, grain: int) -> None:
    """Call work(image, first, last) over bands of at least `grain` of each image's lines."""
    threads = torch.get_num_threads()
    # several bands for each thread, as crowded regions take longer than others
    bands = split_range(length, 1 if threads == 1 else min(4 * threads, length // grain))
    run_tasks(work, [(n, *band) for n in range(images) for band in bands])


def _split_all(nodes: Array) -> tuple[Array, Array]:
    """The diagonal of each quad, and the rows that each line of quads touches."""
    n, h, w, _ = nodes.shape
    splits = np.empty((n, h - 1, w - 1), np.uint8)
    extent = np.empty((n, h - 1, 2), np.int64)

    def work(k: int, first: int, last: int) -> None:
        kernels.split(nodes[k, first : last + 1], splits[k, first:last], extent[k, first:last])

    _in_bands(work, n, h - 1, 64)
    return splits, extent


def _paint(points: Array, splits: Array, extent: Array, size: tuple[int, int], shift: int) -> Array:
    """Number of the triangle at each pixel, (N, H, W) int32."""
    out = np.zeros((len(points), *size), np.int32)

    def work(k: int, first: int, last: int) -> None:
        kernels.paint_triangles(points[k], splits[k], extent[k], shift, first, last - 1, out[k])

    _in_bands(work, len(points), size[0], 16)
    return out


def raster(
    nodes: Tensor, size: tuple[int, int], shift: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Corners (N, H, W, 3) int32 and barycentric weights (N, H, W, 3) of each pixel."""
    points = nodes.numpy()
    splits, extent = _split_all(points)
    numbers = _paint(points, splits, extent, size, shift)
    corners = torch.empty((*numbers.shape, 3), dtype=torch.int32)
    weights = torch.empty((*numbers.shape, 3), dtype=dtype)
    c, v = corners.numpy(), weights.numpy()

    def work(k: int, first: int, last: int) -> None:
        kernels.weigh(points[k], splits[k], shift, first, last - 1, numbers[k], c[k], v[k])

    _in_bands(work, nodes.shape[0], size[0], 16)
    return corners, weights


def gather(scores: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Interpolate scores (N, C, h, w) by a raster: (N, C, H, W)."""
    n, channels = scores.shape[:2]
    result = scores.new_empty((n, channels, *corners.shape[1:3]))
    s, out = scores.detach().flatten(2).contiguous().numpy(), result.numpy()
    c, v = corners.numpy(), weights.numpy()

    def work(k: int, first: int, last: int) -> None:
        kernels.gather(s[k], c[k], v[k], first, last - 1, out[k])

    _in_bands(work, n, corners.shape[1], 16)
    return result


def scatter(grad: Tensor, corners: Tensor, weights: Tensor, nodes: Tensor, shift: int) -> Tensor:
    """The transpose of `gather`: from (N, C, H, W) back to (N, C, h, w)."""
    n, channels = grad.shape[:2]
    h, w = nodes.shape[1:3]
    result = grad.new_zeros((n, channels, h * w))
    g, out = grad.detach().contiguous().numpy(), result.numpy()
    c, v = corners.numpy(), weights.numpy()

    def work(k: int, first: int, last: int) -> None:
        kernels.scatter(g[k], c[k], v[k], first, last, out[k])

    _in_bands(work, n, channels, 4)
    return result.reshape(n, channels, h, w)


def argmax(
    scores: Tensor, nodes: Tensor, size: tuple[int, int], shift: int, dtype: torch.dtype
) -> Tensor:
    """Best class of each pixel, (N, H, W), without storing the scores of the pixels."""
    n, channels = scores.shape[:2]
    planes = scores.detach().flatten(2).contiguous().numpy()
    points = nodes.numpy()
    rows = np.empty((n, planes.shape[2], channels), planes.dtype)
    winners = np.empty((n, planes.shape[2]), np.int64)
    result = torch.empty((n, *size), dtype=dtype)
    out = result.numpy()

    def prepare(k: int, first: int, last: int) -> None:
        kernels.winners(planes[k], first, last, rows[k], winners[k])

    def paint(k: int, first: int, last: int) -> None:
        kernels.paint_classes(
            rows[k], winners[k], points[k], splits[k], extent[k], shift, first, last - 1, out[k]
        )

    splits, extent = _split_all(points)
    _in_bands(prepare, n, planes.shape[2], 4096)
    _in_bands(paint, n, size[0], 16)
    return result
