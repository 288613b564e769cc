"""COCO-Stuff 164k as a folder of small images with coarse masks, chosen as in Ji et al. 2019."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from frugalseg.data._tables import read_table
from frugalseg.data.classes import (
    IGNORE_INDEX,
    ClassList,
    FineClass,
    SegmentationClass,
    write_classes,
)
from frugalseg.data.colours import distinct_colours
from frugalseg.data.images import read_image
from frugalseg.data.layout import Sample, files_below, raise_problems, require_folder, size_problems
from frugalseg.data.masks import read_raw, write_labels
from frugalseg.data.merging import supplied_mappings
from frugalseg.data.prepared import Progress, claim, finished, in_threads, some
from frugalseg.errors import FrugalsegError
from frugalseg.files import replacing

SPLITS = {"train": "train2017", "val": "val2017"}
THREE = ("sky-stuff", "plant-stuff", "ground-stuff")
LEAST_SIDE = 360  # pixels of the original
LEAST_SHARE = 0.75  # of its pixels in the wanted classes
SCALE = 0.33
_IMAGE_PLACES = ("{}", "images/{}")
_MASK_PLACES = (
    *("stuffthingmaps_trainval2017/{}", "annotations/{}", "stuffthingmaps/{}"),
    *("annotations/stuffthingmaps_trainval2017/{}", "{}"),
)


@dataclass(frozen=True)
class _Job:
    """An image of a split; `listed` ones are taken whatever they show."""

    split: str
    sample: Sample
    listed: bool


def cocostuff_classes(number: int) -> ClassList:
    """The coarse classes, with what each of the 182 ids of the masks is merged into.

    Args:
        number: 27 (things and stuff), 15 (stuff) or 3 (sky, plant, ground).

    Raises:
        FrugalsegError: another number.
    """
    columns = ("fine_id", "coarse_id", "coarse_name")
    rows = [row for _, row in read_table(supplied_mappings()["cocostuff-27"], columns)]
    names = {int(row["coarse_id"]): row["coarse_name"] for row in rows}
    ordered = [names[i] for i in sorted(names)]
    sets = {27: ordered, 15: [n for n in ordered if n.endswith("-stuff")], 3: list(THREE)}
    if number not in sets:
        raise FrugalsegError(f"COCO-Stuff has no set of {number} classes: give 15, 3 or 27.")
    chosen = sets[number]
    colours = distinct_colours(number)
    classes = tuple(
        SegmentationClass(name if number == 27 else name.removesuffix("-stuff"), i, colours[i])
        for i, name in enumerate(chosen)
    )
    into = {name: i for i, name in enumerate(chosen)}
    fine = tuple(FineClass(int(r["fine_id"]), into.get(r["coarse_name"])) for r in rows)
    return ClassList(classes, fine=fine)


def prepare_cocostuff(
    raw: Path,
    out: Path,
    number: int = 15,
    lists: Sequence[Path] = (),
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write images/train, masks/train, images/val, masks/val and classes.csv.

    An image is taken where both sides have at least 360 pixels and at least 75 % of its pixels
    are of the wanted classes; other pixels are 255 (ignored). Images are scaled to 0.33 of their
    sides (averaged), masks by the nearest pixel. What is written already is kept.

    Args:
        raw: folder with train2017/ and val2017/ (or one of them) of images, also below images/,
            and their masks, below stuffthingmaps_trainval2017/ or annotations/.
        out: an empty folder, or one that was begun in the same way.
        number: of classes: 15, 3 or 27.
        lists: files with the name of an image a line; these are taken in place of those that the
            rule would take.
        progress: called with how many images are looked at and how many there are.

    Returns:
        Number of images by split.

    Raises:
        FrugalsegError: something is missing, broken or of another size (before anything is
            written, except that pixels are only read in turn), or `out` holds something else.
    """
    classes = cocostuff_classes(number)
    settings = _settings(number, lists)
    counts = finished(out, settings)
    if counts is not None:
        return counts
    jobs = _chosen(_found(raw), lists)
    raise_problems(raw, size_problems([job.sample for job in jobs]))
    claim(out, settings)
    taken = _write_all(jobs, out, classes, progress)
    if not taken.total():
        raise FrugalsegError(
            f"{raw}: no image has sides of {LEAST_SIDE} pixels and {LEAST_SHARE:.0%} of the "
            f"{number} classes. Give a --list of images, or other --classes."
        )
    counts = {split: taken[split] for split in SPLITS if taken[split]}
    claim(out, settings, counts)
    return counts


def _write_all(
    jobs: Sequence[_Job], out: Path, classes: ClassList, progress: Progress | None
) -> Counter[str]:
    """Write the class list, and the images that are taken; how many those are by split."""
    plain = ClassList(classes.classes)
    write_classes(plain, out / "classes.csv")
    taken: Counter[str] = Counter()
    results = in_threads(lambda job: _write(job, out, classes, plain), jobs)
    for done, (job, kept) in enumerate(zip(jobs, results, strict=True), 1):
        taken[job.split] += kept
        if progress is not None:
            progress(done, len(jobs))
    return taken


def _settings(number: int, lists: Sequence[Path]) -> dict[str, Any]:
    names = sorted(_names(lists))
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16] if lists else None
    return {"data": "cocostuff", "classes": number, "scale": SCALE, "list": digest}


def _found(raw: Path) -> dict[str, list[Sample]]:
    """Images with their masks by split."""
    require_folder(raw)
    found = {}
    for split, name in SPLITS.items():
        images = _files(raw, _IMAGE_PLACES, name, ".jpg")
        if not images:
            continue
        masks = _files(raw, _MASK_PLACES, name, ".png")
        if not masks:
            places = ", ".join(str(raw / place.format(name)) for place in _MASK_PLACES[:2])
            raise FrugalsegError(f"{raw}: there are no masks of {name}, looked for in {places}.")
        for these, those, what in ((images, masks, "mask"), (masks, images, "image")):
            if lone := sorted(these.keys() - those.keys()):
                raise FrugalsegError(
                    f"{raw}: {name} has no {what} of {some(lone)}. Add what is missing."
                )
        found[split] = [Sample(stem, images[stem], masks[stem]) for stem in sorted(images)]
    if not found:
        raise FrugalsegError(
            f"{raw}: there are no images train2017/*.jpg or val2017/*.jpg, nor below images/."
        )
    return found


def _files(raw: Path, places: Sequence[str], name: str, suffix: str) -> dict[str, Path]:
    """Files of the first of several folders that has some, by stem."""
    for place in places:
        folder = raw / place.format(name)
        if folder.is_dir():
            files = {path.stem: path for path in files_below(folder, frozenset([suffix]))}
            if files:
                return files
    return {}


def _chosen(found: dict[str, list[Sample]], lists: Sequence[Path]) -> list[_Job]:
    """All images, or those of the lists."""
    if not lists:
        return [_Job(split, sample, False) for split, part in found.items() for sample in part]
    wanted = _names(lists)
    jobs = [
        _Job(split, sample, True)
        for split, part in found.items()
        for sample in part
        if sample.name in wanted
    ]
    if missing := sorted(wanted - {job.sample.name for job in jobs}):
        raise FrugalsegError(f"There are no images of these names in --list: {some(missing)}.")
    return jobs


def _names(lists: Sequence[Path]) -> set[str]:
    """The names in files of one name a line; a suffix .jpg is dropped."""
    names: set[str] = set()
    for path in lists:
        try:
            lines = path.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise FrugalsegError(f"{path} cannot be read as a list of names ({error}).") from error
        if not lines:
            raise FrugalsegError(f"{path}: the list is empty. Write a name of an image a line.")
        names.update(line.removesuffix(".jpg") for line in lines)
    return names


def _write(job: _Job, out: Path, classes: ClassList, plain: ClassList) -> bool:
    """Write an image and its mask if it is to be taken; whether it was."""
    sample = job.sample
    assert sample.mask is not None
    image_path = out / "images" / job.split / f"{sample.name}.jpg"
    mask_path = out / "masks" / job.split / f"{sample.name}.png"
    if image_path.exists() and mask_path.exists():
        return True
    raw = read_raw(sample.mask)
    if raw.ndim == 3:
        raise FrugalsegError(f"{sample.mask} holds colours; ids of COCO-Stuff are needed.")
    try:
        labels = classes.encode(raw)
    except FrugalsegError as error:
        raise FrugalsegError(f"{sample.mask}: {error}") from None
    height, width = labels.shape
    share = float((labels != IGNORE_INDEX).mean())
    if not job.listed and (min(height, width) < LEAST_SIDE or share < LEAST_SHARE):
        return False
    size = max(1, round(SCALE * height)), max(1, round(SCALE * width))
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip(size, labels.shape, strict=True)
    )
    image = Image.fromarray(read_image(sample.image)).resize(size[::-1], Image.Resampling.BILINEAR)
    with replacing(image_path) as temporary:
        image.save(temporary, "JPEG", quality=95, subsampling=0)
    write_labels(labels[rows][:, columns], mask_path, plain)
    return True
