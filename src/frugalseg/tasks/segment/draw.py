"""Draw where an image would be read: by true boundaries, or by the sampler of a run."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from frugalseg.console import log
from frugalseg.data.class_lists.classes import read_classes
from frugalseg.data.class_lists.statistics import infer_classes
from frugalseg.data.images import read_image
from frugalseg.data.masks import read_mask, read_statistics
from frugalseg.engine.config import Size
from frugalseg.errors import FrugalsegError, printable
from frugalseg.files import atomic_write, folder_name, write_text
from frugalseg.models.samplers import default_thumbnail
from frugalseg.reports.html import render
from frugalseg.reports.images import Picture, draw_samples, overlay, picture, shrink
from frugalseg.sampling import (
    boundary_density,
    boundary_sampling,
    equal_density_sampling,
    uniform_sampling,
)
from frugalseg.tasks.segment.model import load_run
from frugalseg.tasks.segment.predict import small_pixels

SIDE = 1024  # of a picture, at most
SUFFIXES = (".html", ".png", ".svg")


def draw_samplings(
    image: Path,
    mask: Path | None,
    folder: Path | None,
    classes: Path | None,
    targets: Sequence[str] | None,
    size: Size,
    out: Path,
) -> None:
    """Draw samplings of one image.

    Args:
        image: the image.
        mask: its mask, for equal density and the paper's energy from weak to strong smoothing.
        folder: a finished run, for the samples of its sampler. Either this or the mask.
        classes: the classes.csv of the mask; by default one beside the mask or above it.
        targets: names of the classes whose boundaries matter; by default those marked in the list.
        size: rows and columns of points (with a mask).
        out: the picture to write: .html, .png or .svg.

    Raises:
        FrugalsegError: mask and run are both given, or neither, or a file cannot be read or
            written.
    """
    if (mask is None) == (folder is None):
        raise FrugalsegError("Give either --mask (true boundaries) or --run (a trained sampler).")
    if folder is not None:
        run = load_run(folder)
        if run.model.needs_truth():
            raise FrugalsegError(f"{folder} samples by true boundaries: give the --mask instead.")
        scored = run.model.score_image(image)
        pixels = small_pixels(image, scored, SIDE)
        samplings = {f"{run.config.sampler} of {folder_name(folder)}": scored.phi[0].numpy()}
        labels, colours = scored.labels((pixels.shape[0], pixels.shape[1])), run.classes.colours
    else:
        assert mask is not None
        pixels = read_image(image)
        labels, colours, samplings = _true_samplings(pixels, mask, classes, targets, size)
    title = f"image and {'mask' if folder is None else 'answer'}"
    write_sampling_figure({title: overlay(pixels, labels, colours)}, pixels, samplings, out)
    log.info(f"Written: {out}")


def _true_samplings(
    pixels: Any, mask: Path, classes: Path | None, targets: Sequence[str] | None, size: Size
) -> tuple[Any, Any, dict[str, Any]]:
    """Labels, colours, and samplings by true boundaries: equal density, and those of figure 3."""
    path = classes or next(
        (p / "classes.csv" for p in mask.resolve().parents[:3] if (p / "classes.csv").is_file()),
        None,
    )
    class_list = infer_classes([read_statistics(mask)]) if path is None else read_classes(path)
    if targets:
        class_list = class_list.with_targets(targets)
    labels = read_mask(mask, class_list)
    if labels.shape != pixels.shape[:2]:
        raise FrugalsegError(
            f"{mask} is {labels.shape[0]}x{labels.shape[1]}, its image is "
            f"{pixels.shape[0]}x{pixels.shape[1]} pixels: they must be of one size."
        )
    if size[0] > labels.shape[0] or size[1] > labels.shape[1]:
        raise FrugalsegError(
            f"{size[0]}x{size[1]} points are more than the pixels of {mask} "
            f"({labels.shape[0]}x{labels.shape[1]}): give a smaller --size."
        )
    tensor = torch.from_numpy(labels)[None]
    thumbnail = default_thumbnail(size, labels.shape[1] / labels.shape[0])
    chosen = class_list.targets or None
    density = boundary_density(tensor, thumbnail, chosen)
    samplings = {"equal density": equal_density_sampling(density, size)[0]}
    for smoothness in (0.0, 0.01, 0.12, 1.0, 10.0):
        phi = boundary_sampling(tensor, size, smoothness, targets=chosen)
        samplings[f"energy, smoothness {smoothness:g}"] = phi[0]
    samplings["uniform (smoothness without end)"] = uniform_sampling(size)[0]
    return labels, class_list.colours, {name: phi.numpy() for name, phi in samplings.items()}


def write_sampling_figure(
    first: Mapping[str, Picture],
    image: Picture,
    samplings: Mapping[str, NDArray[Any]],
    path: Path,
) -> None:
    """Draw the points of each sampling on the image, side by side after another picture.

    Args:
        first: title and picture to show before the samplings, (H, W, 3) uint8.
        image: (H, W, 3) uint8.
        samplings: title of each picture and its (h, w, 2) coordinates in [0, 1].
        path: .html, .png or .svg file to write.

    Raises:
        FrugalsegError: another suffix, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FrugalsegError(
            f"{path}: a figure cannot be written as {path.suffix or 'a file without suffix'}. "
            f"End the name with one of {', '.join(SUFFIXES)}."
        )
    panels = {title: shrink(panel, SIDE) for title, panel in first.items()}
    panels |= {title: draw_samples(image, phi) for title, phi in samplings.items()}
    if suffix == ".html":
        pictures = [picture(title, panel) for title, panel in panels.items()]
        page = render("sampling.html", title="Where the samples lie", pictures=pictures)
        write_text(page, path)
    else:
        atomic_write(_figure(panels, suffix[1:]), path)


def _figure(panels: Mapping[str, Picture], file_format: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    height, width = next(iter(panels.values())).shape[:2]
    panel_height = 4.2 * height / width + 0.35
    with matplotlib.rc_context({"svg.hashsalt": "sampling"}):
        figure = Figure(figsize=(4.2 * columns, panel_height * rows), layout="constrained", dpi=160)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for each in axes:
            each.set_axis_off()
        for each, (title, panel) in zip(axes, panels.items(), strict=False):
            each.imshow(panel)
            each.set_title(printable(title), fontsize=11, parse_math=False)
        file = io.BytesIO()
        metadata = {"Date": None} if file_format == "svg" else None
        figure.savefig(file, format=file_format, metadata=metadata)
    return file.getvalue()
