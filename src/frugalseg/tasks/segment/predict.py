"""Label new images: strip by strip, so that the answers for large images need not fit in memory."""

import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

from frugalseg.console import track
from frugalseg.data.headers import say_of_images
from frugalseg.data.images import read_image
from frugalseg.data.masks import write_labels
from frugalseg.data.png import write_png
from frugalseg.engine.config import Size
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_replace, refuse_overwriting
from frugalseg.reports.images import Picture, overlay, save_jpeg, shrink
from frugalseg.tasks.base import Files, Options
from frugalseg.tasks.segment.model import Run, ScoredImage

OPTIONS = frozenset({"overlay_side", "probabilities", "probabilities_size"})
OVERLAY_SIDE = 2048
ENDS = {"npz": "probabilities.npz", "png": "confidence.png"}  # by the option --probabilities
_STRIP = 1 << 23  # values computed at a time, about


def predict(run: Run, files: Files, out: Path, options: Options) -> Sequence[str]:
    """Label images: write NAME.png, NAME.overlay.jpg and, on request, probabilities for each.

    Args:
        run: a finished run.
        files: the images, and the name of the answer to each.
        out: the folder to write to.
        options: "overlay_side": longest side of the overlay in pixels, 0 for the image's own size;
            "probabilities": "npz" or "png", and "probabilities_size": their height and width, by
            default the image's own. None for the defaults.

    Returns:
        A sentence for each image that could not be read.

    Raises:
        FrugalsegError: the run or an option does not fit, or a file cannot be written.
    """
    if run.model.needs_truth():
        raise FrugalsegError(f"{run.dir} samples by true boundaries: it cannot label new images.")
    side = OVERLAY_SIDE if options["overlay_side"] is None else options["overlay_side"]
    kind, size = options["probabilities"], options["probabilities_size"]
    if side < 0:
        raise FrugalsegError(f"overlay-side={side} is out of range: it must be at least 0.")
    if size and not kind:
        raise FrugalsegError(
            "--probabilities-size says how large probabilities are written: say also in which "
            "form, with --probabilities npz or png."
        )
    ends = ["png", "overlay.jpg", *([ENDS[kind]] if kind else [])]
    outputs = [[out / f"{name}.{end}" for end in ends] for _, name in files]
    refuse_overwriting([path for path, _ in files], chain.from_iterable(outputs))
    say_of_images([path for path, _ in files])
    problems = []
    for (path, _), (labels, shown, *others) in track([*zip(files, outputs, strict=True)], "images"):
        try:
            scored = run.model.score_image(path)
            pixels = small_pixels(path, scored, side or max(scored.size))
        except FrugalsegError as error:
            problems.append(str(error))
            continue
        write_labels(
            (scored.labels(scored.size, rows) for rows in _strips(scored.size, 1)),
            labels,
            run.classes,
        )
        small = scored.labels((pixels.shape[0], pixels.shape[1]))
        save_jpeg(overlay(pixels, small, run.classes.colours), shown)
        for other in others:
            write = _write_npz if kind == "npz" else _write_confidence
            write(scored, size or scored.size, run.classes.names, other)
    return problems


def _strips(size: Size, values: int) -> Iterator[Size]:
    """First and last + 1 row of each strip of an image with so many values at a pixel."""
    rows = max(1, _STRIP // (size[1] * values))
    ends = [*pairwise([*range(0, size[0], rows), size[0]])]
    yield from track(ends, "strips", part=True) if len(ends) > 1 else ends


def small_pixels(path: Path, scored: ScoredImage, side: int) -> Picture:
    """The image to be shown, from the pixels that were decoded to score it if these suffice.

    Args:
        path: the image.
        scored: its scores.
        side: greatest length of the longer side.

    Returns:
        (H', W', 3).

    Raises:
        FrugalsegError: the image cannot be read.
    """
    longest, pixels = max(scored.size), scored.pixels
    if max(pixels.shape) < min(side, longest):
        pixels = read_image(path, next(r for r in (4, 2, 1) if r == 1 or longest // r >= side))
    return shrink(pixels, side)


def _write_npz(scored: ScoredImage, size: Size, names: Sequence[str], path: Path) -> None:
    """Write `probabilities` (H, W, C) as float16 and `classes`, their names."""
    header = {"descr": "<f2", "fortran_order": False, "shape": (*size, len(names))}
    with (
        atomic_replace(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        with archive.open("classes.npy", "w") as file:
            np.lib.format.write_array(file, np.array(names))
        with archive.open("probabilities.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for rows in _strips(size, len(names) + 8):
                strip = scored.probabilities(size, rows).permute(1, 2, 0)
                file.write(np.ascontiguousarray(strip.numpy().astype("<f2")).data)


def _write_confidence(scored: ScoredImage, size: Size, names: Sequence[str], path: Path) -> None:
    """Write the highest probability of each pixel as 16-bit grey, 65535 for 1."""
    strips = (scored.probabilities(size, rows).amax(0) for rows in _strips(size, len(names) + 8))
    write_png(((65535 * strip).round().numpy().astype(np.uint16) for strip in strips), path)
