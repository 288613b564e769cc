"""A figure of sampling points drawn on an image."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt

from frugalseg.errors import FrugalsegError
from frugalseg.files import write_whole
from frugalseg.reports._page import render
from frugalseg.reports.pictures import (
    DEFAULT_COLOURS,
    Picture,
    draw_samples,
    overlay,
    shrink,
    to_data_uri,
)

SUFFIXES = (".html", ".png", ".svg")


def write_sampling_figure(
    image: Picture,
    labels: npt.NDArray[Any] | None,
    samplings: Mapping[str, npt.NDArray[Any]],
    path: Path | str,
    colours: Picture = DEFAULT_COLOURS,
    mesh: bool = False,
    of: str = "mask",
) -> None:
    """Draw each sampling's points on the image, side by side, the image with its labels first.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) class indices to lay over the first picture, 255 = ignore; or None.
        samplings: title of each picture and its (h, w, 2) places in [0, 1], for example one for
            each smoothness of the energy.
        path: .html, .png or .svg file to write.
        colours: (C, 3) uint8 of the classes.
        mesh: draw the lines between neighbouring samples too.
        of: what the labels are of, "mask" or "answer", for the caption.

    Raises:
        FrugalsegError: another suffix, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FrugalsegError(
            f"{path}: a figure cannot be written as {path.suffix or 'a file without suffix'}. "
            f"End the name with one of {', '.join(SUFFIXES)}."
        )
    first = image if labels is None else overlay(image, labels, colours)
    panels = {"image" if labels is None else f"image and {of}": shrink(first, 1024)}
    panels |= {title: draw_samples(image, phi, mesh) for title, phi in samplings.items()}
    content = _page(panels) if suffix == ".html" else _figure(panels, suffix[1:])
    write_whole(content, path)


def _page(panels: Mapping[str, Picture]) -> bytes:
    pictures = [
        {
            "caption": title,
            "uri": to_data_uri(panel, "jpeg"),
            "width": panel.shape[1],
            "height": panel.shape[0],
        }
        for title, panel in panels.items()
    ]
    return render("sampling.html", title="Where the samples lie", pictures=pictures).encode()


def _figure(panels: Mapping[str, Picture], format: str) -> bytes:  # noqa: A002
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    height, width = next(iter(panels.values())).shape[:2]
    panel_height = 4.2 * height / width + 0.35
    with matplotlib.rc_context({"svg.hashsalt": "sampling"}):
        figure = Figure(figsize=(4.2 * columns, panel_height * rows), layout="constrained", dpi=160)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for place in axes:
            place.set_axis_off()
        for place, (title, panel) in zip(axes, panels.items(), strict=False):
            place.imshow(panel)
            place.set_title(title, fontsize=11)
        file = io.BytesIO()
        figure.savefig(file, format=format, metadata={"Date": None} if format == "svg" else None)
    return file.getvalue()
