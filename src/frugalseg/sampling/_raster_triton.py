"""Rasters of the triangulated grid of samples on a GPU; the same answers as `_raster_cpu`.

Nodes are integers, in fractions of a pixel (`interpolation.snap`), so "inside" is exact. The
backward pass adds quad by quad in a fixed order, without atomic additions, so that the same input
gives the same gradient.
"""

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional as F

PIXELS = 256  # for each program that goes over pixels or quads one by one
TILE_ROWS, TILE_COLUMNS = 8, 16  # pixels that a program takes at a time if it owns a quad
HUGE = 1e30
CHANNELS = 8  # for each program of the backward pass

_jit: Callable[[Any], Any] = triton.jit


@_jit
def _cross(ar, ac, br, bc, cr, cc):
    """Twice the signed area of the triangle a b c."""
    return (br - ar) * (cc - ac) - (bc - ac) * (cr - ar)


@_jit
def _alike(x, y):
    """Whether both are above 0 or both below."""
    return ((x > 0) & (y > 0)) | ((x < 0) & (y < 0))


@_jit
def _corner_a(quad, h, w):
    """Image and first node of a quad; quads count over the whole batch, nodes in the image."""
    image = quad // ((h - 1) * (w - 1))
    quad = quad % ((h - 1) * (w - 1))
    return image, quad // (w - 1) * w + quad % (w - 1)


@_jit
def _split_kernel(nodes, splits, quads, h, w, BLOCK: tl.constexpr):
    """1 for quads split along b-d, 0 for those split along a-c."""
    quad = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = quad < quads
    image, a = _corner_a(quad, h, w)
    at = nodes + 2 * (image.to(tl.int64) * h * w + a)
    ar, ac = tl.load(at, inside, 0), tl.load(at + 1, inside, 0)
    br, bc = tl.load(at + 2, inside, 0), tl.load(at + 3, inside, 0)
    dr, dc = tl.load(at + 2 * w, inside, 0), tl.load(at + 2 * w + 1, inside, 0)
    cr, cc = tl.load(at + 2 * w + 2, inside, 0), tl.load(at + 2 * w + 3, inside, 0)
    abc, acd = _cross(ar, ac, br, bc, cr, cc), _cross(ar, ac, cr, cc, dr, dc)
    along_ac = _alike(abc, acd)
    along_bd = _alike(_cross(ar, ac, br, bc, dr, dc), _cross(br, bc, cr, cc, dr, dc))
    dot_b = (ar - br) * (cr - br) + (ac - bc) * (cc - bc)
    dot_d = (ar - dr) * (cr - dr) + (ac - dc) * (cc - dc)
    x = tl.abs(abc).to(tl.float64) * dot_d.to(tl.float64)
    y = tl.abs(acd).to(tl.float64) * dot_b.to(tl.float64)
    obtuse = x + y < -1e-12 * (tl.abs(x) + tl.abs(y))
    tl.store(splits + quad, (along_bd & (obtuse | (along_ac == 0))).to(tl.uint8), inside)


@_jit
def _holds(pr, pc, qr, qc, sr, sc, y, x):
    """Whether a triangle, edges included, holds a place; a triangle without area holds none."""
    area = _cross(pr, pc, qr, qc, sr, sc)
    one = _cross(qr, qc, sr, sc, y, x)
    two = _cross(sr, sc, pr, pc, y, x)
    three = _cross(pr, pc, qr, qc, y, x)
    left = (area > 0) & (one >= 0) & (two >= 0) & (three >= 0)
    return left | ((area < 0) & (one <= 0) & (two <= 0) & (three <= 0))


@_jit
def _extent(lowest, highest, shift):
    """First and last pixel between two coordinates."""
    return (lowest + (1 << shift) - 1) >> shift, highest >> shift


@_jit
def _load_quad(nodes, quad, h, w, height, shift):
    """A quad's image, first node, corners a to d, and first and last pixel row and column.

    Of a strip of an image, rows outside are left out.
    """
    image, a = _corner_a(quad, h, w)
    at = nodes + 2 * (image.to(tl.int64) * h * w + a)
    ar, ac, br, bc = tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3)
    at += 2 * w
    dr, dc, cr, cc = tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3)
    top, bottom = _extent(
        tl.minimum(tl.minimum(ar, br), tl.minimum(cr, dr)),
        tl.maximum(tl.maximum(ar, br), tl.maximum(cr, dr)),
        shift,
    )
    left, right = _extent(
        tl.minimum(tl.minimum(ac, bc), tl.minimum(cc, dc)),
        tl.maximum(tl.maximum(ac, bc), tl.maximum(cc, dc)),
        shift,
    )
    top, bottom = tl.maximum(top, 0), tl.minimum(bottom, height - 1)
    return image, a, ar, ac, br, bc, cr, cc, dr, dc, top, bottom, left, right


@_jit
def _paint_kernel(
    nodes, splits, numbers, h, w, height, width, shift, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """Write the number of each triangle of a quad to the pixels it holds; the highest stays."""
    quad = tl.program_id(0)
    image, _, ar, ac, br, bc, cr, cc, dr, dc, top, bottom, left, right = _load_quad(
        nodes, quad, h, w, height, shift
    )
    bd = tl.load(splits + quad) != 0
    xr, xc = tl.where(bd, dr, cr), tl.where(bd, dc, cc)
    yr, yc = tl.where(bd, br, ar), tl.where(bd, bc, ac)
    number = 2 * (quad % ((h - 1) * (w - 1)))
    out = numbers + image.to(tl.int64) * height * width
    for r0 in range(top, bottom + 1, ROWS):
        for c0 in range(left, right + 1, COLUMNS):
            row = r0 + tl.arange(0, ROWS)[:, None]
            column = c0 + tl.arange(0, COLUMNS)[None, :]
            y, x = row.to(tl.int64) << shift, column.to(tl.int64) << shift
            first = _holds(ar, ac, br, bc, xr, xc, y, x)
            second = _holds(yr, yc, cr, cc, dr, dc, y, x)
            valid = (first | second) & (row <= bottom) & (column <= right)
            value = tl.where(second, number + 1, number).to(tl.int32)
            tl.atomic_max(out + row.to(tl.int64) * width + column, value, valid)


@_jit
def _triangle_at(nodes, splits, numbers, pixel, inside, h, w, height, width, shift):
    """Image, corners and barycentric weights of the triangle at each pixel."""
    number = tl.load(numbers + pixel, inside, 0)
    image = pixel // (height * width)
    place = pixel % (height * width)
    y, x = (place // width).to(tl.int64) << shift, (place % width).to(tl.int64) << shift
    quad = number >> 1
    bd = tl.load(splits + image * (h - 1) * (w - 1) + quad, inside, 0) != 0
    second = (number & 1) != 0
    a = quad // (w - 1) * w + quad % (w - 1)
    p = tl.where(second & bd, a + 1, a)
    q = tl.where(second, a + w + 1, a + 1)
    s = tl.where(second | bd, a + w, a + w + 1)
    base = nodes + 2 * image * h * w
    pr, pc = tl.load(base + 2 * p, inside, 0), tl.load(base + 2 * p + 1, inside, 0)
    qr, qc = tl.load(base + 2 * q, inside, 0), tl.load(base + 2 * q + 1, inside, 0)
    sr, sc = tl.load(base + 2 * s, inside, 0), tl.load(base + 2 * s + 1, inside, 0)
    area = tl.where(inside, _cross(pr, pc, qr, qc, sr, sc), 1).to(tl.float64)
    wp = _cross(qr, qc, sr, sc, y, x).to(tl.float64) / area
    wq = _cross(sr, sc, pr, pc, y, x).to(tl.float64) / area
    ws = _cross(pr, pc, qr, qc, y, x).to(tl.float64) / area
    return image, p, q, s, wp, wq, ws


@_jit
def _weigh_kernel(
    nodes, splits, numbers, corners, weights, pixels, h, w, height, width, shift,
    BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    _, p, q, s, wp, wq, ws = _triangle_at(
        nodes, splits, numbers, pixel, inside, h, w, height, width, shift
    )
    dtype = weights.dtype.element_ty
    tl.store(corners + 3 * pixel, p, inside)
    tl.store(corners + 3 * pixel + 1, q, inside)
    tl.store(corners + 3 * pixel + 2, s, inside)
    tl.store(weights + 3 * pixel, wp.to(dtype), inside)
    tl.store(weights + 3 * pixel + 1, wq.to(dtype), inside)
    tl.store(weights + 3 * pixel + 2, ws.to(dtype), inside)


@_jit
def _argmax_kernel(
    rows, nodes, splits, numbers, out, pixels, classes, h, w, height, width, shift,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Best class of each pixel; rows are the scores (N, h * w, C)."""
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    image, p, q, s, wp, wq, ws = _triangle_at(
        nodes, splits, numbers, pixel, inside, h, w, height, width, shift
    )
    base = rows + image * h * w * classes
    best = tl.full((BLOCK,), float("-inf"), tl.float64)
    winner = tl.zeros((BLOCK,), tl.int32)
    for k in range(classes):
        score = wp * tl.load(base + p * classes + k, inside, 0).to(tl.float64)
        score += wq * tl.load(base + q * classes + k, inside, 0).to(tl.float64)
        score += ws * tl.load(base + s * classes + k, inside, 0).to(tl.float64)
        winner = tl.where(score > best, k, winner)
        best = tl.where(score > best, score, best)
    tl.store(out + pixel, winner.to(out.dtype.element_ty), inside)


@_jit
def _load_raster(corners, weights, pixel, inside):
    """Corners (-1 if not inside) and weights of pixels, as `_weigh_kernel` stored them."""
    p = tl.load(corners + 3 * pixel, inside, -1)
    q = tl.load(corners + 3 * pixel + 1, inside, -1)
    s = tl.load(corners + 3 * pixel + 2, inside, -1)
    wp = tl.load(weights + 3 * pixel, inside, 0)
    wq = tl.load(weights + 3 * pixel + 1, inside, 0)
    ws = tl.load(weights + 3 * pixel + 2, inside, 0)
    return p, q, s, wp, wq, ws


@_jit
def _gather_kernel(
    scores, corners, weights, out, pixels, channels, nodes, size, BLOCK: tl.constexpr
):
    """Weighted scores (N, C, nodes) of each pixel's corners, for all channels."""
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    p, q, s, wp, wq, ws = _load_raster(corners, weights, pixel, inside)
    plane = pixel // size * channels
    for k in range(channels):
        base = scores + (plane + k) * nodes
        value = wp * tl.load(base + p, inside, 0)
        value += wq * tl.load(base + q, inside, 0)
        value += ws * tl.load(base + s, inside, 0)
        tl.store(out + (plane + k) * size + pixel % size, value, inside)


@_jit
def _share(node, p, q, s, wp, wq, ws):
    """Weight of a node at pixels whose corners are p, q, s."""
    zero = tl.zeros_like(wp)
    share = tl.where(p == node, wp, zero)
    return share + tl.where(q == node, wq, zero) + tl.where(s == node, ws, zero)


@_jit
def _scatter_kernel(
    grad, corners, weights, nodes, parts, part, channels, h, w, height, width, shift,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient that a quad's pixels give to its four corners: parts (4, N, C, h - 1, w - 1)."""
    quad = tl.program_id(0)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    image, a, _, _, _, _, _, _, _, _, top, bottom, left, right = _load_quad(
        nodes, quad, h, w, height, shift
    )
    plane = image.to(tl.int64) * channels + channel
    dtype = grad.dtype.element_ty
    sum_a, sum_b = tl.zeros((BLOCK,), dtype), tl.zeros((BLOCK,), dtype)
    sum_c, sum_d = tl.zeros((BLOCK,), dtype), tl.zeros((BLOCK,), dtype)
    step = tl.arange(0, ROWS * COLUMNS)
    for r0 in range(top, bottom + 1, ROWS):
        for c0 in range(left, right + 1, COLUMNS):
            row, column = r0 + step // COLUMNS, c0 + step % COLUMNS
            inside = (row <= bottom) & (column <= right)
            place = row.to(tl.int64) * width + column
            pixel = image.to(tl.int64) * height * width + place
            p, q, s, wp, wq, ws = _load_raster(corners, weights, pixel, inside)
            # a triangle of this quad: its corners are a or b, b or c, c or d
            own = ((p == a) | (p == a + 1)) & ((q == a + 1) | (q == a + w + 1))
            own &= (s == a + w) | (s == a + w + 1)
            valid = (inside & own)[None, :] & (channel < channels)[:, None]
            g = tl.load(grad + plane[:, None] * height * width + place[None, :], valid, 0)
            sum_a += tl.sum(g * _share(a, p, q, s, wp, wq, ws)[None, :], 1)
            sum_b += tl.sum(g * _share(a + 1, p, q, s, wp, wq, ws)[None, :], 1)
            sum_c += tl.sum(g * _share(a + w + 1, p, q, s, wp, wq, ws)[None, :], 1)
            sum_d += tl.sum(g * _share(a + w, p, q, s, wp, wq, ws)[None, :], 1)
    cells = (h - 1) * (w - 1)
    out = parts + plane * cells + quad % cells
    tl.store(out, sum_a, channel < channels)
    tl.store(out + part, sum_b, channel < channels)
    tl.store(out + 2 * part, sum_c, channel < channels)
    tl.store(out + 3 * part, sum_d, channel < channels)


def _split(nodes: Tensor) -> Tensor:
    """The diagonal of each quad, (N, h - 1, w - 1) uint8."""
    n, h, w, _ = nodes.shape
    splits = torch.empty((n, h - 1, w - 1), dtype=torch.uint8, device=nodes.device)
    grid = (triton.cdiv(splits.numel(), PIXELS),)
    _split_kernel[grid](nodes, splits, splits.numel(), h, w, BLOCK=PIXELS)
    return splits


def _paint(nodes: Tensor, splits: Tensor, size: tuple[int, int], shift: int) -> Tensor:
    """Number of the triangle at each pixel, (N, H, W) int32."""
    n, h, w, _ = nodes.shape
    numbers = torch.full((n, *size), -1, dtype=torch.int32, device=nodes.device)
    _paint_kernel[(splits.numel(),)](
        nodes, splits, numbers, h, w, *size, shift, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS
    )
    return numbers


def raster(
    nodes: Tensor, size: tuple[int, int], shift: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Corners (N, H, W, 3) int32 and barycentric weights (N, H, W, 3) of each pixel."""
    with torch.cuda.device_of(nodes):
        splits = _split(nodes)
        numbers = _paint(nodes, splits, size, shift)
        corners = torch.empty((*numbers.shape, 3), dtype=torch.int32, device=nodes.device)
        weights = torch.empty((*numbers.shape, 3), dtype=dtype, device=nodes.device)
        grid = (triton.cdiv(numbers.numel(), PIXELS),)
        _weigh_kernel[grid](
            nodes, splits, numbers, corners, weights, numbers.numel(), *nodes.shape[1:3], *size,
            shift, BLOCK=PIXELS,
        )  # fmt: skip
    return corners, weights


def gather(scores: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Interpolate scores (N, C, h, w) by a raster: (N, C, H, W)."""
    n, channels, h, w = scores.shape
    _, height, width, _ = corners.shape
    out = scores.new_empty((n, channels, height, width))
    pixels = n * height * width
    with torch.cuda.device_of(scores):
        _gather_kernel[(triton.cdiv(pixels, PIXELS),)](
            scores.detach().contiguous(), corners, weights, out, pixels, channels, h * w,
            height * width, BLOCK=PIXELS,
        )  # fmt: skip
    return out


def scatter(grad: Tensor, corners: Tensor, weights: Tensor, nodes: Tensor, shift: int) -> Tensor:
    """The transpose of `gather`: from (N, C, H, W) back to (N, C, h, w)."""
    n, channels, height, width = grad.shape
    h, w = nodes.shape[1:3]
    parts = grad.new_empty((4, n, channels, h - 1, w - 1))
    with torch.cuda.device_of(grad):
        _scatter_kernel[(n * (h - 1) * (w - 1), triton.cdiv(channels, CHANNELS))](
            grad.detach().contiguous(), corners, weights, nodes, parts, parts[0].numel(), channels,
            h, w, height, width, shift, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS, BLOCK=CHANNELS,
        )  # fmt: skip
    a, b, c, d = parts
    return (
        F.pad(a, (0, 1, 0, 1)) + F.pad(b, (1, 0, 0, 1)) + F.pad(c, (1, 0, 1, 0))
        + F.pad(d, (0, 1, 1, 0))
    )  # fmt: skip


def argmax(
    scores: Tensor, nodes: Tensor, size: tuple[int, int], shift: int, dtype: torch.dtype
) -> Tensor:
    """Best class of each pixel, (N, H, W), without storing the scores of the pixels."""
    n, classes, h, w = scores.shape
    # a sample's scores side by side, and finite, so that a weight of zero does not make NaN of them
    rows = scores.detach().flatten(2).transpose(1, 2).clamp(-HUGE, HUGE).contiguous()
    with torch.cuda.device_of(nodes):
        splits = _split(nodes)
        numbers = _paint(nodes, splits, size, shift)
        out = torch.empty((n, *size), dtype=dtype, device=nodes.device)
        _argmax_kernel[(triton.cdiv(out.numel(), PIXELS),)](
            rows, nodes, splits, numbers, out, out.numel(), classes, h, w, *size, shift,
            BLOCK=PIXELS,
        )  # fmt: skip
    return out
