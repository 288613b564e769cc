"""A finished discovery, loaded, and its answers for images of any size, in tiles if large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.augment.views import plain_frame
from frugalseg.data.images import Pixels, as_pixels, resize_image, scaled_size
from frugalseg.engine.run_dir import finite_answer
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.model import IICRun

TILE = 1024  # pixels; larger images are answered in tiles...
MARGIN = 128  # ...that overlap by so much on every side, or 4 of the network's coarsest steps
STRIP = 1 << 24  # values that are enlarged at once

Box = tuple[slice, slice]


@dataclass(frozen=True)
class RegionPrediction:
    """The regions of one image.

    Attributes:
        name: of the image.
        labels: (H, W) regions.
        pixels: (H, W, 3 or 4) the image.
        soft: (k, h, w) probabilities at the network's resolution.
    """

    name: str
    labels: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    soft: NDArray[np.float32]


class DiscoverRun(IICRun[DiscoverConfig]):
    """A finished discovery, loaded."""

    config_class = DiscoverConfig

    @property
    def classes(self) -> int:
        """k, kinds of region."""
        return self.clusters

    @property
    def region_names(self) -> tuple[str, ...]:
        """Names of the regions: the classes that they stand for by masks, or "region 0", ..."""
        plain = tuple(f"region {i}" for i in range(self.classes))
        return tuple(self.state.get("region_names") or plain)

    def predict(self, image: Path | str | Pixels) -> RegionPrediction:
        """Divide an image into regions: :func:`predict_image`."""
        return predict_image(self, image)


def discover_labels(
    run: DiscoverRun, image: Path | str | Pixels, head: str = "main"
) -> NDArray[np.uint8]:
    """The region of each pixel of an image.

    Args:
        run: a finished run.
        image: a file, or (H, W, 3) uint8; with four bands if the run sees infrared.
        head: "main", or "overcluster" for the finer regions.

    Returns:
        (H, W) uint8 regions, 0 to k - 1 of that head, at the image's own size.

    Raises:
        FrugalsegError: the image cannot be read.
    """
    pixels = read_pixels(run, image)
    soft = soft_regions(run, pixels, head)
    return labels_from_soft(run, soft, (pixels.shape[0], pixels.shape[1]))


def finer_labels(run: DiscoverRun, image: Path | str | Pixels) -> NDArray[np.uint8]:
    """(H, W) regions of the overclustering head.

    Raises:
        FrugalsegError: the run has not trained it, or the image cannot be read.
    """
    if "overcluster" not in run.config.head_order:
        raise FrugalsegError(
            f"{run.dir} has no finer regions: its --head-order leaves out overcluster."
        )
    return discover_labels(run, image, "overcluster")


def predict_image(run: DiscoverRun, image: Path | str | Pixels, name: str = "") -> RegionPrediction:
    """Divide one image.

    Args:
        run: a finished run.
        image: a file, or (H, W, 3) uint8; with four bands if the run sees infrared.
        name: of the image.

    Raises:
        FrugalsegError: the image cannot be read.
    """
    pixels = read_pixels(run, image)
    soft = soft_regions(run, pixels)
    labels = labels_from_soft(run, soft, (pixels.shape[0], pixels.shape[1]))
    return RegionPrediction(name, labels, pixels, soft.numpy())


def soft_regions(run: DiscoverRun, image: Path | str | Pixels, head: str = "main") -> Tensor:
    """Probabilities of the regions at the network's resolution.

    Args:
        run: a finished run.
        image: a file, or (H, W, 3 or 4) uint8.
        head: "main" or "overcluster"; its sub-head of lowest loss answers.

    Returns:
        (k, h, w) float32 on the CPU, summing to 1 over k.

    Raises:
        FrugalsegError: the image cannot be read.
    """
    chosen = run.sub_head if head == "main" else run.overcluster_sub_head
    return place_answers(run, image, lambda shown: run.net(shown, head)[chosen, 0])


def place_answers(
    run: DiscoverRun, image: Path | str | Pixels, answer: Callable[[Tensor], Tensor]
) -> Tensor:
    """The answers of a function for the places of an image, in tiles if the image is large.

    Args:
        run: a finished run, which says how images are seen.
        image: a file, or (H, W, 3 or 4) uint8.
        answer: from one image ``(1, C, H, W)``, as the run's backbone takes it, to
            ``(c, ceil(H / stride), ceil(W / stride))``.

    Returns:
        (c, h, w) float32 on the CPU, at the network's resolution.

    Raises:
        FrugalsegError: the image cannot be read.
    """
    pixels = read_pixels(run, image)
    size = scaled_size((pixels.shape[0], pixels.shape[1]), not_none(run.config.side))
    scaled = resize_image(pixels, size)
    if max(scaled.shape[:2]) <= TILE:
        return _answer(run, scaled, answer)
    stride = run.net.backbone.stride
    height, width = (-(-length // stride) for length in scaled.shape[:2])
    whole: Tensor | None = None
    multiple = run.net.backbone.multiple
    for outer, inner in tiles(scaled.shape[:2], multiple, TILE, MARGIN):
        answers = _answer(run, scaled[outer], answer)
        rows, columns = (slice(part.start // stride, -(-part.stop // stride)) for part in inner)
        if whole is None:
            whole = torch.empty(len(answers), height, width)
        y, x = (part.start // stride for part in outer)
        inside = answers[:, rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
        whole[:, rows, columns] = inside
    return not_none(whole)


def tiles(
    size: tuple[int, ...], multiple: int, tile: int, margin: int
) -> Iterator[tuple[Box, Box]]:
    """Tiles of an image that begin at multiples of the network's coarsest step.

    Args:
        size: height and width.
        multiple: the coarsest step in pixels.
        tile: greatest side of a tile.
        margin: pixels on each side of a tile that are computed but not kept.

    Yields:
        Rows and columns to compute, and those to keep, which cover the image once.
    """
    margin = -(-max(margin, 4 * multiple) // multiple) * multiple
    step = max((tile - 2 * margin) // multiple, 1) * multiple
    for y in range(0, size[0], step):
        for x in range(0, size[1], step):
            inner = slice(y, min(y + step, size[0])), slice(x, min(x + step, size[1]))
            outer = (
                slice(max(0, y - margin), min(y + step + margin, size[0])),
                slice(max(0, x - margin), min(x + step + margin, size[1])),
            )
            yield outer, inner


def labels_from_soft(run: DiscoverRun, soft: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Enlarge probabilities linearly and take the most probable regions, some rows at a time.

    Args:
        run: the run that gave them.
        soft: (k, h, w) probabilities of an image.
        size: height and width of the image.

    Returns:
        (*size) uint8.
    """
    scaled = scaled_size(size, not_none(run.config.side))
    stride = run.net.backbone.stride
    places = [
        (torch.arange(length) + 0.5) * (small / stride) / length - 0.5
        for length, small in zip(size, scaled, strict=True)
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
    """The two neighbours of each place on a line of `count` points, and the share of the second."""
    places = places.clamp(0, count - 1)
    first = places.floor().long()
    return first, (first + 1).clamp_max(count - 1), places - first


def read_pixels(run: DiscoverRun, image: Path | str | Pixels) -> Pixels:
    """The pixels of an image as a run sees them: (H, W, 3), or 4 bands with infrared."""
    return as_pixels(image, run.config.bands)


def _answer(run: DiscoverRun, pixels: Pixels, answer: Callable[[Tensor], Tensor]) -> Tensor:
    """The answers for an image or tile at the network's size."""
    device = next(run.net.parameters()).device
    stacked = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    shown = plain_frame(stacked.to(device).float() / 255, run.config.views)
    with torch.inference_mode():
        return finite_answer(answer(shown).float().cpu())
