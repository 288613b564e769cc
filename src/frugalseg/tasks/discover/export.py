"""The files of a discovery: label images, overlays and a table of shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.class_lists.classes import ClassList, SegmentationClass, write_classes
from frugalseg.data.class_lists.palette import region_colours
from frugalseg.data.masks import write_labels
from frugalseg.errors import FrugalsegError
from frugalseg.files import refuse_overwriting, write_csv
from frugalseg.reports.images import overlay, save_jpeg


def region_classes(names: Sequence[str]) -> ClassList:
    """The regions of a run as classes, ids from 0, in colours that tell them apart."""
    colours = region_colours(len(names))
    pairs = zip(names, colours, strict=True)
    return ClassList(
        tuple(SegmentationClass(name, i, colour) for i, (name, colour) in enumerate(pairs))
    )


class RegionWriter:
    """Writes the labels of images one by one; only shares are kept in memory.

    Args:
        out: folder for ``labels/``, ``overlays/``, ``regions.csv`` and ``classes.csv``.
        names: of all images that will be written, from which file names are made.
        classes: that labels are indices of.
    """

    def __init__(self, out: Path, names: Sequence[str], classes: ClassList) -> None:
        self.out, self.classes = out, classes
        self.shares: list[tuple[str, NDArray[np.float64]]] = []
        bare = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
        often = Counter(bare)  # images that differ by suffix alone keep it
        pairs = zip(names, bare, strict=True)
        files = {name: name if often[stem] > 1 else stem for name, stem in pairs}
        self.paths = {
            name: (out / "labels" / f"{file}.png", out / "overlays" / f"{file}.jpg")
            for name, file in files.items()
        }

    def refuse_overwriting(self, inputs: Iterable[Path], run: Path) -> None:
        """Refuse to write over other files.

        Args:
            inputs: images and masks that are read.
            run: the run's folder.

        Raises:
            FrugalsegError: an image, a mask, a file of the run itself, or a class list that no
                prediction has made would be overwritten.
        """
        refuse_overwriting(inputs, (path for paths in self.paths.values() for path in paths))
        own, listed = self.out.exists() and self.out.samefile(run), self.out / "classes.csv"
        if own or (listed.exists() and not (self.out / "regions.csv").exists()):
            raise FrugalsegError(
                f"{listed}, which lists other classes, would be overwritten: name another "
                "folder with --out."
            )

    def write(self, name: str, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Write label image and overlay of one image.

        Raises:
            FrugalsegError: a file cannot be written.
        """
        label_path, overlay_path = self.paths[name]
        write_labels(labels, label_path, self.classes)
        save_jpeg(overlay(pixels[..., :3], labels, self.classes.colours), overlay_path)
        counts = np.bincount(labels.ravel(), minlength=self.classes.num_classes)
        self.shares.append((name, counts / counts.sum()))

    def finish(self, classes: ClassList | None = None) -> None:
        """Write the table of shares and the list of classes.

        Args:
            classes: the classes under names that were found in the meantime, if any.

        Raises:
            FrugalsegError: a file cannot be written.
        """
        classes = classes or self.classes
        rows = [(name, *(f"{share:.4f}" for share in shares)) for name, shares in self.shares]
        write_csv([("file", *classes.names), *rows], self.out / "regions.csv")
        write_classes(classes, self.out / "classes.csv")
