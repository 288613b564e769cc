"""COCO-Stuff 164k as a folder of small images with coarse masks, chosen as in Ji et al. 2019."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.class_lists.classes import (
    IGNORE_INDEX,
    ClassList,
    FineClass,
    SegmentationClass,
    write_classes,
)
from frugalseg.data.class_lists.mapping import supplied_mappings
from frugalseg.data.class_lists.palette import distinct_colours
from frugalseg.data.formats.prepared import first_of, prepare
from frugalseg.data.headers import read_sizes
from frugalseg.data.images import read_image, resize_image, write_image
from frugalseg.data.layouts.listing import files_below, require_folder
from frugalseg.data.layouts.samples import Sample, raise_problems
from frugalseg.data.masks import encode_mask, read_raw, write_labels
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads, read_table, read_text

SPLITS = {"train": "train2017", "val": "val2017"}
THREE = ("sky-stuff", "plant-stuff", "ground-stuff")
MIN_SIDE = 360  # pixels of the original
MIN_SHARE = 0.75  # of its pixels in the wanted classes
SCALE = 0.33
_IMAGE_PLACES = ("{}", "images/{}")
_MASK_PLACES = (
    *("stuffthingmaps_trainval2017/{}", "annotations/{}", "stuffthingmaps/{}"),
    *("annotations/stuffthingmaps_trainval2017/{}", "{}"),
)


def cocostuff_classes(number: int) -> ClassList:
    """The coarse classes, and the one that each of the 182 ids of the masks is merged into.

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
) -> dict[str, int]:
    """Write images/train, masks/train, images/val, masks/val and classes.csv.

    An image is taken if both sides have at least 360 pixels and at least 75 % of its pixels
    belong to the wanted classes; other pixels are 255 (ignored). Images are scaled to 0.33 of their
    sides (averaged), masks by the nearest pixel. What is written already is kept.

    Args:
        raw: folder with train2017/ and val2017/ (or one of them) of images, also below images/,
            and their masks, below stuffthingmaps_trainval2017/ or annotations/.
        out: an empty folder, or one that was begun in the same way.
        number: of classes: 15, 3 or 27.
        lists: files with one image name per line; these images are taken instead of those that
            the rule would choose.

    Returns:
        Number of images by split.

    Raises:
        FrugalsegError: a file is missing, broken or of another size (before anything is written,
            except that pixels are read only when their turn comes), or `out` holds something else.
    """
    classes = cocostuff_classes(number)
    wanted = _names(lists)
    digest = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()[:16]
    settings: dict[str, Any] = {"data": "cocostuff", "classes": number, "scale": SCALE}
    settings["list"] = digest if lists else None

    def check() -> list[tuple[str, Sample]]:
        jobs = _chosen(_samples(raw), wanted)
        raise_problems(raw, read_sizes([sample for _, sample in jobs])[1])
        return jobs

    def write(jobs: list[tuple[str, Sample]]) -> dict[str, int]:
        write_classes(ClassList(classes.classes), out / "classes.csv")
        results = in_threads(lambda job: _write(*job, out, classes, not lists), jobs, "images")
        taken = Counter(split for (split, _), kept in zip(jobs, results, strict=True) if kept)
        if not taken:
            raise FrugalsegError(
                f"{raw}: no image has sides of {MIN_SIDE} pixels and {MIN_SHARE:.0%} of the "
                f"{number} classes. Give a --list of images, or other --classes."
            )
        return {split: taken[split] for split in SPLITS if taken[split]}

    return prepare(out, settings, check, write)


def _samples(raw: Path) -> dict[str, list[Sample]]:
    """Images with their masks by split."""
    require_folder(raw)
    samples = {}
    for split, name in SPLITS.items():
        images = _files(raw, _IMAGE_PLACES, name, ".jpg")
        if not images:
            continue
        masks = _files(raw, _MASK_PLACES, name, ".png")
        if not masks:
            places = ", ".join(str(raw / place.format(name)) for place in _MASK_PLACES[:2])
            raise FrugalsegError(f"{raw}: there are no masks of {name}, looked for in {places}.")
        for these, those, partner in ((images, masks, "mask"), (masks, images, "image")):
            if lone := sorted(these.keys() - those.keys()):
                raise FrugalsegError(
                    f"{raw}: {name} has no {partner} of {first_of(lone)}. Add what is missing."
                )
        samples[split] = [Sample(stem, images[stem], masks[stem]) for stem in sorted(images)]
    if not samples:
        raise FrugalsegError(
            f"{raw}: there are no images train2017/*.jpg or val2017/*.jpg, nor below images/."
        )
    return samples


def _files(raw: Path, places: Sequence[str], name: str, suffix: str) -> dict[str, Path]:
    """Files by stem, of the first folder that holds any."""
    for place in places:
        folder = raw / place.format(name)
        if folder.is_dir():
            files = {path.stem: path for path in files_below(folder, frozenset([suffix]))}
            if files:
                return files
    return {}


def _chosen(samples: dict[str, list[Sample]], wanted: set[str]) -> list[tuple[str, Sample]]:
    """All images with their splits, or only those of these names if there are any."""
    jobs = [(split, sample) for split, part in samples.items() for sample in part]
    if missing := sorted(wanted - {sample.name for _, sample in jobs}):
        raise FrugalsegError(f"There are no images of these names in --list: {first_of(missing)}.")
    return [job for job in jobs if job[1].name in wanted] if wanted else jobs


def _names(lists: Sequence[Path]) -> set[str]:
    """The names in files with one name per line; a suffix .jpg is dropped."""
    names: set[str] = set()
    for path in lists:
        lines = read_text(path, "It must be a list of names in UTF-8.").split()
        if not lines:
            raise FrugalsegError(f"{path}: the list is empty. Write one image name per line.")
        names.update(line.removesuffix(".jpg") for line in lines)
    return names


def _write(split: str, sample: Sample, out: Path, classes: ClassList, by_rule: bool) -> bool:
    """Write an image and its mask, `by_rule` only if it fits the rule; return whether it did."""
    assert sample.mask is not None
    image_path = out / "images" / split / f"{sample.name}.jpg"
    mask_path = out / "masks" / split / f"{sample.name}.png"
    if image_path.exists() and mask_path.exists():
        return True
    raw = read_raw(sample.mask)
    if raw.ndim == 3:
        raise FrugalsegError(f"{sample.mask} holds colours; ids of COCO-Stuff are needed.")
    labels = encode_mask(raw, sample.mask, classes)
    height, width = labels.shape
    share = float((labels != IGNORE_INDEX).mean())
    if by_rule and (min(height, width) < MIN_SIDE or share < MIN_SHARE):
        return False
    size = max(1, round(SCALE * height)), max(1, round(SCALE * width))
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip(size, labels.shape, strict=True)
    )
    small = resize_image(read_image(sample.image), size)
    write_image(small, image_path, quality=95, subsampling=0)
    write_labels(labels[rows][:, columns], mask_path, ClassList(classes.classes))
    return True
