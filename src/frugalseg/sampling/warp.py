"""Reading an image at its samples: points, or averages over the area of each sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from frugalseg._threads import parallel_for
from frugalseg.sampling.grids import cell_spacing, check_sampling

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Array = np.ndarray[Any, np.dtype[Any]]


def to_grid_sample(phi: Tensor) -> Tensor:
    """Coordinates for ``torch.nn.functional.grid_sample(..., align_corners=True)``.

    Args:
        phi: ``(..., 2)``, ``(row, col)`` in ``[0, 1]``.

    Returns:
        ``(..., 2)``, ``(x, y)`` in ``[-1, 1]``.

    >>> to_grid_sample(torch.tensor([0.0, 0.75])).tolist()
    [0.5, -1.0]
    """
    return phi.flip(-1) * 2 - 1


def footprint(phi: Tensor, size: tuple[int, int]) -> Tensor:
    """Height and width in pixels of the area that each sample stands for, at least one pixel.

    Args:
        phi: ``(N, h, w, 2)`` in ``[0, 1]``.
        size: image size ``(H, W)``.

    Returns:
        ``(N, h, w, 2)`` in pixels: the distance between neighbouring samples along each side.

    >>> line = torch.tensor([0.0, 0.5, 1.0])
    >>> phi = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)[None]
    >>> footprint(phi, (9, 5))[0, 1, 1].tolist()
    [4.0, 2.0]
    """
    h, w = phi.shape[1:3]
    spacing = cell_spacing(phi)
    uniform = phi.new_tensor([(size[0] - 1) / (h - 1), (size[1] - 1) / (w - 1)])
    return (spacing * uniform).clamp_min(1.0)


def sample(image: Tensor, phi: Tensor, mode: str = "bilinear", antialias: bool = False) -> Tensor:
    """Read an image at the samples.

    Args:
        image: ``(N, C, H, W)``, or labels ``(N, H, W)`` of an integer type (``mode="nearest"``).
        phi: ``(N, h, w, 2)``, ``(row, col)`` in ``[0, 1]``.
        mode: ``"bilinear"``, or ``"nearest"`` (halves upwards) for values that must not be mixed.
        antialias: average over the sample's own footprint, a box as high and as wide as the
            distances to its neighbours (unequal in the two directions, clipped to the image),
            instead of reading a point. Both agree if samples are at most a pixel apart.

    Returns:
        ``(N, C, h, w)`` or ``(N, h, w)``. Bilinear reading is differentiable in ``image`` and in
        ``phi``, antialiased or not.

    Raises:
        ValueError: the shapes do not fit together or the mode is unknown.

    >>> image = torch.arange(6.0).reshape(1, 1, 2, 3)
    >>> sample(image, torch.tensor([[[[0.0, 0.5], [1.0, 1.0]], [[0.5, 0.25], [1.0, 0.0]]]]))
    tensor([[[[1., 5.],
              [2., 3.]]]])
    """
    check_sampling(phi)
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"mode is 'bilinear' or 'nearest', not {mode!r}")
    if image.ndim not in (3, 4) or len(image) != len(phi):
        raise ValueError(
            f"image is (N, C, H, W) or (N, H, W) with N as in phi, not {tuple(image.shape)} "
            f"beside {tuple(phi.shape)}"
        )
    if mode == "nearest":
        if antialias:
            raise ValueError("antialias averages pixels, which mode='nearest' must not")
        return _nearest(image, phi)
    if image.ndim != 4:
        raise ValueError("bilinear reading needs an (N, C, H, W) image; labels take 'nearest'")
    image = image if image.is_floating_point() else image.to(phi.dtype)
    if not antialias:
        return F.grid_sample(image, to_grid_sample(phi).to(image.dtype), align_corners=True)
    needs_gradient = torch.is_grad_enabled() and (image.requires_grad or phi.requires_grad)
    if image.device.type == "cpu" and not needs_gradient:
        return _box_means_cpu(image, phi)
    return _box_means(image, phi)


def sample_pixels(
    pixels: Pixels, phi: Tensor, covered: tuple[float, float] | None = None
) -> Tensor:
    """Read 8-bit pixels with antialiasing, touching only those under the samples.

    Args:
        pixels: ``(H, W, C)`` uint8 array, as decoders give it; any strides (a crop, a flip).
        phi: ``(h, w, 2)`` in ``[0, 1]``, on the CPU.
        covered: rows and columns that belong to the image, see :func:`area_average`. Of an image
            decoded smaller, ``phi`` is from :func:`frugalseg.sampling.reduced_sampling`.

    Returns:
        ``(C, h, w)`` float32 in ``[0, 1]``, as ``sample(..., antialias=True)`` of ``pixels / 255``.

    >>> pixels = np.full((4, 4, 3), 51, np.uint8)
    >>> phi = torch.tensor([[[0.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]])
    >>> [[round(x, 3) for x in row] for row in sample_pixels(pixels, phi)[0].tolist()]
    [[0.2, 0.2], [0.2, 0.2]]
    """
    out = torch.empty(pixels.shape[2], *phi.shape[:2])
    centre, extent = _boxes(phi[None], pixels.shape[:2])
    if covered:
        low, high = centre - extent / 2, np.minimum(centre + extent / 2, np.array(covered) - 0.5)
        centre, extent = (low + high) / 2, high - low
    _fill_box_means(pixels, centre[0], extent[0], out.numpy(), 1 / 255)
    return out


def sample_labels(labels: Pixels, phi: Tensor) -> Tensor:
    """Read the label nearest to each sample from an array of any strides.

    Args:
        labels: ``(H, W)`` uint8 array.
        phi: ``(h, w, 2)`` in ``[0, 1]``, on the CPU.

    Returns:
        ``(h, w)`` int64, as ``sample(..., mode="nearest")``.

    >>> labels = np.array([[3, 3, 7]], np.uint8)
    >>> sample_labels(labels, torch.tensor([[[0.0, 0.4], [0.0, 1.0]]])).tolist()
    [[3, 7]]
    """
    height, width = labels.shape
    pixel = np.floor(phi.detach().numpy() * [height - 1, width - 1] + 0.5).astype(np.int64)
    row = pixel[..., 0].clip(0, height - 1)
    col = pixel[..., 1].clip(0, width - 1)
    return torch.from_numpy(labels[row, col].astype(np.int64))


def area_average(
    pixels: Pixels, size: tuple[int, int], covered: tuple[float, float] | None = None
) -> Tensor:
    """Shrink 8-bit pixels: the exact mean over each of the cells that tile the image.

    Args:
        pixels: ``(H, W, C)`` uint8 array, any strides.
        size: number of cells ``(a, b)``; if it exceeds the image's size, neighbours repeat.
        covered: rows and columns to tile, if the last ones hold a part of a pixel, as those of an
            image decoded smaller do; by default all.

    Returns:
        ``(C, a, b)`` float32 in ``[0, 1]``.

    >>> pixels = np.array([0, 255, 51, 51], np.uint8).reshape(1, 4, 1)
    >>> [round(x, 3) for x in area_average(pixels, (1, 2))[0, 0].tolist()]
    [0.5, 0.2]
    """
    channels = pixels.shape[2]
    rows, columns = covered or pixels.shape[:2]
    extent = np.empty((*size, 2))
    extent[:] = rows / size[0], columns / size[1]
    index = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij"), -1)
    out = np.empty((channels, *size), np.float32)
    _fill_box_means(pixels, (index + 0.5) * extent - 0.5, extent, out, 1 / 255)
    return torch.from_numpy(out)


def _nearest(image: Tensor, phi: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    pixel = (phi.detach() * phi.new_tensor([height - 1, width - 1]) + 0.5).floor()
    row, col = pixel.long().clamp_min(0).unbind(-1)
    index = row.clamp_max(height - 1) * width + col.clamp_max(width - 1)
    flat = image.reshape(len(image), -1, height * width)
    index = index.flatten(1)[:, None].expand(-1, flat.shape[1], -1)
    values = flat.gather(2, index).reshape(len(image), -1, *phi.shape[1:3])
    return values if image.ndim == 4 else values[:, 0]


def _box_means_cpu(image: Tensor, phi: Tensor) -> Tensor:
    """Means over the samples' boxes, by the kernel, channel by channel."""
    out = image.new_empty(*image.shape[:2], *phi.shape[1:3])
    centre, extent = _boxes(phi, image.shape[-2:])
    for n, planes in enumerate(image.detach().numpy()):
        for plane, means in zip(planes, out[n].numpy(), strict=True):
            _fill_box_means(plane[..., None], centre[n], extent[n], means[None], 1.0)
    return out


def _boxes(phi: Tensor, size: Sequence[int]) -> tuple[Array, Array]:
    """Centre and extent in pixels of each sample's box, both ``(N, h, w, 2)``."""
    height, width = size
    phi = phi.detach().double()
    centre = phi * phi.new_tensor([height - 1, width - 1])
    return centre.numpy(), footprint(phi, (height, width)).numpy()


def _fill_box_means(pixels: Array, centre: Array, extent: Array, out: Array, scale: float) -> None:
    """Fill ``out (C, h, w)`` with means of ``pixels (H, W, C)`` over boxes ``(h, w, 2)``."""
    from frugalseg.sampling._warp_numba import box_means

    for axis in (0, 1):  # mirror an axis of negative stride, and the boxes with it
        if pixels.strides[axis] < 0:
            pixels = np.flip(pixels, axis)
            centre = centre.copy()
            centre[..., axis] = pixels.shape[axis] - 1 - centre[..., axis]
    _, width, channels = pixels.shape
    item = pixels.itemsize
    if pixels.strides[1:] != (channels * item, item) or pixels.strides[0] % item:
        pixels = np.ascontiguousarray(pixels)
    stride = pixels.strides[0] // item
    length = (len(pixels) - 1) * stride + width * channels
    flat = np.lib.stride_tricks.as_strided(pixels, (length,), (item,), writeable=False)
    exact = np.float32 if pixels.dtype == np.uint8 else np.float64  # sums up to 65,793 rows

    def work(first: int, last: int) -> None:
        row = np.empty(width * channels + 32, exact)
        box_means(flat, stride, pixels.shape, centre, extent, out, scale, row, first, last)

    parallel_for(work, len(centre), 8)


def _box_means(image: Tensor, phi: Tensor) -> Tensor:
    """The same by a summed-area table: bilinear reading of it integrates pixels exactly."""
    height, width = image.shape[-2:]
    offset = image.mean((2, 3), keepdim=True)  # keeps the running sums small and so exact
    table = F.pad((image - offset).double().cumsum(2).cumsum(3), (1, 0, 1, 0))
    size = phi.new_tensor([height, width])
    # pixel p covers [p, p + 1] in the table's coordinates
    centre = phi * (size - 1) + 0.5
    half = footprint(phi, (height, width)) / 2
    low = (centre - half).clamp_min(0)
    high = torch.minimum(centre + half, size)

    def integral(row: Tensor, col: Tensor) -> Tensor:
        corner = to_grid_sample(torch.stack([row / height, col / width], -1).double())
        return F.grid_sample(table, corner, padding_mode="border", align_corners=True)

    (top, left), (bottom, right) = low.unbind(-1), high.unbind(-1)
    total = integral(bottom, right) - integral(bottom, left)
    total = total - integral(top, right) + integral(top, left)
    area = (high - low).prod(-1)[:, None]
    return (total / area).to(image.dtype) + offset
