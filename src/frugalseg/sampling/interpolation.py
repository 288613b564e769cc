"""Interpolate scores at the samples to every pixel of the image, over a triangulation.

The samples form a grid of quads; each is split along its Delaunay diagonal, and a pixel takes the
barycentric mean of its triangle's corners. The rules, the same on every device:

- **Place.** A sample lies at `phi * (size - 1)` pixels, rounded to a small fraction of a pixel
  (2**-18 at 2048 pixels), so that "inside" is decided exactly, in integers. Coordinates outside
  [0, 1] are clamped and NaN is read as 0. An axis of one pixel is read at phi = 0.
- **Diagonal.** Of the quad a = (i, j), b = (i, j+1), c = (i+1, j+1), d = (i+1, j), the diagonal
  a-c if the angles at b and d sum to at most 180 degrees, measured in pixels of the target (so a
  tie, as in every uniform grid, goes to a-c), else b-d; in a quad that is not convex the diagonal
  that lies inside it; a-c if neither does.
- **Overlap.** If folded cells overlap, the last triangle wins: quads count row by row, and in each
  (a, b, c) comes before (a, c, d), or (a, b, d) before (b, c, d).
- **No gaps.** If the first and last rows and columns of samples lie on the image's sides, as every
  sampling of this package has them, the triangles cover every pixel centre, folded or not, since
  they are a continuous image of the square that takes sides to sides. If not, the grid is completed
  by a ring of copies of its outermost samples moved straight out to the sides.

Marin et al. 2019, section 3 (interpolation of the scores over the triangulated samples).
"""

from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from frugalseg.errors import FrugalsegError

Size = tuple[int, int]


def interpolate(scores: Tensor, phi: Tensor, size: Size, rows: Size | None = None) -> Tensor:
    """Interpolate scores at the samples to every pixel.

    Differentiable in the scores; phi is a constant here and gets no gradient.

    Args:
        scores: (N, C, h, w), a vector for each sample. Half precisions are read as float32.
        phi: (N, h, w, 2), (row, col) of each sample in [0, 1], h and w at least 2.
        size: (height, width) of the image.
        rows: the first row and the one behind the last, for a strip of the result, which is the
            same as those rows of the whole; by default all.

    Returns:
        (N, C, height or number of rows, width), float64 for float64 scores, else float32.

    Raises:
        TypeError: scores or phi are not floating point.
        ValueError: shapes that do not fit, a size below 1, rows outside the image, or tensors on
            different devices.

    >>> from frugalseg.sampling import uniform_sampling
    >>> phi = uniform_sampling((3, 3))
    >>> interpolate(torch.arange(9.0).reshape(1, 1, 3, 3), phi, (5, 5))[0, 0, 1]
    tensor([1.5000, 2.0000, 2.5000, 3.0000, 3.5000])
    """
    scores, nodes, size, shift = _prepare(scores, phi, size, rows)
    result: Tensor = _Interpolate.apply(scores, nodes, size, shift)  # type: ignore[no-untyped-call]
    return result


def interpolate_argmax(scores: Tensor, phi: Tensor, size: Size, rows: Size | None = None) -> Tensor:
    """Class of the highest interpolated score at every pixel, without storing the scores.

    The same as `interpolate(scores, phi, size).argmax(1)` except for rounding if classes tie; exact
    ties go to the lowest class.

    Args:
        scores: (N, C, h, w), a vector for each sample; infinite ones lose or win, NaN gives any
            class.
        phi: (N, h, w, 2), (row, col) of each sample in [0, 1], h and w at least 2.
        size: (height, width) of the image.
        rows: the first row and the one behind the last, for a strip of the result, which is the
            same as those rows of the whole; by default all.

    Returns:
        (N, height or number of rows, width): uint8 for up to 255 classes, else int16, beyond 32767
        classes int64.

    Raises:
        TypeError: scores or phi are not floating point.
        ValueError: shapes that do not fit, a size below 1, rows outside the image, or tensors on
            different devices.

    >>> from frugalseg.sampling import uniform_sampling
    >>> scores = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 2.0]]])[None]
    >>> interpolate_argmax(scores, uniform_sampling((2, 2)), (1, 7))
    tensor([[[0, 0, 0, 1, 1, 1, 1]]], dtype=torch.uint8)
    """
    scores, nodes, size, shift = _prepare(scores, phi, size, rows)
    classes = scores.shape[1]
    dtype = torch.uint8 if classes <= 255 else torch.int16 if classes <= 32767 else torch.int64
    labels: Tensor = _backend(scores).argmax(scores.detach(), nodes, size, shift, dtype)
    return labels


def _sides(size: Size, shift: int) -> list[int]:
    """Position of phi = 1: the last pixel, or within it if it is the only one."""
    return [(length - 1 << shift) if length > 1 else (1 << shift) - 1 for length in size]


def snap(phi: Tensor, size: Size) -> tuple[Tensor, int]:
    """Positions of the samples as integers: pixels times 2**shift, (N, h, w, 2) int64; the shift.

    The shift is such that twice the area of any triangle fits in 61 bits.
    """
    shift = max(0, 30 - max(size).bit_length())
    scale = torch.tensor(_sides(size, shift), dtype=torch.float64, device=phi.device)
    relative = phi.detach().double().nan_to_num(nan=0.0).clamp(0, 1)
    return (relative * scale).round().long().contiguous(), shift


def _complete(scores: Tensor, nodes: Tensor, size: Size, shift: int) -> tuple[Tensor, Tensor]:
    """If the outermost samples are not on the sides, add a ring of copies moved straight there."""
    bottom, right = _sides(size, shift)
    on_sides = (
        (nodes[:, 0, :, 0] == 0).all()
        & (nodes[:, -1, :, 0] == bottom).all()
        & (nodes[:, :, 0, 1] == 0).all()
        & (nodes[:, :, -1, 1] == right).all()
    )
    if bool(on_sides):
        return scores, nodes
    ring = F.pad(nodes.permute(0, 3, 1, 2).double(), (1, 1, 1, 1), mode="replicate")
    ring = ring.long().permute(0, 2, 3, 1).contiguous()
    ring[:, 0, :, 0], ring[:, -1, :, 0] = 0, bottom
    ring[:, :, 0, 1], ring[:, :, -1, 1] = 0, right
    return F.pad(scores, (1, 1, 1, 1), mode="replicate"), ring


def _prepare(
    scores: Tensor, phi: Tensor, size: Size, rows: Size | None
) -> tuple[Tensor, Tensor, Size, int]:
    """Check the arguments; return float32 or float64 scores and snapped samples without gaps.

    Of a strip, samples are counted from its first row, and the size is its own: all that follows
    depends on differences of whole numbers, so nothing changes.
    """
    if not (scores.is_floating_point() and phi.is_floating_point()):
        raise TypeError(
            f"scores and phi must be floating point, not {scores.dtype} and {phi.dtype}"
        )
    if scores.ndim != 4 or min(scores.shape) < 1:
        raise ValueError(f"scores must be (N, C, h, w), not empty, not {tuple(scores.shape)}")
    n, _, h, w = scores.shape
    if tuple(phi.shape) != (n, h, w, 2):
        raise ValueError(
            f"phi must be {(n, h, w, 2)} to fit scores {tuple(scores.shape)}, "
            f"not {tuple(phi.shape)}"
        )
    if min(h, w) < 2:
        raise ValueError(f"the grid must have at least 2 x 2 samples, not {h} x {w}")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be (height, width), each at least 1, not {tuple(size)}")
    if scores.device != phi.device:
        raise ValueError(f"scores are on {scores.device} but phi is on {phi.device}")
    size = (int(size[0]), int(size[1]))
    if scores.dtype not in (torch.float32, torch.float64):
        scores = scores.float()
    if rows is not None and not 0 <= rows[0] < rows[1] <= size[0]:
        raise ValueError(f"rows must be (first, last + 1) of {size[0]} rows, not {tuple(rows)}")
    nodes, shift = snap(phi, size)
    scores, nodes = _complete(scores, nodes, size, shift)
    if rows is not None:
        nodes = nodes - nodes.new_tensor([rows[0] << shift, 0])
        size = (rows[1] - rows[0], size[1])
    return scores, nodes, size, shift


def _backend(scores: Tensor) -> ModuleType:
    """The module with the kernels for the scores' device."""
    if scores.device.type == "cpu":
        from frugalseg.sampling import _raster_cpu

        return _raster_cpu
    try:
        from frugalseg.sampling import _raster_triton
    except ImportError as error:
        raise FrugalsegError(
            f"interpolation on {scores.device} needs triton, which is not installed; "
            "install it with `pip install frugalseg[gpu]` or move scores and phi to the CPU"
        ) from error
    return _raster_triton


class _Interpolate(torch.autograd.Function):
    """Linear in the scores; the raster depends on phi alone and is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, nodes: Tensor, size: Size, shift: int) -> Tensor:
        backend = _backend(scores)
        corners, weights = backend.raster(nodes, size, shift, scores.dtype)
        ctx.save_for_backward(corners, weights, nodes)
        ctx.shift = shift
        result: Tensor = backend.gather(scores, corners, weights)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        corners, weights, nodes = ctx.saved_tensors
        scattered = _backend(grad).scatter(grad, corners, weights, nodes, ctx.shift)
        return scattered, None, None, None
