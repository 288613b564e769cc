"""Let a discovery answer for images of any size, in tiles where they are large."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.data.pictures import (
    Pixels,
    check_picture,
    read_picture,
    resize_picture,
    scaled_size,
)
from frugalseg.discover_runs import DiscoverRun
from frugalseg.training.dense_views import plain_frame
from frugalseg.training.discover_plan import dense_views

TILE = 1024  # pixels; larger images are answered in tiles...
MARGIN = 128  # ...that overlap by so much on every side, or 4 of the network's coarsest steps
STRIP = 1 << 24  # values that are enlarged at once


def discover_labels(
    run: DiscoverRun, image: Path | str | Pixels, head: str = "main"
) -> NDArray[np.uint8]:
    """The region of each pixel of an image.

    Args:
        run: a finished run.
        image: a file, or (H, W, 3) uint8; with four bands where the run sees infrared.
        head: "main", or "over" for the finer regions.

    Returns:
        (H, W) uint8 regions, 0 to k - 1 of that head, at the image's own size.

    Raises:
        FrugalsegError: the image cannot be read.
    """
    pixels = _pixels(run, image)
    soft = soft_regions(run, pixels, head)
    return labels_from_soft(run, soft, (pixels.shape[0], pixels.shape[1]))


def soft_regions(run: DiscoverRun, image: Path | str | Pixels, head: str = "main") -> Tensor:
    """Soft answers at the network's resolution.

    Args:
        run: a finished run; its network is moved to the GPU where there is one.
        image: a file, or (H, W, 3 or 4) uint8.
        head: "main" or "over"; of its sub-head of lowest loss.

    Returns:
        (k, h, w) float32 on the CPU, summing to 1 over k.

    Raises:
        FrugalsegError: the image cannot be read.
    """
    pixels = _pixels(run, image)
    scaled = resize_picture(pixels, scaled_size((pixels.shape[0], pixels.shape[1]), run.plan.side))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run.net.to(device).eval()
    if max(scaled.shape[:2]) <= TILE or run.net.trunk.stretched:
        return _answer(run, scaled, head)
    stride = run.net.trunk.stride
    height, width = (-(-length // stride) for length in scaled.shape[:2])
    whole: Tensor | None = None
    for (top, left), outer, inner in tiles(scaled.shape[:2], run.net.trunk.multiple):
        answers = _answer(run, scaled[outer], head)
        rows, columns = (slice(part.start // stride, -(-part.stop // stride)) for part in inner)
        if whole is None:
            whole = torch.empty(len(answers), height, width)
        inside = _from(rows, top // stride), _from(columns, left // stride)
        whole[:, rows, columns] = answers[:, *inside]
    assert whole is not None
    return whole


def _from(part: slice, start: int) -> slice:
    """A slice counted from a start."""
    return slice(part.start - start, part.stop - start)


Box = tuple[slice, slice]


def tiles(
    size: tuple[int, ...], multiple: int, tile: int = TILE, margin: int = MARGIN
) -> Iterator[tuple[tuple[int, int], Box, Box]]:
    """Tiles of an image that begin at multiples of the network's coarsest step.

    Args:
        size: height and width.
        multiple: the coarsest step in pixels.
        tile: greatest side of what is computed at once.
        margin: pixels beyond the part that is kept.

    Yields:
        Upper left corner; rows and columns to compute; those to keep, which cover the image once.
    """
    margin = -(-max(margin, 4 * multiple) // multiple) * multiple
    step = max((tile - 2 * margin) // multiple, 1) * multiple
    for y in range(0, size[0], step):
        for x in range(0, size[1], step):
            inner = slice(y, min(y + step, size[0])), slice(x, min(x + step, size[1]))
            top, left = max(0, y - margin), max(0, x - margin)
            outer = (
                slice(top, min(y + step + margin, size[0])),
                slice(left, min(x + step + margin, size[1])),
            )
            yield (top, left), outer, inner


def labels_from_soft(run: DiscoverRun, soft: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Enlarge soft answers linearly and take the greatest, some rows at a time.

    Args:
        run: whose answers they are.
        soft: (k, h, w) of an image.
        size: height and width of the image.

    Returns:
        (*size) uint8.
    """
    scaled = scaled_size(size, run.plan.side)
    stride, stretched = run.net.trunk.stride, run.net.trunk.stretched
    places = [
        (torch.arange(length) + 0.5) * (count if stretched else small / stride) / length - 0.5
        for length, small, count in zip(size, scaled, soft.shape[1:], strict=True)
    ]
    left, right, share = _between(places[1], soft.shape[2])
    wide = soft[..., left] * (1 - share) + soft[..., right] * share
    labels = np.empty(size, np.uint8)
    rows = max(1, STRIP // (wide.shape[0] * wide.shape[2]))
    for start in range(0, size[0], rows):
        above, below, part = _between(places[0][start : start + rows], soft.shape[1])
        strip = wide[:, above] * (1 - part[:, None]) + wide[:, below] * part[:, None]
        labels[start : start + rows] = strip.argmax(0).numpy()
    return labels


def _between(places: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Neighbours of places on a line of so many, and the share of the second."""
    places = places.clamp(0, count - 1)
    first = places.floor().long()
    return first, (first + 1).clamp_max(count - 1), places - first


def _pixels(run: DiscoverRun, image: Path | str | Pixels) -> Pixels:
    bands = 4 if run.plan.views["channels"] == "rgbi" else 3
    if isinstance(image, np.ndarray):
        return check_picture(image, bands)
    return read_picture(image, bands)


def _answer(run: DiscoverRun, pixels: Pixels, head: str) -> Tensor:
    """(k, h, w) of an image or tile at the network's size."""
    device = next(run.net.parameters()).device
    stacked = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    shown = plain_frame(stacked.to(device).float() / 255, dense_views(run.plan))
    chosen = run.sub_head if head == "main" else run.over_sub_head
    with torch.inference_mode():
        answers: Tensor = run.net(shown, head)[chosen, 0].float().cpu()
    return answers
