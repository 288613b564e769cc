"""What a discovery leaves for people: label images, overlays, a table of shares, a result file."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.classes import ClassList, SegmentationClass, write_classes
from frugalseg.data.colours import region_colours
from frugalseg.data.masks import write_labels
from frugalseg.data.pictures import read_picture
from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import TASK, DiscoverRun
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.cluster_results import cluster_result
from frugalseg.evaluation.named_regions import region_names
from frugalseg.evaluation.regions import count_regions, region_scores
from frugalseg.files import refuse_overwriting, write_whole
from frugalseg.information import clustering_health
from frugalseg.reports.finer_regions import NamedRegions, finer_labels

PLACES = 200_000  # for health, among all images...
OF_EACH = 400  # ...and of each at most
Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Seen:
    """What a run answers for one image.

    Attributes:
        name: of the image.
        labels: (H, W) regions.
        places: (n, k) soft answers at some places.
        pixels: (H, W, 3 or 4) the image.
        soft: (k, h, w) soft answers at the network's resolution.
    """

    name: str
    labels: NDArray[np.uint8]
    places: NDArray[np.float32]
    pixels: NDArray[np.uint8]
    soft: NDArray[np.float32]


def _pixels(run: DiscoverRun, path: Path) -> NDArray[np.uint8]:
    return read_picture(path, 4 if run.plan.views["channels"] == "rgbi" else 3)


def region_classes(names: Sequence[str]) -> ClassList:
    """The regions of a run as classes, ids from 0, in colours that tell them apart."""
    colours = region_colours(len(names))
    pairs = zip(names, colours, strict=True)
    return ClassList(
        tuple(SegmentationClass(name, i, colour) for i, (name, colour) in enumerate(pairs))
    )


def see(run: DiscoverRun, path: Path, name: str, places: int = OF_EACH) -> Seen:
    """Answer for one image, with its soft answers at so many places.

    Raises:
        FrugalsegError: it cannot be read.
    """
    from frugalseg.training.discover_answers import labels_from_soft, soft_regions

    pixels = _pixels(run, path)
    soft = soft_regions(run, pixels)
    labels = labels_from_soft(run, soft, (pixels.shape[0], pixels.shape[1]))
    rows = soft.flatten(1).T.numpy()
    chosen = np.linspace(0, len(rows) - 1, min(places, len(rows))).astype(int)
    return Seen(name, labels, rows[chosen], pixels, soft.numpy())


class RegionWriter:
    """Writes what a run answers, image by image; only shares are kept.

    Args:
        out: folder for ``labels/``, ``overlays/``, ``regions.csv`` and ``classes.csv``.
        names: of all images that are to come, from which file names are made.
        classes: what labels are indices of.
    """

    def __init__(self, out: Path, names: Sequence[str], classes: ClassList) -> None:
        self.out, self.classes = out, classes
        self.shares: list[tuple[str, NDArray[np.float64]]] = []
        bare = [PurePosixPath(name).with_suffix("").as_posix() for name in names]
        often = Counter(bare)  # images that differ by suffix alone keep it
        pairs = zip(names, bare, strict=True)
        self.files = {name: name if often[one] > 1 else one for name, one in pairs}

    def places(self, name: str) -> tuple[Path, Path]:
        """Files for the label image and the overlay of an image."""
        file = self.files[name]
        return self.out / "labels" / f"{file}.png", self.out / "overlays" / f"{file}.jpg"

    def write(self, name: str, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        """Write label image and overlay of one image.

        Raises:
            FrugalsegError: a file cannot be written.
        """
        from frugalseg.reports.pictures import overlay, save_jpeg

        answer, shown = self.places(name)
        write_labels(labels, answer, self.classes)
        save_jpeg(overlay(pixels[..., :3], labels, self.classes.colours), shown)
        counts = np.bincount(labels.ravel(), minlength=self.classes.num_classes)
        self.shares.append((name, counts / counts.sum()))

    def finish(self, classes: ClassList | None = None) -> None:
        """Write the table of shares and the list of classes, by now perhaps under better names.

        Raises:
            FrugalsegError: a file cannot be written.
        """
        classes = classes or self.classes
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", *classes.names])
        for file, shares in self.shares:
            writer.writerow([file, *(f"{share:.4f}" for share in shares)])
        write_whole(text.getvalue().encode(), self.out / "regions.csv")
        write_classes(classes, self.out / "classes.csv")


class RegionTally:
    """Counts what a run answers against masks, and how sure it is; never keeps answers.

    Args:
        run: the run.
        kinds: classes of the masks.
    """

    def __init__(self, run: DiscoverRun, kinds: int) -> None:
        self.counts = np.zeros((run.classes, kinds), np.int64)
        self.places: list[NDArray[np.float32]] = []

    def add(self, seen: Seen, truth: NDArray[np.uint8] | None) -> None:
        """Count one image."""
        self.places.append(seen.places)
        if truth is not None:
            self.counts += count_regions(seen.labels, truth, *self.counts.shape)

    @property
    def health(self) -> dict[str, float]:
        """As `clustering_health` gives it, of some places of each image."""
        import torch

        return clustering_health(torch.from_numpy(np.concatenate(self.places)))


def answer_regions(
    run: DiscoverRun,
    data: RegionImages,
    split: str,
    progress: Progress = iter,
    writer: RegionWriter | None = None,
    watch: Callable[[Seen], None] | None = None,
) -> dict[str, Any]:
    """Answer for the images of a split, one after the other.

    Args:
        run: a finished run.
        data: the images, and masks where they are to be scored.
        split: which of them.
        progress: wraps the loop over images.
        writer: writes the answers; None where only the result is wanted.
        watch: is shown each image with its answer, such as ``RegionAlbum.add``.

    Returns:
        A result of :func:`frugalseg.evaluation.cluster_results.cluster_result`, and under "names"
        those of the regions.

    Raises:
        FrugalsegError: there is no such split, an image or a mask cannot be read, or a file cannot
            be written.
    """
    kinds = data.classes.names if data.classes else ()
    tally = RegionTally(run, len(kinds))
    for seen, truth in _see_all(run, data, data.indices(split), progress):
        tally.add(seen, truth)
        if writer:
            writer.write(seen.name, seen.pixels, seen.labels)
        if watch:
            watch(seen)
    scored = bool(tally.counts.sum())
    names = region_names(tally.counts, run.classes, kinds) if scored else run.region_names
    if writer:
        writer.finish(region_classes(names))
    result = cluster_result(
        what_was_run(run, data, split),
        _with_agreement(tally.health, run, data, split),
        run.state["losses"],
        region_scores(tally.counts, kinds) if scored else None,
        TASK,
    )
    return {**result, "names": list(names)}


def _see_all(
    run: DiscoverRun, data: RegionImages, indices: NDArray[np.int64], progress: Progress
) -> Iterator[tuple[Seen, NDArray[np.uint8] | None]]:
    """Answers for one image after the other, and its mask."""
    places = max(16, min(OF_EACH, PLACES // len(indices)))
    for i in progress(indices):
        yield see(run, data.paths[i], data.images.names[i], places), data.truth(int(i))


def _with_agreement(
    health: dict[str, float], run: DiscoverRun, data: RegionImages, split: str
) -> dict[str, float]:
    """Health with the agreement of views, known of the images that were learned from alone."""
    own = data.images.root.resolve() == Path(run.config.data).resolve()
    if own and split == run.config.split:
        health["agreement"] = run.state["health"]["agreement"]
    return health


def finer_counts(
    run: DiscoverRun, data: RegionImages, split: str, progress: Progress = iter
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """What the overclustering makes of each image.

    Args:
        run: a finished run.
        data: the images, and masks where there are some.
        split: which of them.
        progress: wraps the loop over images.

    Returns:
        (N, K, C) pixels of each class in each region, C 0 without masks; (N, K) shares of each
        region; (N,) mean entropy of the main head's answers, in nats.

    Raises:
        FrugalsegError: there is no such split, or an image or a mask cannot be read.
    """
    from frugalseg.training.discover_answers import soft_regions

    finer, kinds = run.plan.over_classes, data.classes.num_classes if data.classes else 0
    counts, shares, doubts = [], [], []
    for i in progress(data.indices(split)):
        pixels = _pixels(run, data.paths[i])
        labels = finer_labels(run, pixels)
        shares.append(np.bincount(labels.ravel(), minlength=finer) / labels.size)
        soft = soft_regions(run, pixels)
        doubts.append(float(-(soft * soft.clamp_min(1e-12).log()).sum(0).mean()))
        truth = data.truth(int(i))
        empty = np.zeros((finer, kinds), np.int64)
        counts.append(empty if truth is None else count_regions(labels, truth, finer, kinds))
    return np.stack(counts), np.stack(shares), np.array(doubts)


def what_was_run(run: DiscoverRun, data: RegionImages, split: str) -> dict[str, Any]:
    """The "what" of a result: all that tells this run and these images from others."""
    from frugalseg.runs import config_hash

    config, plan = run.config, run.plan
    return {
        "run": run.folder.name,
        "data": data.images.name,
        "split": split,
        "images": len(data.indices(split)),
        "config_hash": config_hash(config),
        "seed": config.seed,
        "clusters": run.classes,
        "asked": config.classes,
        "trunk": plan.trunk if plan.frozen or plan.pretrained else f"{plan.trunk} {plan.width}",
        "frozen": plan.frozen,
        "steps": plan.steps,
        "variant": _variant(run),
    }


def _variant(run: DiscoverRun) -> str | None:
    """What else tells the run from others: settings away from their defaults."""
    default = type(run.config)(run.config.data)
    known = {"data", "masks", "class_list", "mapping", "ignore", "seed", "classes", "trunk"}
    known |= {"frozen", "steps", "precision", "devices", "nodes"}
    changed = [
        f"{name}={value}"
        for name, value in vars(run.config).items()
        if name not in known and value != getattr(default, name)
    ]
    return ", ".join(changed) or None


def refuse_places(
    run: DiscoverRun,
    files: Sequence[tuple[Path, str]],
    out: Path,
    spared: Sequence[Path] = (),
) -> None:
    """Refuse to write predictions where something else would be lost.

    Args:
        run, files, out: as of :func:`write_predictions`.
        spared: further files that are read.

    Raises:
        FrugalsegError: they would be written over an image, a mask, what the run itself has
            written, or a class list that no prediction has made.
    """
    writer = RegionWriter(out, [name for _, name in files], region_classes(run.region_names))
    written = chain.from_iterable(writer.places(name) for _, name in files)
    refuse_overwriting([*(path for path, _ in files), *spared], written)
    own = out.exists() and out.samefile(run.folder)
    if own or ((out / "classes.csv").exists() and not (out / "regions.csv").exists()):
        raise FrugalsegError(
            f"{out / 'classes.csv'}, which lists other classes, would be overwritten: name another "
            "folder with --out."
        )


def write_predictions(
    run: DiscoverRun,
    files: Sequence[tuple[Path, str]],
    out: Path,
    progress: Progress = iter,
    named: NamedRegions | None = None,
) -> Iterator[str]:
    """Answer for new images and write the answers, going on past those that cannot be read.

    Args:
        run: a finished run.
        files: images and their names.
        out: as of :class:`RegionWriter`.
        progress: wraps the loop over images.
        named: what finer regions stand for: the answers are these classes then, not regions.

    Yields:
        What is wrong with an image, in one sentence.

    Raises:
        FrugalsegError: a file cannot be written.
    """
    from frugalseg.training.discover_answers import discover_labels

    classes = region_classes(run.region_names) if named is None else named.classes
    writer = RegionWriter(out, [name for _, name in files], classes)
    for path, name in progress(files):
        try:
            pixels = _pixels(run, path)
            if named is None:
                labels = discover_labels(run, pixels)
            else:
                labels = named.mapping.astype(np.uint8)[finer_labels(run, pixels)]
        except FrugalsegError as error:
            yield str(error)
            continue
        writer.write(name, pixels, labels)
    if writer.shares:
        writer.finish()
