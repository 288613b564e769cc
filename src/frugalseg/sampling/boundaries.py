"""Semantic boundaries: their pixels, the nearest one to each node, and their share of an area."""

from collections.abc import Sequence

import numba
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.sampling.grids import check_sampling, uniform_like, uniform_sampling

# Elements of the table of squared distances that a GPU holds at a time, 4 bytes each (8 for huge
# masks).
_CHUNK = 1 << 25


def semantic_boundaries(
    labels: Tensor,
    targets: Sequence[int] | None = None,
    ignore_index: int = 255,
    towards_ignored: bool = True,
) -> Tensor:
    """Mark the pixels beside which the label changes.

    If two 4-neighbours have different labels, both are marked. Then ignored pixels are unmarked,
    and with ``targets`` also all pixels of other classes. So the labelled side of an edge towards
    ignored pixels stays marked, as in the code of Marin et al. 2019.

    Args:
        labels: ``(N, H, W)`` class ids, any integer type.
        targets: ids of the classes whose boundaries count; None for all classes.
        ignore_index: the id of pixels without a label.
        towards_ignored: whether the edge of a class towards ignored pixels is a boundary.

    Returns:
        ``(N, H, W)`` bool.

    Raises:
        ValueError: ``labels`` has another shape.

    >>> semantic_boundaries(torch.tensor([[[0, 0, 1, 1, 255]]])).int().tolist()
    [[[0, 1, 1, 1, 0]]]
    >>> semantic_boundaries(torch.tensor([[[0, 0, 1, 1, 255]]]), targets=[1]).int().tolist()
    [[[0, 0, 1, 1, 0]]]
    """
    known = labels != ignore_index
    marked = _label_changes(labels, None if towards_ignored else known)
    marked &= known
    if targets is not None:
        marked &= _of_classes(labels, targets)
    return marked


def boundary_maps(
    labels: Tensor,
    size: tuple[int, int],
    targets: Sequence[int] | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Share of boundary pixels in each cell of a coarse grid that tiles the image.

    Args:
        labels: ``(N, H, W)`` class ids.
        size: number of cells ``(h, w)``.
        targets: class ids of the first map; None for all classes.
        ignore_index: the id of pixels without a label.

    Returns:
        ``(N, 2, h, w)`` float32 in ``[0, 1]``: the share of each cell's pixels that are boundary of
        a target class, and the share that are boundary of any class (adaptive average pooling).

    >>> labels = torch.tensor([[[0, 0, 0, 0, 1, 1, 1, 1]]])
    >>> boundary_maps(labels, (1, 4), targets=[1])[0, :, 0].tolist()
    [[0.0, 0.0, 0.5, 0.0], [0.0, 0.5, 0.5, 0.0]]
    """
    of_any = semantic_boundaries(labels, ignore_index=ignore_index)
    of_targets = of_any if targets is None else of_any & _of_classes(labels, targets)
    return F.adaptive_avg_pool2d(torch.stack([of_targets, of_any], 1).float(), size)


def boundary_density(
    labels: Tensor,
    size: tuple[int, int],
    targets: Sequence[int] | None = None,
    all_weight: float = 0.25,
    ignore_index: int = 255,
) -> Tensor:
    """The true density that samples should follow: boundaries of targets, and a little of the rest.

    Args:
        labels: ``(N, H, W)`` class ids.
        size: number of cells ``(h, w)`` that tile the image.
        targets: ids of the classes that matter; None for all classes alike.
        all_weight: weight of the boundaries of all classes; those of the targets have weight 1.
        ignore_index: the id of pixels without a label.

    Returns:
        ``(N, h, w)`` float32, at least 0.

    >>> labels = torch.tensor([[[0, 0, 0, 0, 1, 1, 1, 1]]])
    >>> boundary_density(labels, (1, 4), targets=[1])[0, 0].tolist()
    [0.0, 0.125, 0.625, 0.0]
    """
    maps = boundary_maps(labels, size, targets, ignore_index)
    return maps[:, 1] if targets is None else maps[:, 0] + all_weight * maps[:, 1]


def nearest_boundary(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Find the exact nearest marked pixel to each node of a uniform grid.

    Distances are Euclidean, in pixels of the mask, and are measured from the pixel that a node
    falls on (``round(u * (side - 1))``, halves upwards). If several pixels are equally near, any of
    them may be returned. Tensors on the CPU go through a compiled loop, others through plain tensor
    operations.

    Args:
        mask: ``(N, H, W)``, true or non-zero at boundary pixels.
        size: number of nodes ``(h, w)``, at least 2 each.

    Returns:
        ``(N, h, w, 2)`` float32, ``(row, col)`` in ``[0, 1]``. If a mask marks nothing, each node
        gets its own position, so that uniform sampling follows.

    Raises:
        ValueError: ``mask`` has another shape.

    >>> mask = torch.zeros(1, 5, 5)
    >>> mask[0, 4, 2] = 1
    >>> nearest_boundary(mask, (2, 2))[0, 0].tolist()
    [[1.0, 0.5], [1.0, 0.5]]
    """
    if mask.ndim != 3:
        raise ValueError(f"masks are (N, H, W), not {tuple(mask.shape)}")
    height, width = mask.shape[1:]
    rows, cols = _node_pixels(size[0], height), _node_pixels(size[1], width)
    marked = mask if mask.dtype == torch.bool else mask != 0
    if mask.device.type == "cpu":
        bits = marked.contiguous().view(torch.uint8).numpy()
        pixels = torch.from_numpy(_nearest_pixels(bits, rows, cols))
    else:
        pixels = _nearest_pixels_torch(marked, rows, cols)
    scale = torch.tensor([max(height - 1, 1), max(width - 1, 1)], device=mask.device)
    own = uniform_sampling(size, 1, torch.float32, mask.device)
    return torch.where(pixels[..., :1] < 0, own, pixels / scale)


def fade_pull(nearest: Tensor, distance: float | Tensor = 0.12) -> Tensor:
    """Let the pull of boundaries fade with distance, so that nodes far from all of them stay put.

    ``u + (b - u) * exp(-|b - u|^2 / (2 distance^2))`` for each node ``u`` and its boundary ``b``.
    The energy stays quadratic in phi: only its goal moves. As less of the image is pulled, a tenth
    of the smoothness or less does no harm.

    Args:
        nearest: ``(N, h, w, 2)`` nearest boundaries, relative.
        distance: relative distance at which 0.61 of the pull is left.

    Returns:
        ``(N, h, w, 2)``.

    >>> corner = torch.zeros(1, 2, 2, 2)  # the nearest boundary of every node
    >>> [round(x, 3) for x in fade_pull(corner, 1.0)[0, 1, 1].tolist()]  # 1 - 1 / e
    [0.632, 0.632]
    """
    check_sampling(nearest)
    own = uniform_like(nearest)
    pull = nearest - own
    return own + pull * torch.exp(-pull.square().sum(-1, keepdim=True) / (2 * distance**2))


def _label_changes(labels: Tensor, known: Tensor | None = None) -> Tensor:
    """Mark both pixels of each pair of 4-neighbours, both known, whose labels differ."""
    if labels.ndim != 3:
        raise ValueError(f"labels are (N, H, W), not {tuple(labels.shape)}")
    marked = torch.zeros_like(labels, dtype=torch.bool)
    for after, before in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[..., 1:], np.s_[..., :-1])):
        change = labels[after] != labels[before]
        if known is not None:
            change &= known[after] & known[before]
        marked[after].logical_or_(change)
        marked[before].logical_or_(change)
    return marked


def _of_classes(labels: Tensor, classes: Sequence[int]) -> Tensor:
    members = torch.zeros_like(labels, dtype=torch.bool)
    for index in classes:
        members |= labels == index
    return members


def _node_pixels(nodes: int, pixels: int) -> NDArray[np.int64]:
    """The pixel that each node of a uniform grid falls on, along one side."""
    if nodes < 2:
        raise ValueError(f"a grid needs at least 2 nodes a side, not {nodes}")
    return (2 * np.arange(nodes) * (pixels - 1) + nodes - 1) // (2 * (nodes - 1))


@numba.njit(cache=True, nogil=True)
def _nearest_pixels(
    mask: NDArray[np.uint8], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.int64]:  # pragma: no cover - compiled
    """``(N, h, w, 2)`` nearest marked pixels, -1 if a mask marks none.

    First find the nearest marked row in each column, for the rows that hold nodes. Then go through
    the columns outwards from each node, until the columns alone are farther than the best pixel.
    """
    count, height, width = mask.shape
    far = np.int32(4 * (height + width))
    nearest = np.full((count, rows.size, cols.size, 2), -1, np.int64)
    gap = np.empty((rows.size, width), np.int32)
    last = np.empty(width, np.int32)
    for n in range(count):
        last[:] = -far
        start = 0
        for i in range(rows.size):
            for r in range(start, rows[i] + 1):
                for c in range(width):
                    last[c] = r if mask[n, r, c] else last[c]
            start = rows[i] + 1
            for c in range(width):
                gap[i, c] = last[c] - rows[i]
        last[:] = far
        start = height - 1
        for i in range(rows.size - 1, -1, -1):
            for r in range(start, rows[i] - 1, -1):
                for c in range(width):
                    last[c] = r if mask[n, r, c] else last[c]
            start = rows[i] - 1
            for c in range(width):
                below = last[c] - rows[i]
                gap[i, c] = below if below < -gap[i, c] else gap[i, c]
        for i in range(rows.size):
            for j in range(cols.size):
                best = np.int64(far) * np.int64(far)
                for step in range(width):
                    if step * step >= best:
                        break
                    for c in (cols[j] - step, cols[j] + step):
                        if 0 <= c < width:
                            rise = np.int64(gap[i, c])
                            if abs(rise) < height and rise * rise + step * step < best:
                                best = rise * rise + step * step
                                nearest[n, i, j, 0] = rows[i] + rise
                                nearest[n, i, j, 1] = c
    return nearest


def _nearest_pixels_torch(mask: Tensor, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Tensor:
    """The same as ``_nearest_pixels`` in tensor operations, for a GPU."""
    count, height, width = mask.shape
    device = mask.device
    at_rows = torch.as_tensor(rows, device=device)
    at_cols = torch.as_tensor(cols, device=device)
    far = 4 * (height + width)
    # 32 bits halve the table of squared distances, if they can hold the largest
    dtype = torch.int32 if far**2 + width**2 < 2**31 else torch.int64
    index = torch.arange(height, device=device, dtype=dtype)[:, None]
    above = torch.where(mask, index, -far).cummax(1).values[:, at_rows]
    below = torch.where(mask, index, far).flip(1).cummin(1).values.flip(1)[:, at_rows]
    own = at_rows.to(dtype)[:, None]
    row = torch.where(below - own < own - above, below, above)  # (N, h, W)
    rise = (row - own).square()
    across = (torch.arange(width, device=device)[None] - at_cols[:, None]).square().to(dtype)
    parts = []
    for part in torch.split(rise, max(1, _CHUNK // (count * width * len(cols))), 1):
        parts.append((part[:, :, None] + across).argmin(-1))
    col = torch.cat(parts, 1)  # (N, h, w)
    nearest = torch.stack([row.long().gather(2, col), col], -1)
    return torch.where(mask.flatten(1).any(1)[:, None, None, None], nearest, -1)
